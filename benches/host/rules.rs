//! Rules: how fast events are judged, beside another implementation, and what rules and indicators take.
//!
//! In this process, on one thread: the public rules for processes of the test data and the built-in ones, over the
//! thousand generated events of the test data, no two of which are alike, and copies of them whose command lines are all
//! different, so that what is remembered of values is not more than a host's processes and their parents give. The other
//! implementation, rsigma-eval, which remembers nothing, gets those of the rules that it takes, and the thousand events.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rsigma_eval::Engine;
use rsigma_eval::event::JsonEvent;
use sentinel_edge::detect::indicator::{self, Limits};
use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::row::Row;
use sentinel_edge::detect::sigma::scratch::Scratch;
use sentinel_edge::detect::sigma::search::Placeholders;
use sentinel_edge::detect::sigma::set::{Set, Source};
use sentinel_edge::detect::sigma::verdicts::Verdicts;
use sentinel_edge::detect::view::flat::Flat;
use sentinel_edge::detect::view::packed::Packed;
use sentinel_edge::detect::{load, pack};
use serde_json::Value;

use crate::Result;
use crate::host;
use crate::report::{Goal, below};
use crate::stats::Samples;

/// How long a single measurement takes at least.
const LENGTH: Duration = Duration::from_millis(500);

/// Rules of the large set.
const MANY: usize = 10_000;

/// Copies of the events.
const COPIES: usize = 4;

/// Rules and indicators whose memory is looked at.
const RULES: usize = 1000;
const INDICATORS: usize = 1_000_000;

/// What was measured: events a second, and memory in MB.
pub struct Rules {
    /// Public and built-in rules about processes.
    pub rules: usize,
    /// Of the public rules alone.
    pub public: Samples,
    /// Of all of them, every event judged.
    pub judged: Samples,
    /// The same, with verdicts remembered, events coming again and again.
    pub remembered: Samples,
    /// The other implementation, and how many rules it took.
    pub other: Samples,
    /// Rules that it took.
    pub other_rules: usize,
    /// How many times as many are judged here, by round.
    pub ratio: Samples,
    /// With so many variations of the rules.
    pub many: Samples,
    /// Of a thousand rules.
    pub rules_mb: f64,
    /// Of a million indicators.
    pub indicators_mb: f64,
}

/// Measures.
pub fn measure(directory: &Path, rounds: usize) -> Result<Rules> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sigma");
    let public = load::read(&data.join("process_creation")).sources;
    let sources: Vec<Source> = public.iter().cloned().chain(pack::sources()).collect();
    let text = fs::read_to_string(data.join("events.jsonl"))?;
    let events: std::result::Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    let events = events?;

    let before_mb = host::resident_mb(std::process::id());
    let thousand = Set::new(&varied(&sources, RULES), &Placeholders::new());
    let rules_mb = host::resident_mb(std::process::id()) - before_mb;
    drop(thousand);
    let indicators_mb = indicators(directory)?;

    let (public, all) = (Ours::new(&public, &events), Ours::new(&sources, &events));
    let many = Ours::new(&varied(&sources, MANY), &events);
    let (engine, other_rules) = other(&sources);
    let mut samples: [Vec<f64>; 6] = Default::default();
    for _ in 0..rounds {
        let judged = all.judged();
        let other = rate(events.len(), || {
            events.iter().for_each(|event| drop(black_box(engine.evaluate(&JsonEvent::borrow(event)))));
        });
        let of_round = [public.judged(), judged, all.remembered(), other, judged / other, many.judged()];
        samples.iter_mut().zip(of_round).for_each(|(samples, value)| samples.push(value));
    }
    let [of_public, judged, remembered, other, ratio, of_many] = samples.map(|s| s.into_iter().collect());
    let is_process =
        |rule: &&sentinel_edge::detect::sigma::rule::Rule| rule.category == Category::ProcessCreation;
    Ok(Rules {
        rules: all.set.rules().iter().filter(is_process).count(),
        public: of_public,
        judged,
        remembered,
        other,
        other_rules,
        ratio,
        many: of_many,
        rules_mb,
        indicators_mb,
    })
}

/// Calls a second, from a pass over so many.
fn rate(count: usize, mut pass: impl FnMut()) -> f64 {
    let (mut passes, begun) = (0_u32, Instant::now());
    while begun.elapsed() < LENGTH {
        pass();
        passes += 1;
    }
    f64::from(passes) * count as f64 / begun.elapsed().as_secs_f64()
}

/// A set of rules, and events with the fields that it knows.
struct Ours {
    set: Set,
    events: Vec<Flat>,
}

impl Ours {
    fn new(sources: &[Source], events: &[Value]) -> Ours {
        let set = Set::new(sources, &Placeholders::new());
        Ours { set, events: events.iter().map(Flat::of_json).collect() }
    }

    /// Events a second.
    fn judged(&self) -> f64 {
        let mut scratch = Scratch::default();
        self.rate(COPIES, |row| {
            self.set.judge(Category::ProcessCreation, row, false, &mut scratch, |number| {
                black_box(number);
            });
        })
    }

    fn remembered(&self) -> f64 {
        let (mut scratch, mut verdicts) = (Scratch::default(), Verdicts::default());
        self.rate(1, |row| {
            black_box(verdicts.judge((1, &self.set), Category::ProcessCreation, row, false, &mut scratch));
        })
    }

    fn rate(&self, copies: usize, mut judge: impl FnMut(&Row<'_>)) -> f64 {
        let copies: Vec<Packed> = (0..copies)
            .map(|copy| Packed::new(&Flat::renewed(&self.events, copy), &self.set.names))
            .collect();
        let mut turn = copies.iter().cycle();
        rate(self.events.len(), || turn.by_ref().take(1).for_each(|events| events.rows(&mut judge)))
    }
}

/// The other implementation with the same rules, and how many of them it took.
fn other(sources: &[Source]) -> (Engine, usize) {
    let (mut engine, mut taken) = (Engine::new(), 0);
    let is_process = |source: &&Source| source.text.contains("category: process_creation");
    for source in sources.iter().filter(is_process) {
        let Ok(parsed) = rsigma_parser::parse_sigma_yaml(&source.text) else { continue };
        taken += parsed.rules.iter().filter(|rule| engine.add_rule(rule).is_ok()).count();
    }
    (engine, taken)
}

/// So many rules about processes: those there are, and variations of them whose values are others.
fn varied(sources: &[Source], count: usize) -> Vec<Source> {
    let is_process = |source: &&Source| {
        let text = &source.text;
        text.contains("category: process_creation")
            && !text.contains("\ncorrelation:")
            && !text.contains("\n---")
    };
    let rules: Vec<&Source> = sources.iter().filter(is_process).collect();
    let variation = |number: usize| {
        let source = rules.get(number % rules.len())?;
        Some(Source {
            name: Arc::from(format!("{number}.yml")),
            text: vary(&source.text, number / rules.len()),
            built_in: false,
        })
    };
    (0..count).filter_map(variation).collect()
}

/// Another id, and another end of each value but those of regular expressions.
fn vary(text: &str, number: usize) -> String {
    let (mut out, mut is_detection, mut is_regex) = (String::new(), false, false);
    for line in text.lines() {
        if !line.starts_with([' ', '\t']) {
            is_detection = line.starts_with("detection:");
        }
        let value = line.trim_start();
        is_regex = if value.starts_with("- ") { is_regex } else { value.contains("|re") };
        let is_value = value.starts_with("- ") && !value.contains(": ") && !value.ends_with(['\'', '"', ':']);
        let varies = number > 0 && is_detection && is_value && !is_regex;
        // Writing to a String cannot fail.
        let _ = match line.strip_prefix("id: ") {
            Some(id) => writeln!(out, "id: {}-{number}", id.trim().trim_matches(['"', '\''])),
            None if varies => writeln!(out, "{line}{number}"),
            None => writeln!(out, "{line}"),
        };
    }
    out
}

/// What a million indicators of all kinds take, in MB.
fn indicators(directory: &Path) -> Result<f64> {
    let path: PathBuf = directory.join("indicators.list");
    let mut text = String::new();
    for number in 0..INDICATORS {
        let _ = match number % 4 {
            0 => writeln!(text, "{}.{}.{}.7", 11 + number % 150, number / 65_536, number / 256 % 256),
            1 => writeln!(text, "host-{number}.bad{}.example", number % 5000),
            2 => writeln!(text, "{number:064x}"),
            _ => writeln!(text, "/opt/bad/{}/file-{number}", number % 997),
        };
    }
    fs::write(&path, text)?;
    let before_mb = host::resident_mb(std::process::id());
    let (set, problems) = indicator::Set::load(&[path], &Limits::default());
    let took_mb = host::resident_mb(std::process::id()) - before_mb;
    if let Some(problem) = problems.first() {
        return Err(format!("the list of indicators: {problem:?}").into());
    }
    eprintln!("  {} indicators", set.len());
    Ok(took_mb)
}

fn above(what: &str, limit: f64, unit: &str, samples: &Samples, decimals: usize) -> Goal {
    Goal {
        what: what.into(),
        goal: format!("at least {limit} {unit}"),
        measured: samples.show(decimals),
        met: samples.median() >= limit,
    }
}

impl Rules {
    /// Against what was to be reached.
    pub fn goals(&self) -> Vec<Goal> {
        let once = |value: f64| -> Samples { [value].into_iter().collect() };
        vec![
            above("Rules, every event judged, on one core", 1e6, "events/s", &self.judged, 0),
            above("Rules against rsigma-eval", 4.0, "times", &self.ratio, 1),
            above("Rules, with verdicts remembered", 3e6, "events/s", &self.remembered, 0),
            above("10,000 rules, every event judged", 3e5, "events/s", &self.many, 0),
            below("Memory of 1,000 rules", 30.0, "MB", &once(self.rules_mb), 1),
            below("Memory of 1,000,000 indicators", 200.0, "MB", &once(self.indicators_mb), 1),
        ]
    }

    /// A paragraph about it.
    pub fn section(&self, out: &mut String) {
        let _ = write!(
            out,
            "\n## Rules\n\n{} rules about processes, the public ones of the test data and the built-in ones, over 1,000 \
             generated events that all differ and copies of them with other command lines, in one thread of the benchmark \
             itself. rsigma-eval took {} of the rules \
             and judged {} events/s. With the public rules alone {} events/s are judged here. Remembered verdicts: the \
             same events again and again.\n",
            self.rules,
            self.other_rules,
            self.other.show(0),
            self.public.show(0),
        );
    }
}
