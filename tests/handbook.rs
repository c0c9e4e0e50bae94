//! What the handbook (docs/operating.md, docs/troubleshooting.md) promises of itself: every block of commands runs in a
//! guest of `make test-package` or says why it cannot, and every message that it explains is one that the agent has.

use std::fs;
use std::path::{Path, PathBuf};

const HANDBOOK: [&str; 2] = ["docs/operating.md", "docs/troubleshooting.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn every_block_of_commands_runs_or_says_why_not() {
    let mut in_guests = 0;
    for name in HANDBOOK {
        let text = text(name);
        let mut is_open = false;
        for (at, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("```")) {
            if !is_open {
                let (place, mark) = (at + 1, line.strip_prefix("```sh ").unwrap_or_default());
                let is_by_hand = mark.strip_prefix("by hand: ").is_some_and(|why| why.len() > 10);
                assert!(
                    mark == "guest" || is_by_hand,
                    "{name}:{place}: neither run in a guest nor explained: {line}"
                );
                in_guests += usize::from(mark == "guest");
            }
            is_open = !is_open;
        }
        assert!(!is_open, "{name}: a block is not closed");
    }
    let script = text("packaging/scripts/test-package.sh");
    assert!(HANDBOOK.iter().all(|name| script.contains(name)), "the guests run the blocks of both");
    assert!(in_guests >= 5, "only {in_guests} blocks run");
}

fn sources(directory: &Path, into: &mut String) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).expect("src is readable").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("a source file is text"));
        }
    }
}

/// Literals that go on in the next line are one text.
fn joined(source: &str) -> String {
    let mut lines = source.lines();
    let mut out = String::new();
    let mut follows = false;
    for line in &mut lines {
        out.push_str(if follows { line.trim_start() } else { line });
        follows = out.ends_with('\\');
        if follows {
            out.pop();
        } else {
            out.push('\n');
        }
    }
    out
}

#[test]
fn messages_that_are_explained_exist() {
    let mut source = String::new();
    sources(&root().join("src"), &mut source);
    let source = joined(&source);
    let text = text("docs/troubleshooting.md");
    let section =
        text.split("## It does not start").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut count = 0;
    for row in rows {
        let message = row.split('|').nth(1).unwrap();
        // What stands between backticks is the program's; what differs from case to case is between them.
        for part in message.split('`').skip(1).step_by(2).map(str::trim) {
            assert!(source.contains(part), "no message of the agent has '{part}'");
        }
        count += 1;
    }
    assert!(count >= 10, "{count} messages");
}
