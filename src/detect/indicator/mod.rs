//! Lists of threat intelligence: addresses and networks, domains, SHA-256 digests, paths; exact, millions of them.
//!
//! A [`Set`] is built once from text files and never changes; for new files the caller builds another one aside and
//! puts it in the place of the first. In these steps:
//!
//! 1. `file` reads a list line by line and `parse` says what each line is, by its syntax or by the kind that the file
//!    states. What is wrong with a line becomes a [`Problem`]; all other lines still count.
//! 2. Each kind has its own store: `v4` and `v6` for addresses, `names` for domains and paths, `digests`.
//!    Texts stand one behind the other in one buffer, found through a table of eight bytes a place.
//! 3. Look-ups give a [`Match`]: the entry as text, the list it stands in, its note. A miss allocates nothing.
//!
//! [`hash`] computes digests of executables to look up, on a thread of its own.
//!
//! The form of the files, one entry a line:
//!
//! ```text
//! # kind: domain            a header; ip, domain, sha256, path, or auto (the default)
//! example.com;note          itself and all its subdomains; the note after ';' or a tab
//! *.example.org             subdomains only
//! 192.0.2.0/24              networks; bits after the prefix are cleared
//! /tmp/.x/miner             this path
//! /dev/shm/.x*              all paths that begin so
//! ```
//!
//! - Lines that begin with `#` are comments. Line ends may be CRLF, and the file may begin with a byte-order mark.
//! - IPv4 addresses mapped into IPv6 count as IPv4 on both sides.
//! - Domains are compared in lower case without the dot at the end. International names may be given in Punycode or in
//!   UTF-8, which is put in lower case and into Punycode; it is not brought into normal form (UTS 46, NFC), so a name
//!   in an unusual form of writing is better given in Punycode. Look-ups take names as DNS carries them, thus Punycode.
//! - Paths are bytes, compared as they are. A path with `;` or a tab cannot be listed, nor one that ends in `*`.
//! - Of an entry that stands in several places the first counts; `example.com` covers `*.example.com`.
//!
//! Limits: the size of a file, entries in all, [`MOST_LINE_BYTES`] of a line, [`MOST_PROBLEMS`] problems of a file;
//! 65,535 lists and 4 GiB of text of one kind. What does not fit is a [`Problem`], too.
//!
//! A look-up of an IPv6 address or a path tries each different prefix length or length of a beginning; a list with very
//! many different ones makes it slower, 129 lengths at most in the first case.
//!
//! Not done: defanged entries (`example[.]com`), URLs, address ranges (`a-b`), other digests, wildcards inside.

mod digests;
mod error;
mod file;
pub mod hash;
mod mark;
mod names;
mod parse;
mod punycode;
mod set;
mod slots;
#[cfg(test)]
mod tests;
mod texts;
mod v4;
mod v6;

pub use error::{Problem, Reason};
pub use file::{MOST_LINE_BYTES, MOST_PROBLEMS};
pub use set::{Kind, Limits, Match, Set};
