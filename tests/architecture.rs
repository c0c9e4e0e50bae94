//! The rules that keep the source in shape, read from its text: who may import whom, how long a file may be, where
//! `unsafe` may stand, that every module says what it is and that every metric is counted somewhere.
//!
//! [`source`] strips comments, strings and test modules first, so that neither prose nor tests count as an import.

mod source;

use std::collections::BTreeSet;
use std::path::Path;

use sentinel_edge::metrics::Metrics;
use source::{Source, files};

/// Lines that a file may have. Past this it has more than one concern.
const LINES_MAX: usize = 600;

/// Who may import what of ours: a module and path prefixes. `*` stands for any module, `**` for everything.
const IMPORTS: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("util", &[]),
    ("metrics", &["event"]),
    ("procfs", &["util"]),
    // Of events only their kinds; a capture file also tells which host and boot it is from.
    ("kernel", &["metrics", "util", "event::Kind", "event::kind", "event::Host", "event::BootId"]),
    ("decode", &["kernel::abi", "event"]),
    ("enrich", &["event", "procfs", "metrics", "util"]),
    ("detect", &["event", "metrics", "util"]),
    ("sink", &["event", "metrics", "util"]),
    // Resolves each module's own section, and needs nothing else of the module.
    ("config", &["*::config", "*::Config", "event::Kind", "event::kind", "util"]),
    ("control", &["**"]),
    ("cli", &["**"]),
    ("main", &["cli", "control", "config"]),
    // The crate's root only declares the modules.
    ("lib", &[]),
];

/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &["src/kernel/", "src/control/privileges.rs"];

fn is_allowed(allowed: &str, path: &[String]) -> bool {
    if allowed == "**" {
        return true;
    }
    let pattern: Vec<&str> = allowed.split("::").collect();
    // An import of a whole module gives its user everything below.
    path.len() >= pattern.len() && pattern.iter().zip(path).all(|(want, have)| *want == "*" || want == have)
}

/// Imports of this file that the rules do not allow, and the file's module if it has no rule.
fn forbidden(file: &Source) -> Vec<String> {
    let Some((_, rules)) = IMPORTS.iter().find(|(module, _)| *module == file.module()) else {
        return vec![format!("{}: module {} has no rule in IMPORTS", file.path, file.module())];
    };
    let foreign = file.imports().into_iter().filter(|path| path[0] != file.module());
    foreign
        .filter(|path| !rules.iter().any(|rule| is_allowed(rule, path)))
        .map(|path| format!("{}: {} must not import {}", file.path, file.module(), path.join("::")))
        .collect()
}

#[test]
fn imports_follow_the_rules() {
    let wrong: Vec<String> = files("src", &["rs"]).iter().flat_map(forbidden).collect();
    assert_eq!(wrong, [""; 0], "a new edge between modules; see the rules in tests/architecture.rs");
}

#[test]
fn a_new_edge_is_noticed() {
    let file = |path: &str, text: &str| forbidden(&Source::new(path, text));
    assert_eq!(file("src/event/x.rs", "use crate::util::clock;").len(), 1);
    assert_eq!(file("src/event/deep/x.rs", "use super::super::super::util::clock;").len(), 1);
    assert_eq!(file("src/event/x.rs", "fn f() { crate::metrics::Metrics::default(); }").len(), 1);
    assert_eq!(file("src/kernel/x.rs", "use crate::{metrics::Metrics, event::{Kind, Event}};").len(), 1);
    assert_eq!(file("src/decode/x.rs", "use crate::kernel;").len(), 1);
    assert_eq!(file("src/config/x.rs", "use crate::sink::worker::Worker;").len(), 1);
    assert_eq!(
        file("src/config/x.rs", "use crate::{sink, util};\nfn f() -> sink::worker::Worker {}").len(),
        1
    );
    assert_eq!(file("src/main.rs", "use sentinel_edge::kernel::loader;").len(), 1);
    assert_eq!(file("src/newcomer/x.rs", "").len(), 1);

    assert_eq!(
        file("src/decode/x.rs", "use crate::kernel::abi::{types, Header};\nuse crate::event;"),
        [""; 0]
    );
    assert_eq!(file("src/event/deep/x.rs", "use super::super::kind::Kind;"), [""; 0]);
    assert_eq!(file("src/config/x.rs", "use crate::sink::config::FileConfig;"), [""; 0]);
    assert_eq!(file("src/config/x.rs", "use crate::sink;\nfn f() -> sink::Config {}"), [""; 0]);
    assert_eq!(
        file(
            "src/event/x.rs",
            "//! See [`crate::sink`].\n/* crate::sink */ const S: &str = \"crate::sink\";"
        ),
        [""; 0]
    );
    assert_eq!(file("src/event/x.rs", "#[cfg(test)]\nmod tests {\n use crate::decode::x;\n}\n"), [""; 0]);
}

#[test]
fn no_file_is_too_long() {
    let mut all = files("src", &["rs"]);
    all.extend(files("tests", &["rs"]));
    all.extend(files("benches", &["rs"]));
    all.extend(files("bpf", &["c", "h"]));
    all.extend(files("packaging", &["sh"]));
    let long =
        all.iter().filter(|f| f.lines() > LINES_MAX).map(|f| format!("{}: {} lines", f.path, f.lines()));
    assert_eq!(long.collect::<Vec<_>>(), [""; 0], "at most {LINES_MAX} lines");
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let stray = files("src", &["rs"])
        .into_iter()
        .filter(|f| f.has_word("unsafe") && !UNSAFE.iter().any(|place| f.path.starts_with(place)))
        .map(|f| f.path);
    assert_eq!(stray.collect::<Vec<_>>(), [""; 0], "unsafe belongs into {UNSAFE:?}");
}

#[test]
fn every_module_says_what_it_is() {
    let silent = ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| files(folder, &["rs"]))
        .filter(|f| !f.text.starts_with("//! "))
        .map(|f| f.path);
    assert_eq!(silent.collect::<Vec<_>>(), [""; 0], "a file opens with //!: what, why, how, limits");
}

#[test]
fn nothing_is_left_to_do() {
    let mut found = Vec::new();
    for file in files("src", &["rs"]).into_iter().chain(files("bpf", &["c", "h"])) {
        for (number, line) in file.text.lines().enumerate() {
            let left =
                ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("].iter().any(|word| line.contains(word));
            let bare_allow =
                (line.contains("#[allow(") || line.contains("#![allow(")) && !line.contains("reason");
            if left || bare_allow {
                found.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert_eq!(found, [""; 0], "finish it, or expect the lint with a reason");
}

#[test]
fn every_metric_is_counted_somewhere() {
    let code: Vec<String> = files("src", &["rs"])
        .iter()
        .filter(|f| f.module() != "metrics")
        // Without white space, so that a chain broken over lines is found.
        .map(|f| f.code().split_whitespace().collect())
        .collect();
    let is_written = |field: &str| {
        let mention = format!("metrics.{field}");
        code.iter().any(|code| {
            code.match_indices(&mention).any(|(at, _)| {
                let rest = &code[at + mention.len()..];
                let longer_name = rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                !longer_name && !rest.starts_with(".get(")
            })
        })
    };
    let dead: Vec<&str> = Metrics::DESCRIPTIONS.iter().map(|d| d.field).filter(|f| !is_written(f)).collect();
    assert_eq!(
        dead, [""; 0],
        "metrics that nothing counts (looked for `metrics.<field>` outside src/metrics)"
    );
}

#[test]
fn metrics_are_named_once() {
    let names: BTreeSet<&str> = Metrics::DESCRIPTIONS.iter().map(|d| d.name).collect();
    assert_eq!(names.len(), Metrics::DESCRIPTIONS.len());
    let odd = Metrics::DESCRIPTIONS.iter().filter(|d| {
        let ours = d.name.starts_with("sentinel_") || d.name.starts_with("process_");
        let sentence =
            d.help.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit()) && d.help.ends_with('.');
        !ours || !sentence || d.name.bytes().any(|b| !matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    });
    assert_eq!(odd.map(|d| d.name).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn kernel_sources_name_their_licence() {
    let bare = files("bpf", &["c", "h"]).into_iter().chain(files("vmlinux", &["h"])).filter(|f| {
        let first = f.text.lines().next().unwrap_or_default();
        !first.contains("SPDX-License-Identifier:")
    });
    assert_eq!(bare.map(|f| f.path).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_top_level_is_what_convention_expects() {
    let expected: BTreeSet<&str> = BTreeSet::from([
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "src",
        "bpf",
        "vmlinux",
        "packaging",
        "systemd",
        "tests",
        "README.md",
        "Makefile",
        "CHANGELOG.md",
        "LICENSE",
        "docs",
        "benches",
        "fuzz",
        "target",
    ]);
    let entries =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the package's directory is read");
    let names = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
    let stray =
        names.filter(|n| !n.starts_with('.') && !n.ends_with(".toml") && !expected.contains(n.as_str()));
    assert_eq!(stray.collect::<Vec<_>>(), [""; 0]);
}
