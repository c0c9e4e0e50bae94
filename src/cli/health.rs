//! `sentinel-edge health`: asks the running agent how it is, for container engines and scripts.
//!
//! Asked is the agent's private Unix socket in `runtime_dir`, so that neither a port nor TLS nor a token is needed, and an
//! agent that listens nowhere can be asked, too. Only root, or whoever the agent runs as, may connect. As a client without
//! a token it hears the status and its reasons; a degraded agent watches, so it counts as healthy here as it does for
//! `/health`.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::exit::Exit;
use super::{complain, print};
use crate::config::Resolved;

/// An agent that needs longer to answer is not well.
const DEADLINE: Duration = Duration::from_secs(5);

/// An answer is a few kilobytes.
const ANSWER_MAX_BYTES: u64 = 1 << 20;

/// Arguments of `health`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Arguments {
    /// Ask whether everything that was asked for works, as /ready does, not only whether the agent watches
    #[arg(long)]
    pub ready: bool,
    /// Print the answer as it is
    #[arg(long)]
    pub json: bool,
}

/// Asks, and tells by the exit code.
pub fn execute(arguments: &Arguments, resolved: &Resolved) -> Exit {
    let socket = &resolved.control.http.socket;
    let (code, body) = match ask(socket, if arguments.ready { "/ready" } else { "/health" }) {
        Ok(answer) => answer,
        Err(error) => {
            let what = format!("{}: {error}", socket.display());
            return match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                    let path = socket.display();
                    complain(format_args!("sentinel-edge: no agent runs here: nothing listens on {path}"));
                    Exit::NotRunning
                }
                ErrorKind::PermissionDenied => {
                    complain(format_args!("sentinel-edge: only root may ask the agent ({what})"));
                    Exit::Privilege
                }
                _ => {
                    complain(format_args!("sentinel-edge: the agent gives no answer ({what})"));
                    Exit::Runtime
                }
            };
        }
    };
    if arguments.json {
        print(body.trim_end());
        print("\n");
    } else {
        print(&said(&body));
    }
    if code == 200 { Exit::Ok } else { Exit::Runtime }
}

/// Status and reasons, one a line.
fn said(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let mut text = format!("{}\n", body["status"].as_str().unwrap_or("unknown"));
    for reason in body["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        text.push_str("  ");
        text.push_str(reason);
        text.push('\n');
    }
    text
}

/// The status and the body of an answer.
fn ask(socket: &Path, path: &str) -> io::Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX_BYTES).read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the answer is not HTTP"))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.1 ").or_else(|| head.strip_prefix("HTTP/1.0 "))?;
    Some((code.get(..3)?.parse().ok()?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_others_refused() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse(answer), Some((503, "{}".to_owned())));
        for wrong in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 \u{e9}\u{e9}\r\n\r\n"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(said(r#"{"status":"degraded","reasons":["a","b"]}"#), "degraded\n  a\n  b\n");
        assert_eq!(said("no JSON"), "unknown\n");
    }
}
