//! Our engine against two others: the same rules and events, the same verdicts.
//!
//! `rsigma-eval` and `sigma-rust` were written by others from the same specification. Public rules and the built-in pack
//! go through all three, as the texts that they are, over every event of the test data; so do the specification's
//! cases. Where a verdict differs, [`differences`] must say why and who is right: a difference without a reason fails,
//! and so does a reason without a difference.
//!
//! Each event is judged as one of each category, through the index, so every rule meets every event.

mod corpus;
mod differences;
mod judges;

use std::collections::{BTreeMap, BTreeSet};

use corpus::{Rules, cases, events};
use differences::{Accounts, CONFORMANCE, CORPUS};
use judges::{Judge, Ours, Rsigma, SigmaRust};
use serde_json::Value as Json;

use crate::support::{built_in_sources, public_sources};

/// What was compared.
#[derive(Debug, Default)]
struct Compared {
    /// Pairs of a rule and an event.
    pairs: usize,
    /// Those that match, as we say.
    hits: usize,
    /// Rules that matched some event.
    rules: BTreeSet<String>,
}

/// Judges every event.
fn compare(rules: &Rules, events: &[Json], judge: &dyn Judge, accounts: &mut Accounts) -> Compared {
    let ours = Ours::new(rules);
    let refused = judge.refused();
    for (id, why) in refused {
        accounts.refused(judge.name(), id, why);
    }
    let pairs = (rules.ids().len() - refused.len()) * events.len();
    let mut compared = Compared { pairs, ..Compared::default() };
    for event in events {
        let (mine, theirs) = (ours.matches(event), judge.matches(event));
        for id in mine.symmetric_difference(&theirs).filter(|id| !refused.contains_key(*id)) {
            accounts.differs(judge.name(), id, mine.contains(id), event);
        }
        compared.hits += mine.len();
        compared.rules.extend(mine);
    }
    compared
}

#[test]
fn rules_of_others_and_ours_get_the_verdicts_of_both() {
    let rules = Rules::new([public_sources(), built_in_sources()].concat());
    let events = [events(), cases(&rules)].concat();
    let mut accounts = Accounts::new(CORPUS);
    for judge in [&Rsigma::new(&rules) as &dyn Judge, &SigmaRust::new(&rules)] {
        let compared = compare(&rules, &events, judge, &mut accounts);
        println!(
            "{}: {} rules on {} events, {} verdicts, {} hits of {} rules",
            judge.name(),
            rules.ids().len(),
            events.len(),
            compared.pairs,
            compared.hits,
            compared.rules.len()
        );
        // Verdicts that are all negative would tell little. Public rules have no cases, so some match nothing.
        assert!(compared.rules.len() * 5 > rules.ids().len() * 4, "{} rules match", compared.rules.len());
    }
    accounts.close();
}

#[test]
fn the_specifications_cases_get_the_verdicts_of_both() {
    let mut accounts = Accounts::new(CONFORMANCE);
    let mut pairs = BTreeMap::new();
    for (rules, events) in corpus::conformance() {
        let refused = Ours::new(&rules).refused();
        for judge in [&Rsigma::new(&rules) as &dyn Judge, &SigmaRust::new(&rules)] {
            let compared = match refused.first() {
                None => compare(&rules, &events, judge, &mut accounts).pairs,
                // What we refuse, as the specification wants it, the others must refuse as well.
                Some(id) if !judge.refused().contains_key(id) => {
                    accounts.refused(judge.name(), id, "it is taken");
                    0
                }
                Some(_) => 1,
            };
            *pairs.entry(judge.name()).or_insert(0) += compared;
        }
    }
    println!("verdicts: {pairs:?}");
    accounts.close();
}
