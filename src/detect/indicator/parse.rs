//! What one line of a list says.

use std::net::IpAddr;

use super::error::Reason;
use super::names::MOST_DOMAIN_BYTES;
use super::punycode;
use super::set::Kind;

/// Characters of an entry that an error shows.
const SHOWN: usize = 80;

/// An entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    V4 {
        address: u32,
        bits: u8,
    },
    V6 {
        address: u128,
        bits: u8,
    },
    /// In lower case and ASCII, without the dot at its end.
    Domain {
        name: String,
        below_only: bool,
    },
    Digest([u8; 32]),
    Path {
        path: &'a [u8],
        is_beginning: bool,
    },
}

/// The entry and its note, which is empty if there is none. White space around both is not theirs.
pub(super) fn columns(line: &[u8]) -> (&[u8], &[u8]) {
    let (entry, note) = match memchr::memchr2(b';', b'\t', line) {
        Some(at) => (line.get(..at), line.get(at + 1..)),
        None => (Some(line), None),
    };
    (entry.unwrap_or_default().trim_ascii(), note.unwrap_or_default().trim_ascii())
}

/// The kind that a comment states for the lines that follow: `# kind: domain`. `None` if it states nothing, and no kind
/// within if that is `auto`.
pub(super) fn header(comment: &[u8]) -> Option<Result<Option<Kind>, Reason>> {
    let text = comment.trim_ascii_start();
    let (key, value) = text.split_at_checked(5)?;
    if !key.eq_ignore_ascii_case(b"kind:") {
        return None;
    }
    let value = shown(value.trim_ascii()).to_ascii_lowercase();
    Some(match value.as_str() {
        "auto" => Ok(None),
        "ip" => Ok(Some(Kind::Ip)),
        "domain" => Ok(Some(Kind::Domain)),
        "sha256" => Ok(Some(Kind::Sha256)),
        "path" => Ok(Some(Kind::Path)),
        _ => Err(Reason::UnknownKind(value)),
    })
}

/// What an entry is: of the kind that is stated, or of that which its syntax has.
pub(super) fn entry(text: &[u8], kind: Option<Kind>) -> Result<Entry<'_>, Reason> {
    match kind.or_else(|| detect(text)) {
        None => Err(Reason::Unknown(shown(text))),
        Some(Kind::Ip) => network(text),
        Some(Kind::Domain) => domain(text),
        Some(Kind::Sha256) => digest(text).map(Entry::Digest).ok_or_else(|| Reason::Digest(shown(text))),
        Some(Kind::Path) => path(text),
    }
}

fn detect(text: &[u8]) -> Option<Kind> {
    if text.starts_with(b"/") {
        return Some(Kind::Path);
    }
    if text.len() == 64 && text.iter().all(u8::is_ascii_hexdigit) {
        return Some(Kind::Sha256);
    }
    let address = text.split(|&byte| byte == b'/').next().unwrap_or_default();
    if str::from_utf8(address).is_ok_and(|address| address.parse::<IpAddr>().is_ok()) {
        return Some(Kind::Ip);
    }
    // An address with a slip of the pen is told as such, rather than taken for a domain.
    let numeric = address.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if numeric && text.contains(&b'.') || text.contains(&b':') {
        return Some(Kind::Ip);
    }
    text.contains(&b'.').then_some(Kind::Domain)
}

fn network(text: &[u8]) -> Result<Entry<'_>, Reason> {
    let wrong = || Reason::Address(shown(text));
    let words = str::from_utf8(text).map_err(|_| wrong())?;
    let (address, prefix) = match words.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (words, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let (least, most) = match address {
        IpAddr::V4(_) => (0, 32),
        // A shorter prefix would hold IPv4 addresses and others.
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => (96, 128),
        IpAddr::V6(_) => (0, 128),
    };
    let digits = |prefix: &str| prefix.bytes().all(|byte| byte.is_ascii_digit());
    let bits = match prefix {
        None => most,
        Some(prefix) => Some(prefix)
            .filter(|prefix| digits(prefix))
            .and_then(|prefix| prefix.parse().ok())
            .filter(|bits| (least..=most).contains(bits))
            .ok_or_else(|| Reason::Prefix { text: shown(text), least, most })?,
    };
    Ok(match address.to_canonical() {
        IpAddr::V4(v4) => Entry::V4 { address: v4.to_bits(), bits: bits - least },
        IpAddr::V6(v6) => Entry::V6 { address: v6.to_bits(), bits },
    })
}

fn domain(text: &[u8]) -> Result<Entry<'_>, Reason> {
    let wrong = |why| Reason::Domain { text: shown(text), why };
    let words = str::from_utf8(text).map_err(|_| wrong("not UTF-8"))?;
    let (words, below_only) = match words.strip_prefix("*.") {
        Some(rest) => (rest, true),
        None => (words, false),
    };
    let words = words.strip_suffix('.').unwrap_or(words);
    let mut name = String::with_capacity(words.len());
    for part in words.to_lowercase().split('.') {
        let part = punycode::label(part).ok_or_else(|| wrong("a label is longer than 63 bytes"))?;
        if part.is_empty() {
            return Err(wrong("a label is empty"));
        }
        if part.len() > 63 {
            return Err(wrong("a label is longer than 63 bytes"));
        }
        if !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(wrong("only letters, digits, '-', '_' and dots belong into it"));
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&part);
    }
    if name.len() > MOST_DOMAIN_BYTES {
        return Err(wrong("it is longer than 253 bytes"));
    }
    if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(wrong("its last label is a number"));
    }
    Ok(Entry::Domain { name, below_only })
}

fn digest(text: &[u8]) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in digest.iter_mut().zip(text.chunks_exact(2)) {
        for digit in digits {
            let value = char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok())?;
            *byte = *byte << 4 | value;
        }
    }
    Some(digest)
}

fn path(text: &[u8]) -> Result<Entry<'_>, Reason> {
    if !text.starts_with(b"/") {
        return Err(Reason::Path(shown(text)));
    }
    Ok(match text.strip_suffix(b"*") {
        Some(path) => Entry::Path { path, is_beginning: true },
        None => Entry::Path { path: text, is_beginning: false },
    })
}

/// An entry for an error: cut off, and without control characters that could upset a terminal.
fn shown(text: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(text);
    let mut shown: String =
        lossy.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if lossy.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
