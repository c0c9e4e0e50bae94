//! `rules bench`: how fast these rules judge these events, and what they cost one by one.
//!
//! What the judge remembers of values must not be what is measured. So each pass has the events with other command lines,
//! and only when those of the first pass are forgotten they come again; with verdicts remembered they never change.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use super::super::{Exit, complain, print};
use crate::config::Resolved;
use crate::detect::sigma::logsource::Category;
use crate::detect::sigma::row::Row;
use crate::detect::sigma::scratch::Scratch;
use crate::detect::sigma::set::Set;
use crate::detect::sigma::verdicts::Verdicts;
use crate::detect::sigma::witness;
use crate::detect::view::flat::Flat;
use crate::detect::view::packed::Packed;

/// Arguments of `rules bench`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Arguments {
    /// Files or directories of rules [default: those of the configuration, and the built-in ones]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Events, an object of Sigma's fields a line
    #[arg(long, value_name = "FILE")]
    pub events: PathBuf,
    /// Category that the events are of, where they don't say
    #[arg(long, default_value = "process_creation")]
    pub category: String,
    /// How long to measure
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub seconds: u64,
    /// Measure so many passes instead, however long they take
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    pub passes: Option<usize>,
    /// Also show the rules that cost most, so many of them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub costly: usize,
    /// Remember verdicts, as the agent does
    #[arg(long)]
    pub remember: bool,
}

/// Passes with command lines of their own.
const COPIES: usize = 4;

/// Passes that a median is taken of, at least.
const PASSES_MIN: usize = 5;

/// Measures, and prints the median of the passes.
pub fn execute(arguments: &Arguments, resolved: &Resolved) -> Exit {
    let rules = match super::load(&arguments.paths, resolved) {
        Ok(rules) => rules,
        Err(exit) => return exit,
    };
    let wrong = |what: String| {
        complain(format_args!("sentinel-edge: {what}"));
        Exit::Usage
    };
    let Some(category) = Category::ALL.iter().find(|c| c.name() == arguments.category) else {
        return wrong(format!("there is no category '{}'", arguments.category));
    };
    let text = match std::fs::read_to_string(&arguments.events) {
        Ok(text) => text,
        Err(error) => return wrong(format!("{}: {error}", arguments.events.display())),
    };
    let events: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    let events = match events {
        Ok(events) if !events.is_empty() => events,
        Ok(_) => return wrong(format!("{}: no events", arguments.events.display())),
        Err(error) => return wrong(format!("{}: {error}", arguments.events.display())),
    };
    let flats: Vec<Flat> = events.iter().map(Flat::of_json).collect();
    let copies = if arguments.remember { 1 } else { COPIES };
    let copies: Vec<Packed> =
        (0..copies).map(|copy| Packed::new(&Flat::renewed(&flats, copy), &rules.set.names)).collect();
    let (mut scratch, mut verdicts) = (Scratch::default(), Verdicts::default());
    let (mut passes, mut hits, mut candidates) = (Vec::new(), 0_u64, 0);
    let begun = Instant::now();
    let is_enough = |passes: usize| match arguments.passes {
        Some(wanted) => passes >= wanted.max(1),
        None => passes >= PASSES_MIN && begun.elapsed() >= Duration::from_secs(arguments.seconds),
    };
    while !is_enough(passes.len()) {
        (hits, candidates) = (0, 0_usize);
        let pass = Instant::now();
        let Some(events) = copies.get(passes.len() % copies.len()) else { break };
        events.rows(|row| {
            if arguments.remember {
                let set = (rules.generation, &rules.set);
                let numbers = verdicts.judge(set, *category, row, false, &mut scratch);
                hits += black_box(numbers).len() as u64;
                return;
            }
            rules.set.judge(*category, row, false, &mut scratch, |number| {
                hits += u64::from(black_box(number) < u32::MAX)
            });
            candidates += scratch.candidates.len();
        });
        passes.push(pass.elapsed());
    }
    passes.sort();
    let median = passes.get(passes.len() / 2).copied().unwrap_or_default();
    let count = events.len();
    let rate = |took: Duration| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64();
    let open = rules.set.index_of(*category).map_or(0, crate::detect::sigma::index::Index::open_rules);
    let of_category = rules.set.rules().iter().filter(|rule| rule.category == *category).count();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} events, {of_category} rules, {open} of them without a witness\n\
         {:.0} events a second (median of {} passes; fastest {:.0}), {} ns an event\n\
         {hits} hits a pass, {candidates} rules evaluated",
        events.len(),
        rate(median),
        passes.len(),
        rate(passes.first().copied().unwrap_or_default()),
        median.as_nanos() / u128::try_from(count).unwrap_or(1),
    );
    if arguments.costly > 0 {
        let mut costs = costs(&rules.set, *category, &copies);
        costs.sort_by_key(|cost| std::cmp::Reverse(cost.took));
        let _ = writeln!(out, "evaluated   ns each  rule");
        for cost in costs.iter().take(arguments.costly) {
            let each = cost.took.as_nanos() / u128::from(cost.evaluated.max(1));
            let Some(rule) = rules.set.rules().get(cost.rule) else { continue };
            let open = if cost.is_open { ", without a witness" } else { "" };
            let _ = writeln!(
                out,
                "{:9} {each:9}  {} ({}:{}{open})",
                cost.evaluated, rule.about.title, rule.about.source, rule.about.line
            );
        }
    }
    print(&out)
}

/// What a rule cost in one pass over the events.
struct Cost {
    rule: usize,
    evaluated: u32,
    took: Duration,
    is_open: bool,
}

/// The cost of each rule, from several passes the fastest of which counts for each event.
fn costs(set: &Set, category: Category, copies: &[Packed]) -> Vec<Cost> {
    const PASSES: usize = 5;
    let is_open =
        |number: usize| set.rules().get(number).is_some_and(|rule| witness::of(&rule.expr).is_none());
    let mut costs: Vec<Cost> = (0..set.rules().len())
        .map(|rule| Cost { rule, evaluated: 0, took: Duration::ZERO, is_open: is_open(rule) })
        .collect();
    let mut scratch = Scratch::default();
    let mut cost = |row: &Row<'_>| {
        set.judge(category, row, false, &mut scratch, |_| {});
        for number in scratch.candidates.clone() {
            let took = (0..PASSES).map(|_| {
                set.candidates(category, row, &mut scratch);
                let begun = Instant::now();
                black_box(set.holds(number, row, &mut scratch));
                begun.elapsed()
            });
            let took = took.min().unwrap_or_default();
            if let Some(cost) = costs.get_mut(number as usize) {
                cost.evaluated += 1;
                cost.took += took;
            }
        }
    };
    if let Some(events) = copies.first() {
        events.rows(&mut cost);
    }
    costs.retain(|cost| cost.evaluated > 0);
    costs
}
