//! Which program the kernel refused, and why, taken from what libbpf says while it loads.
//!
//! The error of a load is a number and names nobody. libbpf prints the name of the program that failed, and before it
//! the verifier's log, whose last line but the statistics is the reason. Both are kept for the thread that loads, which
//! is the one that libbpf prints on.

use std::cell::RefCell;
use std::sync::Once;

use libbpf_rs::PrintLevel;

/// A verifier log may have megabytes; its end says what was wrong.
const LOG_TAIL_BYTES: usize = 4096;

/// A program that the kernel did not take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refused {
    /// Its name in the object.
    pub symbol: String,
    /// The errno, such as `-EACCES`, and the verifier's reason if it gave one.
    pub reason: String,
}

thread_local! {
    static LAST: RefCell<Refused> = RefCell::default();
}

/// Sends libbpf's own messages to our log.
pub(super) fn route_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        libbpf_rs::set_print(Some((PrintLevel::Debug, |level, message| {
            let message = message.trim_end();
            if level == PrintLevel::Warn {
                LAST.with_borrow_mut(|last| note(last, message));
            }
            // A release carries no source lines on purpose (see build.rs), and this would be said of every program.
            if message.ends_with("skipping all of .BTF.ext line info.") {
                return;
            }
            // A refusal is told by who asked, in a sentence; these are for who wants to know where in the program.
            match level {
                PrintLevel::Debug => log::trace!("libbpf: {}", tail(message)),
                PrintLevel::Info | PrintLevel::Warn => log::debug!("{}", tail(message)),
            }
        })));
    });
}

/// Forgets what was refused before.
pub(super) fn forget() {
    LAST.take();
}

/// The program that was refused since; `None` if libbpf named none.
pub(super) fn take() -> Option<Refused> {
    Some(LAST.take()).filter(|refused| !refused.symbol.is_empty())
}

fn note(last: &mut Refused, message: &str) {
    if message.contains("-- BEGIN PROG LOAD LOG --") {
        last.reason = verdict(message).unwrap_or_default().to_owned();
    } else if let Some((symbol, errno)) = failure(message) {
        symbol.clone_into(&mut last.symbol);
        let said = std::mem::take(&mut last.reason);
        last.reason = if said.is_empty() { errno.to_owned() } else { format!("{said} ({errno})") };
    }
}

/// `libbpf: prog 'NAME': failed to load: -EACCES`
fn failure(message: &str) -> Option<(&str, &str)> {
    let (symbol, said) = message.strip_prefix("libbpf: prog '")?.split_once("': ")?;
    Some((symbol, said.strip_prefix("failed to load: ")?))
}

/// The reason in a verifier's log: the last line that is not about the program or the log itself.
fn verdict(log: &str) -> Option<&str> {
    let is_reason = |line: &&str| {
        let is_frame = line.is_empty() || line.starts_with("-- ") || line.starts_with("processed ");
        // Statistics that are asked for at higher levels.
        let is_count = line.starts_with("verification time") || line.starts_with("stack depth");
        !is_frame && !is_count
    };
    log.lines().map(str::trim).rev().find(is_reason)
}

/// The end of a long message, from a line's beginning.
fn tail(message: &str) -> &str {
    let start = message.len().saturating_sub(LOG_TAIL_BYTES);
    let start = (start..message.len()).find(|at| message.is_char_boundary(*at)).unwrap_or(message.len());
    let end = message.get(start..).unwrap_or_default();
    if start == 0 { end } else { end.split_once('\n').map_or(end, |(_, rest)| rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_and_the_reason_are_found() {
        let mut last = Refused::default();
        for message in [
            "libbpf: prog 'se_packet_out': BPF program load failed: -EACCES",
            "libbpf: prog 'se_packet_out': -- BEGIN PROG LOAD LOG --\n643: (85) call bpf_skb_load_bytes#26\nR4 invalid \
             zero-sized read: u64=[0,128]\nprocessed 308 insns (limit 1000000)\n-- END PROG LOAD LOG --",
            "libbpf: prog 'se_packet_out': failed to load: -EACCES",
            "libbpf: failed to load object 'sentinel_bpf'",
        ] {
            note(&mut last, message);
        }
        assert_eq!(last.symbol, "se_packet_out");
        assert_eq!(last.reason, "R4 invalid zero-sized read: u64=[0,128] (-EACCES)");
    }

    #[test]
    fn without_a_verifiers_log_the_errno_is_the_reason() {
        let mut last = Refused::default();
        note(&mut last, "libbpf: prog 'se_t_creds': failed to load: -EPERM");
        assert_eq!((last.symbol.as_str(), last.reason.as_str()), ("se_t_creds", "-EPERM"));
    }

    #[test]
    fn a_long_message_begins_with_a_line() {
        let long = "é\n".repeat(LOG_TAIL_BYTES);
        assert!(tail(&long).len() <= LOG_TAIL_BYTES && tail(&long).starts_with('é'));
        assert_eq!(tail("short"), "short");
    }
}
