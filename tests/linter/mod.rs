//! Prometheus' own tools: its linter of metrics, and whatever else is run on files. `make test` brings them where they
//! are missing.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The one that the bootstrap fetched, else the host's.
pub fn program(name: &str) -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(name);
    if fetched.exists() { fetched } else { PathBuf::from(name) }
}

/// Runs one of the tools in a directory; what it says if it finds fault.
pub fn run(name: &str, arguments: &[&str], directory: &Path) -> Result<(), String> {
    let output = Command::new(program(name)).args(arguments).current_dir(directory).output();
    let output = output
        .unwrap_or_else(|e| panic!("{name} must be on the PATH: `make test` fetches it, or install it: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(()) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}

/// What `promtool check metrics` says of this text; empty if it finds nothing.
pub fn check(text: &str) -> String {
    let mut promtool = Command::new(program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool must be on the PATH: `make test` fetches it, or install Prometheus");
    let mut stdin = promtool.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("promtool reads its input");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let mut said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && said.is_empty() {
        said = output.status.to_string();
    }
    said
}
