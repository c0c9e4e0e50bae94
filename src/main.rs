//! The binary: see `sentinel_edge::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sentinel_edge::cli::main()
}
