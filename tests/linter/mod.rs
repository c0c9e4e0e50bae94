//! Prometheus' own linter of metrics. `make test` brings promtool where it is missing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The one that the bootstrap fetched, else the host's.
fn program() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/promtool");
    if fetched.exists() { fetched } else { PathBuf::from("promtool") }
}

/// What `promtool check metrics` says of this text; empty if it finds nothing.
pub fn check(text: &str) -> String {
    let mut promtool = Command::new(program())
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
