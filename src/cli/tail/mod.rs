//! `sentinel-edge tail`: follows the running agent over its Unix socket.
//!
//! The client sends one JSON line, `{"classes":["exec"]}` (without `classes`: all), and then receives events as JSON
//! lines. Other filters work on this side, so that they cost the agent nothing. What the agent has to say itself
//! comes as a line with `sentineledge.tail`; it goes to standard error.

mod filter;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Deserialize;

pub use filter::Filter;

use super::exit::Exit;
use super::{agent, complain};
use crate::config::{Host, Resolved};
use crate::event::Kind;

/// A line longer than this is none of ours: arguments and environment are limited, and escaping makes at most six
/// bytes of one.
const LINE_MAX_BYTES: u64 = 4 << 20;

/// Arguments of `tail`.
#[derive(Debug, Clone, Default, Args)]
pub struct Arguments {
    /// Only events of these classes, or the findings of rules: `finding`
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = classes())]
    pub class: Vec<String>,
    /// Only events of these processes
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Only events of these users, by name or id
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    pub user: Vec<String>,
    /// Only events of these executables: a path or a name, * at the end matches the rest
    #[arg(long, value_name = "EXECUTABLE")]
    pub executable: Vec<String>,
    /// Only events of these containers, by the beginning of the id
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub container: Vec<String>,
    /// Print JSON lines instead of lines for people
    #[arg(long)]
    pub json: bool,
}

fn classes() -> PossibleValuesParser {
    let kinds = Kind::ALL.iter().filter(|kind| !kind.is_internal()).map(|kind| kind.name());
    PossibleValuesParser::new(std::iter::once(agent::FINDING).chain(kinds))
}

/// How following ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The agent closed the connection.
    Closed,
    /// The agent cut a client off that did not read.
    Cut {
        /// Events that were not sent.
        missed: u64,
    },
    /// The agent refused the request.
    Refused {
        /// Its reason.
        reason: String,
    },
    /// Whoever read our output is gone.
    Unread,
}

/// Follows until the agent stops, the reader of the output goes, or somebody presses Ctrl-C.
pub fn execute(arguments: &Arguments, resolved: &Resolved) -> Exit {
    let Some(tail) = &resolved.sink.tail else {
        complain(format_args!(
            "sentinel-edge: [tail] enabled is false, so the agent offers no socket to follow"
        ));
        return Exit::Configuration;
    };
    let stream = match UnixStream::connect(&tail.path) {
        Ok(stream) => stream,
        Err(error) => return unreachable_agent(&tail.path, &error),
    };
    let filter = Filter {
        pids: arguments.pid.clone(),
        users: arguments.user.clone(),
        executables: arguments.executable.clone(),
        containers: arguments.container.clone(),
    };
    let render = (!arguments.json).then(|| agent::compact(Host::detect().colour));
    let followed = request(&stream, &arguments.class).and_then(|()| {
        follow(BufReader::with_capacity(1 << 16, stream), &filter, render, io::stdout().lock())
    });
    match followed {
        Ok(End::Unread) => Exit::Ok,
        Ok(End::Closed) => {
            complain(format_args!("sentinel-edge: the agent has stopped"));
            Exit::Ok
        }
        Ok(End::Cut { missed }) => {
            complain(format_args!(
                "sentinel-edge: cut off by the agent, because this output was too slow\n\
                 {missed} events are missing here, not in the agent's file. Fewer classes (--class) need less."
            ));
            Exit::Runtime
        }
        Ok(End::Refused { reason }) => {
            complain(format_args!("sentinel-edge: the agent refused: {}", reason.escape_debug()));
            Exit::Runtime
        }
        Err(error) => {
            complain(format_args!("sentinel-edge: following {}: {error}", tail.path.display()));
            Exit::Runtime
        }
    }
}

fn unreachable_agent(path: &Path, error: &io::Error) -> Exit {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            complain(format_args!(
                "sentinel-edge: no agent runs here: nothing listens on {path}\n\
                 Start it with `systemctl start sentineledge`. If it uses another [core] runtime_dir, name its file \
                 with --config."
            ));
            Exit::NotRunning
        }
        io::ErrorKind::PermissionDenied => {
            complain(format_args!("sentinel-edge: no permission to connect to {path}; run as root"));
            Exit::Privilege
        }
        _ => {
            complain(format_args!("sentinel-edge: cannot connect to {path}: {error}"));
            Exit::Runtime
        }
    }
}

fn request(mut stream: &UnixStream, classes: &[String]) -> io::Result<()> {
    let wanted =
        if classes.is_empty() { serde_json::json!({}) } else { serde_json::json!({ "classes": classes }) };
    match stream.write_all(format!("{wanted}\n").as_bytes()) {
        // An agent that refuses closes at once; why, it has said before.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Copies lines that pass, for people if `render` is given. Writes whenever no further line is at hand, so that a
/// quiet host shows each event at once and a busy one costs few writes.
fn follow(
    mut input: BufReader<impl Read>,
    filter: &Filter,
    mut render: Option<agent::Render>,
    mut output: impl Write,
) -> io::Result<End> {
    let mut line = Vec::new();
    let mut shown = Vec::new();
    loop {
        line.clear();
        match input.by_ref().take(LINE_MAX_BYTES).read_until(b'\n', &mut line) {
            // What is left of a line is looked at below.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => line.clear(),
            read => drop(read?),
        }
        let whole = line.last() == Some(&b'\n');
        if !whole && line.len() as u64 == LINE_MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the agent sent a line without end"));
        }
        // What comes last without a line's end is half an event.
        let word = if whole { Word::read(&line) } else { None };
        let is_event = whole && word.is_none();
        let end = if whole { word.and_then(Word::tell) } else { Some(End::Closed) };
        if is_event && filter.passes(&line) {
            match &mut render {
                Some(render) => render(&line, &mut shown),
                None => shown.extend_from_slice(&line),
            }
        }
        if !shown.is_empty() && (end.is_some() || !input.buffer().contains(&b'\n')) {
            match output.write_all(&shown).and_then(|()| output.flush()) {
                Ok(()) => shown.clear(),
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(End::Unread),
                Err(e) => return Err(e),
            }
        }
        if let Some(end) = end {
            return Ok(end);
        }
    }
}

/// What the agent has to say itself.
#[derive(Debug, Deserialize)]
struct Word {
    /// The request was not understood, or there are too many clients; the end.
    error: Option<String>,
    /// This client reads too slowly; the end.
    #[serde(default)]
    cut: bool,
    /// Events that are missing here.
    #[serde(default)]
    missed: u64,
}

impl Word {
    /// `None` if the line is an event, which begins otherwise.
    fn read(line: &[u8]) -> Option<Word> {
        #[derive(Deserialize)]
        struct Outer {
            sentineledge: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            tail: Word,
        }
        if !line.starts_with(br#"{"sentineledge":{"tail":"#) {
            return None;
        }
        serde_json::from_slice::<Outer>(line).ok().map(|outer| outer.sentineledge.tail)
    }

    /// Passes it on; `Some` if it is the last word.
    fn tell(self) -> Option<End> {
        match self {
            Word { error: Some(reason), .. } => Some(End::Refused { reason }),
            Word { cut: true, missed, .. } => Some(End::Cut { missed }),
            Word { missed, .. } => {
                complain(format_args!(
                    "sentinel-edge: the agent could not keep up with the live view; {missed} events are missing here"
                ));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(input: &str, filter: &Filter) -> (End, String) {
        let mut output = Vec::new();
        let end = follow(BufReader::new(input.as_bytes()), filter, None, &mut output).unwrap();
        (end, String::from_utf8(output).unwrap())
    }

    #[test]
    fn lines_pass_until_the_agent_stops() {
        let (end, output) = followed("{\"a\":1}\n{\"a\":2}\n{\"half", &Filter::default());
        assert_eq!((end, output.as_str()), (End::Closed, "{\"a\":1}\n{\"a\":2}\n"));
    }

    #[test]
    fn filters_apply() {
        let filter = Filter { pids: vec![2], ..Filter::default() };
        let (_, output) = followed("{\"process\":{\"pid\":1}}\n{\"process\":{\"pid\":2}}\n", &filter);
        assert_eq!(output, "{\"process\":{\"pid\":2}}\n");
    }

    #[test]
    fn the_last_word_is_told_and_not_shown() {
        let input = "{\"a\":1}\n{\"sentineledge\":{\"tail\":{\"cut\":true,\"missed\":7}}}\n";
        let (end, output) = followed(input, &Filter { pids: vec![], ..Filter::default() });
        assert_eq!((end, output.as_str()), (End::Cut { missed: 7 }, "{\"a\":1}\n"));
    }

    #[test]
    fn a_line_without_end_is_an_error() {
        let endless = io::repeat(b'x');
        let error = follow(BufReader::new(endless), &Filter::default(), None, io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_reader_that_has_gone_ends_it_quietly() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let end = follow(BufReader::new(&b"{}\n{}\n"[..]), &Filter::default(), None, Gone).unwrap();
        assert_eq!(end, End::Unread);
    }
}
