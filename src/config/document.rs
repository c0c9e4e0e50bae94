//! The table for people: the file that packages install, and `docs/configuration.md`.
//!
//! Both are in the repository and a test compares them with what this module writes.

use std::fmt::Write as _;

use super::key::{Author, Effect, Key};
use super::profile;
use super::shape::Shape;
use super::source::{self, DEFAULT_PATH, PATH_VARIABLE};
use super::table;

/// Width of comments in the shipped file.
const WIDTH: usize = 100;

/// The shipped file: every key with its explanation, commented out with its default.
pub fn file() -> String {
    let mut out = String::from(
        "# Configuration of SentinelEdge.\n\
         #\n\
         # Every key stands here with its default; remove the # in front of one to change it. Everything else works\n\
         # without this file too. Then:\n\
         #\n\
         #   sentinel-edge check-config          says whether the file is right\n\
         #   sentinel-edge check-config --show   prints every value and where it comes from\n\
         #   systemctl reload sentineledge       makes changes effective that need no restart\n\
         #\n\
         # A flag goes before an environment variable, a variable before this file. Sizes are bytes, or text such as\n\
         # \"100MB\" (thousands) or \"64KiB\" (1024s). Keys that take effect on reload say so.\n",
    );
    for section in table::SECTIONS {
        out.push('\n');
        comment(&mut out, section.doc);
        // Writing to a string does not fail, here and below.
        let _ = writeln!(out, "[{}]", section.name);
        for key in section.keys {
            out.push('\n');
            comment(&mut out, &explained(key));
            // A line of a default has no space after the #, so that it can be told from an explanation.
            let default = key.default.lines().map(str::trim_start).collect::<Vec<_>>().join("\n#");
            let _ = writeln!(out, "#{} = {default}", key.name);
        }
    }
    out
}

fn explained(key: &Key) -> String {
    let expected = match key {
        // An explanation of words names them itself.
        Key { alias: Some(_), .. } | Key { shape: Shape::Switch | Shape::Word(_), .. } => String::new(),
        _ => format!(" Takes {}.", key.shape.expected()),
    };
    let reload = if key.effect == Effect::Reload { " Effective on reload." } else { "" };
    format!("{}{expected}{reload}", key.doc)
}

fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(out, "{line}");
            line.truncate(1);
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(out, "{line}");
}

/// `docs/configuration.md`.
pub fn markdown() -> String {
    let mut out = format!(
        "# Configuration\n\
         \n\
         <!-- Written from src/config/table.rs by `WRITE_GOLDEN=1 cargo test --test config`; edit that. -->\n\
         \n\
         The agent reads `{DEFAULT_PATH}`, or the file that `--config` or `{PATH_VARIABLE}` names. It needs none: every\n\
         key has a default. `sentinel-edge check-config` says whether a file is right, with line, key and the\n\
         nearest valid name for each mistake; `check-config --show` prints every value and where it comes from.\n\
         \n\
         A flag goes before an environment variable, a variable before the file, the file before the profile, and that\n\
         before the default. An empty variable counts as unset. Sizes are bytes, or text such as `\"100MB\"` (thousands) or `\"64KiB\"` (1024s).\n\
         Of the keys, those marked *reload* take effect at SIGHUP (`systemctl reload sentineledge`), the others at the\n\
         next start; a file with a mistake changes nothing. Keys marked † are this project's, the others are the\n\
         deployment guide's.\n\
         \n\
         The file should belong to root with mode 600. One that everybody can write to is refused; one that its group\n\
         can write to is warned of. No key holds a secret: token and private key are files of their own.\n"
    );
    for section in table::SECTIONS {
        let _ = write!(
            out,
            "\n## [{}]\n\n{}\n\n| key | default | takes | effect | what |\n|---|---|---|---|---|\n",
            section.name, section.doc
        );
        for key in section.keys {
            row(&mut out, key);
        }
    }
    profiles(&mut out);
    variables(&mut out);
    out.push_str(NOTES);
    out
}

fn row(out: &mut String, key: &Key) {
    let own = if key.author == Author::Ours { " †" } else { "" };
    let default = key.default.split_whitespace().collect::<Vec<_>>().join(" ");
    let effect = if key.effect == Effect::Reload { "reload" } else { "restart" };
    let _ = writeln!(
        out,
        "| `{}`{own} | `{}` | {} | {effect} | {} |",
        key.name,
        default.replace("[ ", "[").replace(" ]", "]"),
        cell(&key.shape.expected()),
        cell(key.doc)
    );
}

/// Text fit for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn profiles(out: &mut String) {
    out.push_str(
        "\n## Profiles\n\nWhat `[core] profile` changes of the defaults. The agent takes a size by its name, or with `auto` by the host: less\n\
         than 2 GB of memory or fewer than 4 CPUs are small, more than 8 GB and more than 8 CPUs are large, what is\n\
         between is medium. `check-config --show` says which values come from a profile, `doctor` which size this host has.\n\n",
    );
    let _ = writeln!(out, "| key | {} |\n|---|{}|", profile::SIZES.join(" | "), ["--:"; 3].join("|"));
    for (section, name, values) in profile::VALUES {
        let _ = writeln!(out, "| `[{section}] {name}` | {} |", values.join(" | "));
    }
}

fn variables(out: &mut String) {
    out.push_str("\n## Environment\n\n| variable | sets |\n|---|---|\n");
    for (name, sets) in source::described() {
        let _ = writeln!(out, "| `{name}` | {sets} |");
    }
}

const NOTES: &str = "
## Where keys meet

- Level of the agent's own log: `--log-level`, then `RUST_LOG`, `SENTINEL_LOG_LEVEL`, `[logging] level`, `[core]
  log_level`. Each takes a level or a list by module such as `info,sentinel_edge::kernel=debug`.
- `log_file` and `output`, `max_log_files` and `max_files` are two names of one thing each. Both may stand in the file
  if they agree; if they do not, that is an error which names both lines.
- TOML allows one `[logging]` in a file. Who pastes both examples of the guide puts the keys under one heading.
- Rotation: at the change of day (UTC) and at `max_size`, whichever comes first, unless `log_rotation` or `rotate` say
  otherwise. `rotate = false` beside `log_rotation = \"daily\"` is an error.
- The guide shows `prometheus_endpoint = \"0.0.0.0:9090\"`. An address that other hosts can reach is refused unless
  there are `tls_cert`, `tls_key` and `token_file`, or `allow_insecure = true`.
- The two ports must differ.
- `ring_buffer_size` must be a multiple of the page size, which is not 4096 on every host.
";
