//! All definitions with their states, one memory budget over them, and the carrying over at a reload.

use std::collections::HashMap;

use super::budget::{Budget, Counts};
use super::definition::{Definition, DefinitionError, fingerprint};
use super::state::{Options, State};
use super::{Fired, Hit};

/// For all definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How each is looked for. A definition of depth n waits n + 1 times the tolerance.
    pub options: Options,
    /// What all states together may take, bytes.
    pub budget_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { options: Options::default(), budget_bytes: 16 << 20 }
    }
}

/// Why a set of definitions was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// One cannot be looked for.
    #[error("correlation rule {id} cannot be looked for: {reason}")]
    Definition {
        /// The rule.
        id: String,
        /// Why not.
        #[source]
        reason: DefinitionError,
    },
    /// Two have the same id.
    #[error("correlation rule {0} is given twice")]
    Twice(String),
}

/// What became of the states at a reload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// States carried over.
    pub kept: usize,
    /// States that began anew: of new rules and of changed ones.
    pub fresh: usize,
    /// States that were dropped: of rules that are gone and of changed ones.
    pub dropped: usize,
    /// Groups in those.
    pub dropped_groups: usize,
}

#[derive(Debug)]
struct Rule {
    id: Box<str>,
    fingerprint: u64,
    state: State,
}

/// See the module. Rules go by their positions in the list that was loaded last.
#[derive(Debug)]
pub struct Correlator {
    settings: Settings,
    budget: Budget,
    rules: Vec<Rule>,
    retired: Counts,
}

impl Correlator {
    /// Without rules.
    pub fn new(settings: Settings) -> Self {
        let budget = Budget::new(settings.budget_bytes);
        Correlator { settings, budget, rules: Vec::new(), retired: Counts::default() }
    }

    /// Takes these rules, ids with definitions, in place of the present ones. A rule of the same id and fingerprint
    /// goes on with what it has gathered. Findings not yet given out by states that are dropped are dropped, too.
    ///
    /// # Errors
    ///
    /// If one of them cannot be looked for or has the id of another; all stays as it was then.
    pub fn reload(&mut self, definitions: Vec<(Box<str>, Definition)>) -> Result<Reloaded, ReloadError> {
        let mut fresh = Vec::with_capacity(definitions.len());
        let mut ids = std::collections::HashSet::new();
        for (id, definition) in &definitions {
            if !ids.insert(id) {
                return Err(ReloadError::Twice(id.to_string()));
            }
            let tolerance_ns =
                self.settings.options.tolerance_ns.saturating_mul(u64::from(definition.depth) + 1);
            let options = Options { tolerance_ns, ..self.settings.options };
            let state = State::new(definition.clone(), options)
                .map_err(|reason| ReloadError::Definition { id: id.to_string(), reason })?;
            fresh.push(Rule { id: id.clone(), fingerprint: fingerprint(definition), state });
        }
        let mut present: HashMap<(Box<str>, u64), State> = std::mem::take(&mut self.rules)
            .into_iter()
            .map(|rule| ((rule.id, rule.fingerprint), rule.state))
            .collect();
        let mut reloaded = Reloaded::default();
        for rule in &mut fresh {
            match present.remove(&(rule.id.clone(), rule.fingerprint)) {
                Some(state) => {
                    rule.state = state;
                    reloaded.kept += 1;
                }
                None => reloaded.fresh += 1,
            }
        }
        for state in present.into_values() {
            reloaded.dropped += 1;
            reloaded.dropped_groups += state.groups();
            self.retired.add(&state.discharge(&mut self.budget));
        }
        self.rules = fresh;
        Ok(reloaded)
    }

    /// Takes in a hit of a base rule of the rule at this position; see [`State::hit`]. Nothing happens if there is no
    /// rule at that position.
    pub fn hit(&mut self, position: usize, hit: Hit<'_>) -> Option<Fired> {
        let fired = self.rules.get_mut(position)?.state.hit(hit, &mut self.budget);
        self.relieve();
        fired
    }

    /// Moves time on in all states; see [`State::expire`]. Findings come with the positions of their rules.
    pub fn expire(&mut self, now_ns: u64) -> Vec<(usize, Fired)> {
        let mut all = Vec::new();
        for (position, rule) in self.rules.iter_mut().enumerate() {
            let fired = rule.state.expire(now_ns, &mut self.budget);
            all.extend(fired.into_iter().map(|fired| (position, fired)));
        }
        self.relieve();
        all
    }

    /// The position of a rule.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.rules.iter().position(|rule| &*rule.id == id)
    }

    /// The rules with their states, by position.
    pub fn states(&self) -> impl ExactSizeIterator<Item = (&str, &State)> {
        self.rules.iter().map(|rule| (&*rule.id, &rule.state))
    }

    /// What happened so far in all states, dropped ones included.
    pub fn counts(&self) -> Counts {
        let mut counts = self.retired;
        for rule in &self.rules {
            counts.add(&rule.state.counts());
        }
        counts
    }

    /// What is in use of the memory.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Gives up groups where most memory is taken, so that a rule that few things hit loses nothing to one that is
    /// flooded.
    fn relieve(&mut self) {
        if !self.budget.is_over() {
            return;
        }
        while self.budget.used_bytes() > self.budget.relief_bytes() {
            let excess = self.budget.used_bytes() - self.budget.relief_bytes();
            let with_groups = self.rules.iter_mut().map(|rule| &mut rule.state).filter(|s| s.groups() > 0);
            let Some(largest) = with_groups.max_by_key(|state| state.bytes()) else { return };
            largest.shed(largest.bytes().saturating_sub(excess), &mut self.budget);
        }
    }
}
