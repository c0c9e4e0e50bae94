//! Exit codes: one place, from which help, man page and `ExitCode` derive.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::kernel::plan;

macro_rules! exits {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal;)+) => {
        /// How a command ended. 1 and 101 are left out, so that a shell's failure or a panic is not mistaken for
        /// an answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Exit {
            $($(#[doc = $doc])+ $variant = $code,)+
        }

        impl Exit {
            /// Every code, in order.
            pub const ALL: &'static [Exit] = &[$(Exit::$variant,)+];

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Exit::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

exits! {
    /// All is well.
    Ok = 0;
    /// The command line is wrong.
    Usage = 2;
    /// The configuration is wrong.
    Configuration = 3;
    /// A privilege is missing.
    Privilege = 4;
    /// The kernel lacks something that the agent needs.
    KernelSupport = 5;
    /// Something failed while running.
    Runtime = 6;
    /// Another agent runs on this host.
    AlreadyRunning = 7;
    /// No agent runs on this host.
    NotRunning = 8;
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The table for help and man page.
    pub fn help() -> String {
        let mut out = String::from("Exit codes:\n");
        for exit in Exit::ALL {
            // Writing to a string does not fail.
            let _ = writeln!(out, "  {}  {}", exit.code(), exit.meaning());
        }
        out
    }
}

impl From<&plan::Error> for Exit {
    fn from(error: &plan::Error) -> Self {
        if error.is_privilege() { Exit::Privilege } else { Exit::KernelSupport }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
