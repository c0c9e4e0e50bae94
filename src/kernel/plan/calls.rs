//! Numbers of the system calls that sensors may want, per architecture.
//!
//! The kernel side knows calls by `enum se_call`, the same everywhere. [`Routes`] are the tables from the kernel's
//! numbers to those, for one plan; they become constants of the programs (`se_calls` and its like in
//! `bpf/lib/knobs.bpf.h`). The numbers are the kernel's ABI: arch/x86/entry/syscalls/syscall_{64,32}.tbl,
//! scripts/syscall.tbl for arm64, arch/arm/tools/syscall.tbl for its 32-bit callers.

use crate::kernel::abi::types::{se_call, se_limit, se_route};

/// Entries of the table for 64-bit callers.
pub const NR_MAX: usize = se_limit::SE_NR_MAX.0 as usize;

/// Entries of the table for 32-bit callers.
pub const NR_32_MAX: usize = se_limit::SE_NR_32_MAX.0 as usize;

/// No such call on that architecture.
const NONE: u16 = u16::MAX;

macro_rules! calls {
    ($($variant:ident = $number:ident: $x86_64:expr, $i386:expr, $arm64:expr, $arm:expr;)+) => {
        /// A system call, by what it does and not by its number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        #[expect(clippy::cast_possible_truncation, reason = "asserted beside each")]
        pub enum Call {
            $(
                #[doc = concat!("`", stringify!($number), "`")]
                $variant = { assert!(se_call::$number.0 < 256); se_call::$number.0 as u8 },
            )+
        }

        impl Call {
            /// Every call.
            pub const ALL: &'static [Call] = &[$(Call::$variant,)+];

            /// Its numbers: for 64-bit callers of this architecture, and for 32-bit ones.
            const fn numbers(self) -> (u16, u16) {
                match self {
                    $(Call::$variant if cfg!(target_arch = "x86_64") => ($x86_64, $i386),
                    Call::$variant => ($arm64, $arm),)+
                }
            }
        }
    };
}

calls! {
    Execve = SE_CALL_EXECVE: 59, 11, 221, 11;
    Execveat = SE_CALL_EXECVEAT: 322, 358, 281, 387;
    Open = SE_CALL_OPEN: 2, 5, NONE, 5;
    Openat = SE_CALL_OPENAT: 257, 295, 56, 322;
    Openat2 = SE_CALL_OPENAT2: 437, 437, 437, 437;
    Creat = SE_CALL_CREAT: 85, 8, NONE, 8;
    OpenByHandleAt = SE_CALL_OPEN_BY_HANDLE_AT: 304, 342, 265, 371;
    Close = SE_CALL_CLOSE: 3, 6, 57, 6;
    Rename = SE_CALL_RENAME: 82, 38, NONE, 38;
    Renameat = SE_CALL_RENAMEAT: 264, 302, 38, 329;
    Renameat2 = SE_CALL_RENAMEAT2: 316, 353, 276, 382;
    Unlink = SE_CALL_UNLINK: 87, 10, NONE, 10;
    Unlinkat = SE_CALL_UNLINKAT: 263, 301, 35, 328;
    Rmdir = SE_CALL_RMDIR: 84, 40, NONE, 40;
    Link = SE_CALL_LINK: 86, 9, NONE, 9;
    Linkat = SE_CALL_LINKAT: 265, 303, 37, 330;
    Symlink = SE_CALL_SYMLINK: 88, 83, NONE, 83;
    Symlinkat = SE_CALL_SYMLINKAT: 266, 304, 36, 331;
    Mkdir = SE_CALL_MKDIR: 83, 39, NONE, 39;
    Mkdirat = SE_CALL_MKDIRAT: 258, 296, 34, 323;
    Mknod = SE_CALL_MKNOD: 133, 14, NONE, 14;
    Mknodat = SE_CALL_MKNODAT: 259, 297, 33, 324;
    Chmod = SE_CALL_CHMOD: 90, 15, NONE, 15;
    Fchmod = SE_CALL_FCHMOD: 91, 94, 52, 94;
    Fchmodat = SE_CALL_FCHMODAT: 268, 306, 53, 333;
    Fchmodat2 = SE_CALL_FCHMODAT2: 452, 452, 452, 452;
    Chown = SE_CALL_CHOWN: 92, 182, NONE, 182;
    Fchown = SE_CALL_FCHOWN: 93, 95, 55, 95;
    Lchown = SE_CALL_LCHOWN: 94, 16, NONE, 16;
    Fchownat = SE_CALL_FCHOWNAT: 260, 298, 54, 325;
    Chown32 = SE_CALL_CHOWN32: NONE, 212, NONE, 212;
    Fchown32 = SE_CALL_FCHOWN32: NONE, 207, NONE, 207;
    Lchown32 = SE_CALL_LCHOWN32: NONE, 198, NONE, 198;
    Setxattr = SE_CALL_SETXATTR: 188, 226, 5, 226;
    Lsetxattr = SE_CALL_LSETXATTR: 189, 227, 6, 227;
    Fsetxattr = SE_CALL_FSETXATTR: 190, 228, 7, 228;
    Setxattrat = SE_CALL_SETXATTRAT: 463, 463, 463, 463;
    Removexattr = SE_CALL_REMOVEXATTR: 197, 235, 14, 235;
    Lremovexattr = SE_CALL_LREMOVEXATTR: 198, 236, 15, 236;
    Fremovexattr = SE_CALL_FREMOVEXATTR: 199, 237, 16, 237;
    Removexattrat = SE_CALL_REMOVEXATTRAT: 466, 466, 466, 466;
    Truncate = SE_CALL_TRUNCATE: 76, 92, 45, 92;
    Ftruncate = SE_CALL_FTRUNCATE: 77, 93, 46, 93;
    Truncate64 = SE_CALL_TRUNCATE64: NONE, 193, NONE, 193;
    Ftruncate64 = SE_CALL_FTRUNCATE64: NONE, 194, NONE, 194;
    Utime = SE_CALL_UTIME: 132, 30, NONE, NONE;
    Utimes = SE_CALL_UTIMES: 235, 271, NONE, 269;
    Futimesat = SE_CALL_FUTIMESAT: 261, 299, NONE, 326;
    Utimensat = SE_CALL_UTIMENSAT: 280, 320, 88, 348;
    UtimensatTime64 = SE_CALL_UTIMENSAT_TIME64: NONE, 412, NONE, 412;
    Mount = SE_CALL_MOUNT: 165, 21, 40, 21;
    Umount2 = SE_CALL_UMOUNT2: 166, 52, 39, 52;
    Umount = SE_CALL_UMOUNT: NONE, 22, NONE, NONE;
    PivotRoot = SE_CALL_PIVOT_ROOT: 155, 217, 41, 218;
    Chroot = SE_CALL_CHROOT: 161, 61, 51, 61;
    MoveMount = SE_CALL_MOVE_MOUNT: 429, 429, 429, 429;
    Fsmount = SE_CALL_FSMOUNT: 432, 432, 432, 432;
    MountSetattr = SE_CALL_MOUNT_SETATTR: 442, 442, 442, 442;
    Socket = SE_CALL_SOCKET: 41, 359, 198, 281;
    Connect = SE_CALL_CONNECT: 42, 362, 203, 283;
    Accept = SE_CALL_ACCEPT: 43, NONE, 202, 285;
    Accept4 = SE_CALL_ACCEPT4: 288, 364, 242, 366;
    Bind = SE_CALL_BIND: 49, 361, 200, 282;
    Listen = SE_CALL_LISTEN: 50, 363, 201, 284;
    Sendto = SE_CALL_SENDTO: 44, 369, 206, 290;
    Sendmsg = SE_CALL_SENDMSG: 46, 370, 211, 296;
    Sendmmsg = SE_CALL_SENDMMSG: 307, 345, 269, 374;
    Socketcall = SE_CALL_SOCKETCALL: NONE, 102, NONE, NONE;
    Setuid = SE_CALL_SETUID: 105, 23, 146, 23;
    Setgid = SE_CALL_SETGID: 106, 46, 144, 46;
    Setreuid = SE_CALL_SETREUID: 113, 70, 145, 70;
    Setregid = SE_CALL_SETREGID: 114, 71, 143, 71;
    Setresuid = SE_CALL_SETRESUID: 117, 164, 147, 164;
    Setresgid = SE_CALL_SETRESGID: 119, 170, 149, 170;
    Setfsuid = SE_CALL_SETFSUID: 122, 138, 151, 138;
    Setfsgid = SE_CALL_SETFSGID: 123, 139, 152, 139;
    Setgroups = SE_CALL_SETGROUPS: 116, 81, 159, 81;
    Capset = SE_CALL_CAPSET: 126, 185, 91, 185;
    Setuid32 = SE_CALL_SETUID32: NONE, 213, NONE, 213;
    Setgid32 = SE_CALL_SETGID32: NONE, 214, NONE, 214;
    Setreuid32 = SE_CALL_SETREUID32: NONE, 203, NONE, 203;
    Setregid32 = SE_CALL_SETREGID32: NONE, 204, NONE, 204;
    Setresuid32 = SE_CALL_SETRESUID32: NONE, 208, NONE, 208;
    Setresgid32 = SE_CALL_SETRESGID32: NONE, 210, NONE, 210;
    Setfsuid32 = SE_CALL_SETFSUID32: NONE, 215, NONE, 215;
    Setfsgid32 = SE_CALL_SETFSGID32: NONE, 216, NONE, 216;
    Setgroups32 = SE_CALL_SETGROUPS32: NONE, 206, NONE, 206;
    Ptrace = SE_CALL_PTRACE: 101, 26, 117, 26;
    ProcessVmReadv = SE_CALL_PROCESS_VM_READV: 310, 347, 270, 376;
    ProcessVmWritev = SE_CALL_PROCESS_VM_WRITEV: 311, 348, 271, 377;
    PidfdGetfd = SE_CALL_PIDFD_GETFD: 438, 438, 438, 438;
    InitModule = SE_CALL_INIT_MODULE: 175, 128, 105, 128;
    FinitModule = SE_CALL_FINIT_MODULE: 313, 350, 273, 379;
    DeleteModule = SE_CALL_DELETE_MODULE: 176, 129, 106, 129;
    KexecLoad = SE_CALL_KEXEC_LOAD: 246, 283, 104, 347;
    KexecFileLoad = SE_CALL_KEXEC_FILE_LOAD: 320, NONE, 294, 401;
    Bpf = SE_CALL_BPF: 321, 357, 280, 386;
    PerfEventOpen = SE_CALL_PERF_EVENT_OPEN: 298, 336, 241, 364;
    Reboot = SE_CALL_REBOOT: 169, 88, 142, 88;
    Swapon = SE_CALL_SWAPON: 167, 87, 224, 87;
    Swapoff = SE_CALL_SWAPOFF: 168, 115, 225, 115;
    Userfaultfd = SE_CALL_USERFAULTFD: 323, 374, 282, 388;
    MemfdCreate = SE_CALL_MEMFD_CREATE: 319, 356, 279, 385;
    MemfdSecret = SE_CALL_MEMFD_SECRET: 447, 447, 447, NONE;
    Mmap = SE_CALL_MMAP: 9, 90, 222, NONE;
    Mmap2 = SE_CALL_MMAP2: NONE, 192, NONE, 192;
    Mprotect = SE_CALL_MPROTECT: 10, 125, 226, 125;
    PkeyMprotect = SE_CALL_PKEY_MPROTECT: 329, 380, 288, 394;
    Unshare = SE_CALL_UNSHARE: 272, 310, 97, 337;
    Setns = SE_CALL_SETNS: 308, 346, 268, 375;
    IoUringSetup = SE_CALL_IO_URING_SETUP: 425, 425, 425, 425;
    IoUringEnter = SE_CALL_IO_URING_ENTER: 426, 426, 426, 426;
    Kill = SE_CALL_KILL: 62, 37, 129, 37;
    Tkill = SE_CALL_TKILL: 200, 238, 130, 238;
    Tgkill = SE_CALL_TGKILL: 234, 270, 131, 268;
    RtSigqueueinfo = SE_CALL_RT_SIGQUEUEINFO: 129, 178, 138, 178;
    RtTgsigqueueinfo = SE_CALL_RT_TGSIGQUEUEINFO: 297, 335, 240, 363;
    PidfdSendSignal = SE_CALL_PIDFD_SEND_SIGNAL: 424, 424, 424, 424;
    Prctl = SE_CALL_PRCTL: 157, 172, 167, 172;
    AddKey = SE_CALL_ADD_KEY: 248, 286, 217, 309;
    RequestKey = SE_CALL_REQUEST_KEY: 249, 287, 218, 310;
    Keyctl = SE_CALL_KEYCTL: 250, 288, 219, 311;
    Sethostname = SE_CALL_SETHOSTNAME: 170, 74, 161, 74;
    Setdomainname = SE_CALL_SETDOMAINNAME: 171, 121, 162, 121;
    Settimeofday = SE_CALL_SETTIMEOFDAY: 164, 79, 170, 79;
    ClockSettime = SE_CALL_CLOCK_SETTIME: 227, 264, 112, 262;
    ClockSettime64 = SE_CALL_CLOCK_SETTIME64: NONE, 404, NONE, 404;
    Adjtimex = SE_CALL_ADJTIMEX: 159, 124, 171, 124;
    ClockAdjtime = SE_CALL_CLOCK_ADJTIME: 305, 343, 266, 372;
    ClockAdjtime64 = SE_CALL_CLOCK_ADJTIME64: NONE, 405, NONE, 405;
    Stime = SE_CALL_STIME: NONE, 25, NONE, NONE;
}

/// Calls of the x32 ABI that have numbers of their own, as their structs hold 32-bit pointers.
#[cfg(target_arch = "x86_64")]
const X32: &[(usize, Call)] = &[
    (518, Call::Sendmsg),
    (520, Call::Execve),
    (521, Call::Ptrace),
    (524, Call::RtSigqueueinfo),
    (528, Call::KexecLoad),
    (536, Call::RtTgsigqueueinfo),
    (538, Call::Sendmmsg),
    (539, Call::ProcessVmReadv),
    (540, Call::ProcessVmWritev),
    (545, Call::Execveat),
];
#[cfg(not(target_arch = "x86_64"))]
const X32: &[(usize, Call)] = &[];

/// Which results of a call somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Results {
    /// Those that worked.
    Good,
    /// Those that failed.
    Bad,
    /// All.
    All,
}

/// The tables of one plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// By number, for callers of either kind: bits of `enum se_route`.
    pub any: [u8; NR_MAX],
    /// By number, for 64-bit callers: `enum se_call`.
    pub wide: [u8; NR_MAX],
    /// By number, for 32-bit callers: `enum se_call`.
    pub narrow: [u8; NR_32_MAX],
}

impl Routes {
    /// Tables for these calls.
    pub fn new(wanted: impl IntoIterator<Item = (Call, Results)>) -> Self {
        let mut routes = Routes { any: [0; NR_MAX], wide: [0; NR_MAX], narrow: [0; NR_32_MAX] };
        for (call, results) in wanted {
            let (wide, narrow) = call.numbers();
            let extra = X32.iter().filter(|(_, other)| *other == call).map(|(number, _)| *number);
            for number in [usize::from(wide)].into_iter().chain(extra).filter(|n| *n < NR_MAX) {
                routes.wide[number] = call as u8;
                routes.mark(number, results);
            }
            if usize::from(narrow) < NR_32_MAX {
                routes.narrow[usize::from(narrow)] = call as u8;
                routes.mark(usize::from(narrow), results);
            }
        }
        routes
    }

    /// A number may mean two calls; what either wants is let through, and the program looks again.
    #[expect(clippy::cast_possible_truncation, reason = "the bits fit")]
    fn mark(&mut self, number: usize, results: Results) {
        const ANY: u8 = se_route::SE_ROUTE_ANY.0 as u8;
        const FAILED: u8 = se_route::SE_ROUTE_FAILED.0 as u8;
        const ONLY_FAILED: u8 = se_route::SE_ROUTE_ONLY_FAILED.0 as u8;
        let old = self.any[number];
        let mut new = old | ANY | if results == Results::Good { 0 } else { FAILED };
        if results == Results::Bad && (old == 0 || old & ONLY_FAILED != 0) {
            new |= ONLY_FAILED;
        } else {
            new &= !ONLY_FAILED;
        }
        self.any[number] = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_number_somewhere_and_none_is_taken_twice() {
        for pick in [|call: Call| call.numbers().0, |call: Call| call.numbers().1] {
            let mut seen = std::collections::BTreeMap::new();
            for call in Call::ALL {
                let number = pick(*call);
                if number != NONE {
                    assert_eq!(seen.insert(number, *call), None, "{call:?} and another are {number}");
                }
            }
        }
        for call in Call::ALL {
            assert_ne!(call.numbers(), (NONE, NONE), "{call:?}");
        }
    }

    #[test]
    fn a_number_of_two_calls_lets_through_what_either_wants() {
        // 11 is munmap to 64-bit callers of x86 and execve to 32-bit ones.
        let routes = Routes::new([(Call::Execve, Results::Bad)]);
        let (wide, narrow) = Call::Execve.numbers();
        assert_eq!(routes.wide[usize::from(wide)], Call::Execve as u8);
        assert_eq!(routes.narrow[usize::from(narrow)], Call::Execve as u8);
        assert_eq!(routes.any[usize::from(wide)], 7);
        let both = Routes::new([(Call::Execve, Results::Bad), (Call::Execve, Results::Good)]);
        assert_eq!(both.any[usize::from(wide)], 3);
        assert_eq!(
            routes.any.iter().filter(|route| **route != 0).count(),
            2 + usize::from(cfg!(target_arch = "x86_64"))
        );
    }
}
