//! `/proc/PID/stat`: one line, fields counted from 1 as in proc_pid_stat(5).
//!
//! Field 2 is the short name in parentheses. It may hold blanks, parentheses and line feeds, so it ends at the
//! *last* closing parenthesis; what follows is numbers only.

use super::{fields, number};

/// Ticks a second in which /proc counts time, whatever the kernel's own tick is.
pub const TICKS_PER_SECOND: u64 = 100;

/// The fields that are of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// 1: process id.
    pub pid: u32,
    /// 2: short name.
    pub comm: Vec<u8>,
    /// 3: state, such as `R`, `S` or `Z`.
    pub state: u8,
    /// 4: parent.
    pub ppid: u32,
    /// 5: process group.
    pub pgid: u32,
    /// 6: session.
    pub sid: u32,
    /// 7: controlling terminal, as the kernel's encoding of a device number; 0 if none.
    pub tty_nr: u32,
    /// 9: the kernel's flags of the task.
    pub flags: u32,
    /// 14: user time in ticks.
    pub utime_ticks: u64,
    /// 15: system time in ticks.
    pub stime_ticks: u64,
    /// 22: start since boot in ticks. The kernel rounds down.
    pub start_ticks: u64,
    /// 23: virtual memory.
    pub vsize_bytes: u64,
    /// 24: resident memory in pages.
    pub rss_pages: u64,
}

impl Stat {
    const PF_KTHREAD: u32 = 0x0020_0000;

    /// A kernel thread.
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & Self::PF_KTHREAD != 0
    }

    /// Major and minor number of the controlling terminal; `new_encode_dev` of include/linux/kdev_t.h, undone.
    pub fn tty(&self) -> Option<(u32, u32)> {
        let number = self.tty_nr;
        (number != 0).then_some((number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00))
    }

    /// The earliest start, in nanoseconds of the boot clock, that shows as `start_ticks`.
    pub fn start_ns(&self) -> u64 {
        self.start_ticks.saturating_mul(1_000_000_000 / TICKS_PER_SECOND)
    }

    /// Parses the file.
    pub fn parse(text: &[u8]) -> Option<Stat> {
        let open = text.iter().position(|&b| b == b'(')?;
        let close = text.iter().rposition(|&b| b == b')')?;
        let comm = text.get(open + 1..close)?;
        let pid = number(fields(&text[..open]).next()?)?;
        let rest: Vec<&[u8]> = fields(&text[close + 1..]).take(22).collect();
        // The first of the rest is field 3.
        let field = |n: usize| rest.get(n - 3).copied();
        // Fields that can be negative, such as a missing process group, are 0 then.
        let id = |n: usize| field(n).map(|text| number::<u32>(text).unwrap_or(0));
        Some(Stat {
            pid,
            comm: comm.to_vec(),
            state: *field(3)?.first()?,
            ppid: id(4)?,
            pgid: id(5)?,
            sid: id(6)?,
            tty_nr: id(7)?,
            flags: id(9)?,
            utime_ticks: number(field(14)?)?,
            stime_ticks: number(field(15)?)?,
            start_ticks: number(field(22)?)?,
            vsize_bytes: field(23).and_then(number).unwrap_or(0),
            rss_pages: field(24).and_then(number).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REST: &str =
        "S 1 77 77 34816 77 4194560 100 0 0 0 12 34 0 0 20 0 1 0 54321 8192000 250 18446744073709551615";

    #[test]
    fn names_with_blanks_and_parentheses() {
        for comm in ["bash", "a b", ") R 9 9", "((", "))", "", "x) S 1 (y", "new\nline"] {
            let stat = Stat::parse(format!("42 ({comm}) {REST}\n").as_bytes()).unwrap();
            assert_eq!((stat.pid, stat.comm.as_slice()), (42, comm.as_bytes()));
            assert_eq!((stat.state, stat.ppid, stat.sid, stat.tty_nr), (b'S', 1, 77, 34816));
            assert_eq!((stat.start_ticks, stat.start_ns()), (54321, 543_210_000_000));
            assert_eq!((stat.utime_ticks, stat.stime_ticks, stat.rss_pages), (12, 34, 250));
            assert!(!stat.is_kernel_thread());
        }
    }

    #[test]
    fn what_is_short_is_refused() {
        let whole = format!("42 (a) {REST}");
        let needed = whole.find(" 8192000").unwrap();
        assert!(Stat::parse(&whole.as_bytes()[..needed]).is_some());
        assert!(Stat::parse(b"42 (a) S 1 77 77 34816 77 4194560").is_none());
        assert!(Stat::parse(b"").is_none());
        assert!(Stat::parse(b")(").is_none());
    }

    #[test]
    fn a_real_one() {
        let stat = Stat::parse(&std::fs::read("/proc/self/stat").unwrap()).unwrap();
        assert_eq!(stat.pid, std::process::id());
        assert!(stat.start_ticks > 0 && stat.rss_pages > 0);
        let two = Stat::parse(b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 0 0 0").unwrap();
        assert!(two.is_kernel_thread());
    }

    proptest! {
        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Stat::parse(&bytes);
        }

        #[test]
        fn any_name_is_found(comm in proptest::collection::vec(any::<u8>(), 0..16)) {
            let mut text = b"7 (".to_vec();
            text.extend(&comm);
            text.extend(b") ");
            text.extend(REST.as_bytes());
            prop_assert_eq!(Stat::parse(&text).unwrap().comm, comm);
        }
    }
}
