//! The thread `se-rules`: compiles rules aside and puts them into force.
//!
//! It looks at the directory every few seconds, and at once when told that the configuration was read anew. What has
//! changed is compiled as a new generation, which takes the place of the old one at one point: a batch of events is judged
//! by the generation that was in force when its worker took it. A directory with an error in it keeps the old
//! generation, and /ready says why; only at the start, when there is no old one, the good rules run without the bad.
//! It also tells which rules cost too much: in the log, in /health, and in a file for `rules list`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::health::{DemotedFact, RulesFact};
use crate::detect;
use crate::detect::load::{self, Found, Rules};
use crate::detect::novelty::Novelty;
use crate::detect::sigma::budget::{Budgets, Change};
use crate::detect::sigma::set::Gravity;
use crate::metrics::Metrics;
use crate::util::beacon::Beacon;

/// How often the directory is looked at.
const LOOK: Duration = Duration::from_secs(3);

/// How often what was learned is written, if it changed.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// File of `runtime_dir`: a line for each demoted rule, its id and for one in how many events it is evaluated.
pub const DEMOTED: &str = "demoted-rules";

/// Problems that are told one by one in the log; more are summed up.
const PROBLEMS_SHOWN: usize = 20;

/// The rules in force.
#[derive(Debug, Default)]
pub struct Slot(RwLock<Option<Arc<Rules>>>);

impl Slot {
    /// With these rules in force, for good.
    pub fn of(rules: Arc<Rules>) -> Slot {
        Slot(RwLock::new(Some(rules)))
    }

    /// The generation in force; none while detection is off.
    pub fn get(&self) -> Option<Arc<Rules>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, rules: Option<Arc<Rules>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }
}

/// What is shared with the rest of the agent.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Settings; replaced on reload.
    pub config: Arc<RwLock<detect::Config>>,
    /// The rules in force.
    pub slot: Arc<Slot>,
    /// What programs usually do, and where that is kept.
    pub novelty: Arc<Novelty>,
    usual: PathBuf,
    /// Where demoted rules are told to whoever lists rules.
    demoted: PathBuf,
    /// What is told of them.
    pub fact: Arc<Mutex<Option<RulesFact>>>,
    /// The counts.
    pub metrics: Arc<Metrics>,
}

/// The work of the thread.
#[derive(Debug)]
pub struct Keeper {
    shared: Shared,
    generation: u64,
    found: Option<Found>,
    /// The state of the directory that was last compiled, good or bad.
    config: Option<detect::Config>,
    /// When what is usual was last written.
    kept: Instant,
}

impl Shared {
    /// Shares these settings; nothing is in force yet.
    pub fn new(config: detect::Config, state_dir: &Path, runtime_dir: &Path, metrics: &Arc<Metrics>) -> Self {
        let usual = state_dir.join("usual");
        let novelty = Novelty::read(&usual).unwrap_or_else(|error| {
            log::warn!("{}: {error}; what is usual is learned anew", usual.display());
            Novelty::default()
        });
        Shared {
            novelty: Arc::new(novelty),
            usual,
            demoted: runtime_dir.join(DEMOTED),
            config: Arc::new(RwLock::new(config)),
            slot: Arc::default(),
            fact: Arc::default(),
            metrics: Arc::clone(metrics),
        }
    }
}

impl Keeper {
    /// Compiles the first generation, without what is wrong.
    pub fn start(shared: Shared) -> Self {
        let mut keeper = Keeper { shared, generation: 0, found: None, config: None, kept: Instant::now() };
        keeper.renew(true);
        keeper
    }

    /// Runs until nobody can tell it anything any more. A message says that the configuration may have changed.
    pub fn run(mut self, told: &Receiver<()>, beacon: &Beacon) {
        loop {
            let received = told.recv_timeout(LOOK);
            beacon.beat();
            match received {
                Ok(()) => self.renew(false),
                Err(RecvTimeoutError::Timeout) if self.has_changed() => self.renew(false),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = fs::remove_file(&self.shared.demoted);
                    return self.keep_usual();
                }
            }
            self.heed_budgets();
            if self.kept.elapsed() >= KEEP_EVERY {
                self.kept = Instant::now();
                self.keep_usual();
            }
        }
    }

    fn keep_usual(&self) {
        if let Err(error) = self.shared.novelty.write(&self.shared.usual) {
            log::warn!("{}: {error}; what is usual is not kept", self.shared.usual.display());
        }
    }

    /// Tells of rules that cost too much, and of those that are back.
    fn heed_budgets(&self) {
        let Some(rules) = self.shared.slot.get() else { return };
        let (changes, skipped) = rules.budgets.tick();
        self.shared.metrics.rule_evaluations_skipped.add(skipped);
        if changes.is_empty() {
            return;
        }
        for Change { rule, before, stride } in changes {
            let Some(about) = rules.set.rules().get(rule).map(|rule| &rule.about) else { continue };
            let place = format!("{}:{}", about.source, about.line);
            // The steps between are told by /health; the log has the first and the last.
            match (before, stride) {
                (1, _) => log::warn!(
                    "{place}: the rule '{}' costs more than {} % of a core and is evaluated for 1 of {stride} events from now on",
                    about.title,
                    self.settings().rule_percent,
                ),
                (_, 1) => log::info!("{place}: the rule '{}' is evaluated for all events again", about.title),
                _ => {}
            }
        }
        self.tell_demoted(&rules);
    }

    /// Brings what is told of demoted rules up to date.
    fn tell_demoted(&self, rules: &Rules) {
        let fact = |(rule, stride): (usize, u32)| {
            let about = &rules.set.rules().get(rule)?.about;
            Some(DemotedFact { id: about.id.to_string(), title: about.title.to_string(), stride })
        };
        let demoted: Vec<DemotedFact> = rules.budgets.demoted().filter_map(fact).collect();
        self.shared.metrics.rules_demoted.set(float(demoted.len()));
        let lines: String = demoted.iter().map(|rule| format!("{} {}\n", rule.id, rule.stride)).collect();
        let path = &self.shared.demoted;
        if demoted.is_empty() {
            let _ = fs::remove_file(path);
        } else if let Err(error) = fs::write(path, lines) {
            log::warn!("{}: {error}; `rules list` does not tell of demoted rules", path.display());
        }
        if let Some(fact) = &mut *self.shared.fact.lock().unwrap_or_else(PoisonError::into_inner) {
            fact.demoted = demoted;
        }
    }

    fn settings(&self) -> detect::Config {
        self.shared.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Files came, went or changed.
    fn has_changed(&self) -> bool {
        let config = self.settings();
        let now = config.enabled.then(|| load::state(&config));
        now != self.found.as_ref().filter(|_| config.enabled).map(|found| found.state.clone())
    }

    fn renew(&mut self, is_start: bool) {
        let config = self.settings();
        if !config.enabled {
            self.shared.slot.put(None);
            (self.found, self.config) = (None, None);
            *self.shared.fact.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return;
        }
        let begun = Instant::now();
        let (mut rules, found) = Rules::load(&config, self.generation + 1);
        rules.budgets = Arc::new(Budgets::new(rules.set.rules().len(), config.rule_percent));
        let is_same = self.config.as_ref() == Some(&config)
            && self.found.as_ref().is_some_and(|old| old.state == found.state);
        (self.found, self.config) = (Some(found), Some(config));
        if is_same && !is_start {
            return;
        }
        let count = |gravity| rules.set.problems.iter().filter(|p| p.gravity == gravity).count();
        let (errors, refused) = (count(Gravity::Error), count(Gravity::Refused));
        self.say(&rules);
        let error = rules.first_error().map(|first| match errors {
            1 => first.to_string(),
            _ => format!("{first} (and {} more)", errors - 1),
        });
        let keeps_old = error.is_some() && !is_start;
        self.shared.metrics.rule_reload_failures.add(u64::from(keeps_old));
        if keeps_old {
            log::error!("the rules stay as they were: {}", error.as_deref().unwrap_or_default());
            if let Some(fact) = &mut *self.shared.fact.lock().unwrap_or_else(PoisonError::into_inner) {
                fact.error = error;
            }
            return;
        }
        self.generation += 1;
        let loaded = rules.set.rules().len();
        log::info!(
            "{loaded} rules in force, generation {}, compiled in {} ms; {refused} not for this agent, {errors} wrong; {} indicators",
            self.generation,
            begun.elapsed().as_millis(),
            rules.indicators.len(),
        );
        let indicators = rules.indicators.len();
        self.shared.metrics.indicators_loaded.set(float(indicators));
        self.shared.metrics.rules_loaded.set(float(loaded));
        self.shared.metrics.rules_refused.set(float(refused));
        self.shared.metrics.rules_wrong.set(float(errors));
        self.shared.metrics.rules_generation.set(float(usize::try_from(self.generation).unwrap_or(0)));
        let generation = self.generation;
        let fact = RulesFact { generation, loaded, refused, wrong: errors, error, demoted: Vec::new() };
        *self.shared.fact.lock().unwrap_or_else(PoisonError::into_inner) = Some(fact);
        let rules = Arc::new(rules);
        // Nothing is demoted in a new generation.
        self.tell_demoted(&rules);
        self.shared.slot.put(Some(rules));
    }

    fn say(&self, rules: &Rules) {
        let told = rules.set.problems.iter().filter(|problem| problem.gravity == Gravity::Error);
        for problem in told.clone().take(PROBLEMS_SHOWN) {
            log::warn!("{problem}");
        }
        let more = told.count().saturating_sub(PROBLEMS_SHOWN);
        if more > 0 {
            log::warn!("{more} more errors in rules; `sentinel-edge rules check` shows all");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point, and nobody has 2^53 rules")]
fn float(n: usize) -> f64 {
    n as f64
}
