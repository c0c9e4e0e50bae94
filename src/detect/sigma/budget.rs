//! Budgets: what the evaluation of a rule may cost, and what becomes of one that costs more.
//!
//! A rule is evaluated for the events that its witnesses let through, mostly few. One without a witness, or with a
//! regular expression that is large for the texts it meets, can still take more than a host has to spare. So the time
//! of evaluations is sampled, and a rule that used more than its share of a core within [`WINDOW`] is *demoted*: it is
//! evaluated for one of so many events only, drawn at random, four times fewer each time that it is too much again. So a
//! rule never costs much more than its budget, and yet nobody who makes it costly on purpose can count on it being blind.
//! When it was quiet for a while it is tried with four times as many, until it is back in force; the while doubles with
//! each time that it was demoted anew. A new generation of rules begins without anything demoted.
//!
//! ```text
//! worker: Meters (one each) --admit--> plain, timed or skipped        no clock, one counter, on most evaluations
//!                           --charge--> Budgets (one per generation)  one evaluation in 64, or all of a costly rule
//! se-rules: Budgets::tick   --> who was demoted or is back
//! ```
//!
//! One evaluation in [`EVERY`] is timed and stands for all of them; the first of a rule stands for itself. What took
//! longer than [`HEAVY_NS`] makes the next [`SUSPECT`] evaluations be timed each, by the time that the thread itself
//! ran, and stands for itself only: a thread that lost its processor in the middle of a sample demotes no rule.
//!
//! Limits: an evaluation that has begun is not broken off. How long one can take is bounded by the size of compiled
//! expressions and of fields. What looks for candidates is shared by all rules and is nobody's cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::util::clock;

/// What a budget is counted over.
pub const WINDOW: Duration = Duration::from_secs(10);

/// One evaluation in so many is timed.
const EVERY: u16 = 64;

/// An evaluation that takes longer is looked at closely.
const HEAVY_NS: u64 = 100_000;

/// Evaluations that are then timed each.
const SUSPECT: u16 = 1024;

/// A demoted rule is evaluated so many times less often at first, and each time again.
const STEP: u32 = 4;

/// The fewest: one event in so many.
const STRIDE_MAX: u32 = 1 << 16;

/// How long a rule must be quiet to be tried with more, at first and at most.
const COOL_DOWN: Duration = Duration::from_secs(60);
const COOL_DOWN_MAX: Duration = Duration::from_secs(3600);

/// What the rules of a generation spend; shared by all workers.
#[derive(Debug)]
pub struct Budgets {
    rules: Box<[Spending]>,
    /// Of a window.
    limit_ns: u64,
    begun: Instant,
}

impl Default for Budgets {
    /// Of no rules: nothing is timed.
    fn default() -> Self {
        Budgets::new(0, 0)
    }
}

/// What a rule spends.
#[derive(Debug)]
struct Spending {
    /// The window that `ns` is of.
    window: AtomicU64,
    ns: AtomicU64,
    /// It is evaluated for one in so many events.
    stride: AtomicU32,
    /// How often it was demoted, and when it last was, or was tried with more; milliseconds since the beginning.
    demotions: AtomicU32,
    changed_ms: AtomicU64,
    /// Evaluations left out.
    skipped: AtomicU64,
    /// The stride that was told last, and the evaluations left out.
    told: (AtomicU32, AtomicU64),
}

/// A rule that was demoted, or is in force again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub rule: usize,
    /// It was evaluated for one in so many events.
    pub before: u32,
    /// Now it is for one in so many; 1: for all.
    pub stride: u32,
}

/// How an evaluation is done.
#[derive(Debug, Clone, Copy)]
pub enum Admission {
    /// Without looking at a clock.
    Plain,
    /// Its time is to be charged.
    Timed(Timer),
    /// Not at all.
    Skipped,
}

/// When an evaluation began.
#[derive(Debug, Clone, Copy)]
pub enum Timer {
    /// It stands for so many.
    Wall(Instant, u16),
    /// By the thread's own time; it stands for itself.
    Own(u64),
}

impl Budgets {
    /// Budgets of so many rules, each a share of one core in percent; with 0 nothing is timed.
    pub fn new(rules: usize, percent: u32) -> Budgets {
        let window_ns = u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX);
        let spending = |_| Spending {
            window: AtomicU64::new(0),
            ns: AtomicU64::new(0),
            stride: AtomicU32::new(1),
            demotions: AtomicU32::new(0),
            changed_ms: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            told: (AtomicU32::new(1), AtomicU64::new(0)),
        };
        let rules = if percent == 0 { 0 } else { rules };
        Budgets {
            rules: (0..rules).map(spending).collect(),
            limit_ns: window_ns / 100 * u64::from(percent),
            begun: Instant::now(),
        }
    }

    /// Adds to what a rule has spent by now, and demotes it if that is too much. `after` is since the beginning.
    fn charge(&self, rule: usize, ns: u64, after: Duration) {
        let Some(spending) = self.rules.get(rule) else { return };
        // Two workers may meet at the turn of a window; what one of them then loses is one sample.
        let window = after.as_secs() / WINDOW.as_secs() + 1;
        if spending.window.swap(window, Ordering::Relaxed) != window {
            spending.ns.store(0, Ordering::Relaxed);
        }
        let spent = spending.ns.fetch_add(ns, Ordering::Relaxed).saturating_add(ns);
        if spent < self.limit_ns {
            return;
        }
        // Whoever comes first demotes it; the rest of the window is a new account.
        if spending.ns.compare_exchange(spent, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let times = u32::try_from(spent / self.limit_ns.max(1)).unwrap_or(STRIDE_MAX);
            let stride = spending.stride.load(Ordering::Relaxed);
            let stride = stride.saturating_mul(times.max(STEP)).min(STRIDE_MAX);
            spending.stride.store(stride, Ordering::Relaxed);
            spending.demotions.fetch_add(1, Ordering::Relaxed);
            spending.changed_ms.store(millis(after), Ordering::Relaxed);
        }
    }

    /// Tries rules that were quiet with more events. Who was demoted since the last call, and who is back; and how many
    /// evaluations were left out since then.
    pub fn tick(&self) -> (Vec<Change>, u64) {
        self.tick_at(self.begun.elapsed())
    }

    fn tick_at(&self, after: Duration) -> (Vec<Change>, u64) {
        let (mut changes, mut skipped) = (Vec::new(), 0);
        for (rule, spending) in self.rules.iter().enumerate() {
            let mut stride = spending.stride.load(Ordering::Relaxed);
            let quiet = millis(after).saturating_sub(spending.changed_ms.load(Ordering::Relaxed));
            let demotions = spending.demotions.load(Ordering::Relaxed);
            let cool_down = COOL_DOWN.saturating_mul(1 << demotions.saturating_sub(1).min(16));
            if stride > 1 && quiet >= millis(cool_down.min(COOL_DOWN_MAX)) {
                stride = (stride / STEP).max(1);
                spending.stride.store(stride, Ordering::Relaxed);
                spending.changed_ms.store(millis(after), Ordering::Relaxed);
            }
            let before = spending.told.0.swap(stride, Ordering::Relaxed);
            if before != stride {
                changes.push(Change { rule, before, stride });
            }
            let all = spending.skipped.load(Ordering::Relaxed);
            skipped += all - spending.told.1.swap(all, Ordering::Relaxed);
        }
        (changes, skipped)
    }

    /// Rules that are demoted, and for one in how many events each is evaluated.
    pub fn demoted(&self) -> impl Iterator<Item = (usize, u32)> {
        let strides = self.rules.iter().map(|spending| spending.stride.load(Ordering::Relaxed));
        strides.enumerate().filter(|(_, stride)| *stride > 1)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a worker knows of a rule.
#[derive(Debug, Clone, Copy)]
struct Meter {
    /// Evaluations until the next that is timed.
    left: u16,
    /// How many that one stands for.
    weight: u16,
    /// So many are timed each.
    suspect: u16,
    /// As far as this worker knows.
    stride: u32,
}

/// What a worker needs to keep budgets.
#[derive(Debug, Default)]
pub struct Meters {
    budgets: Option<Arc<Budgets>>,
    rules: Vec<Meter>,
    random: u32,
    has_skipped: bool,
}

impl Meters {
    /// Goes on with the budgets of this generation. To be called for each event.
    pub fn follow(&mut self, budgets: &Arc<Budgets>) {
        if self.budgets.as_ref().is_some_and(|old| Arc::ptr_eq(old, budgets)) {
            return;
        }
        self.rules.clear();
        self.rules.resize(budgets.rules.len(), Meter { left: 1, weight: 1, suspect: 0, stride: 1 });
        self.random = u32::try_from(clock::boot_ns() & 0xffff_ffff).unwrap_or(1) | 1;
        self.budgets = Some(Arc::clone(budgets));
    }

    /// Begins the verdict on an event.
    pub(super) fn begin(&mut self) {
        self.has_skipped = false;
    }

    /// A rule was not asked, so the verdict is no other event's.
    pub(super) fn has_skipped(&self) -> bool {
        self.has_skipped
    }

    /// How the rule with this number is to be evaluated.
    pub(super) fn admit(&mut self, rule: u32) -> Admission {
        let Some(meter) = self.rules.get_mut(rule as usize) else { return Admission::Plain };
        if meter.stride == 1 {
            meter.left = meter.left.saturating_sub(1);
            if meter.left > 0 {
                return Admission::Plain;
            }
            return Admission::Timed(match meter.suspect {
                0 => Timer::Wall(Instant::now(), meter.weight),
                _ => Timer::Own(clock::thread_ns()),
            });
        }
        self.draw(rule)
    }

    /// The same for a demoted rule.
    #[cold]
    fn draw(&mut self, rule: u32) -> Admission {
        let Meters { budgets, rules, random, has_skipped } = self;
        let spending = budgets.as_ref().and_then(|budgets| budgets.rules.get(rule as usize));
        let (Some(spending), Some(meter)) = (spending, rules.get_mut(rule as usize)) else {
            return Admission::Plain;
        };
        meter.stride = spending.stride.load(Ordering::Relaxed);
        // Xorshift: no cycle that could be guessed from outside, and no cost.
        *random ^= *random << 13;
        *random ^= *random >> 17;
        *random ^= *random << 5;
        if !random.is_multiple_of(meter.stride) {
            spending.skipped.fetch_add(1, Ordering::Relaxed);
            *has_skipped = true;
            return Admission::Skipped;
        }
        Admission::Timed(Timer::Own(clock::thread_ns()))
    }

    /// The evaluation is over.
    pub(super) fn charge(&mut self, rule: u32, timer: Timer) {
        let (Some(budgets), Some(meter)) = (&self.budgets, self.rules.get_mut(rule as usize)) else { return };
        let now = Instant::now();
        let (took_ns, charged_ns) = match timer {
            Timer::Wall(begun, weight) => {
                let took = u64::try_from(now.duration_since(begun).as_nanos()).unwrap_or(u64::MAX);
                (took, took.min(HEAVY_NS) * u64::from(weight))
            }
            Timer::Own(begun_ns) => {
                let took = clock::thread_ns().saturating_sub(begun_ns);
                (took, took)
            }
        };
        let index = rule as usize;
        budgets.charge(index, charged_ns, now.duration_since(budgets.begun));
        meter.stride = budgets.rules.get(index).map_or(1, |spending| spending.stride.load(Ordering::Relaxed));
        meter.suspect = if took_ns >= HEAVY_NS { SUSPECT } else { meter.suspect.saturating_sub(1) };
        meter.left = if meter.suspect > 0 { 1 } else { EVERY };
        meter.weight = meter.left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The evaluations that are timed, of so many.
    fn timed(meters: &mut Meters, evaluations: usize) -> usize {
        let mut timed = 0;
        for _ in 0..evaluations {
            if let Admission::Timed(timer) = meters.admit(0) {
                timed += 1;
                meters.charge(0, timer);
            }
        }
        timed
    }

    #[test]
    fn few_evaluations_are_timed_and_the_first_is() {
        let (budgets, mut meters) = (Arc::new(Budgets::new(1, 2)), Meters::default());
        meters.follow(&budgets);
        assert_eq!(timed(&mut meters, 1), 1);
        assert_eq!(timed(&mut meters, 6400), 100);
        // Without budgets none is.
        meters.follow(&Arc::default());
        assert_eq!(timed(&mut meters, 1000), 0);
    }

    #[test]
    fn a_heavy_evaluation_has_the_next_ones_looked_at() {
        let (budgets, mut meters) = (Arc::new(Budgets::new(1, 2)), Meters::default());
        meters.follow(&budgets);
        timed(&mut meters, 1);
        let Some(long_ago) = Instant::now().checked_sub(at(5)) else { return };
        meters.charge(0, Timer::Wall(long_ago, EVERY));
        assert_eq!(budgets.demoted().count(), 0, "a pause of the whole thread demotes nobody");
        assert_eq!(timed(&mut meters, usize::from(SUSPECT)), usize::from(SUSPECT));
        assert_eq!(timed(&mut meters, 640), 10);
    }

    #[test]
    fn what_is_spent_counts_within_a_window() {
        let budgets = Budgets::new(2, 2);
        for second in 0..60 {
            // 190 ms in each ten seconds are below 2 % of a core.
            budgets.charge(0, SECOND_NS * 19 / 1000, at(second));
        }
        assert_eq!(budgets.demoted().count(), 0);
        budgets.charge(1, SECOND_NS / 10, at(61));
        budgets.charge(1, SECOND_NS / 10, at(62));
        assert_eq!(budgets.demoted().collect::<Vec<_>>(), [(1, 4)]);
        assert_eq!(budgets.tick_at(at(63)).0, [Change { rule: 1, before: 1, stride: 4 }]);
        assert_eq!(budgets.tick_at(at(64)).0, []);
    }

    #[test]
    fn one_that_is_still_too_much_is_asked_less_and_comes_back_when_it_is_quiet() {
        let budgets = Budgets::new(1, 2);
        budgets.charge(0, SECOND_NS / 5, at(0));
        budgets.charge(0, SECOND_NS / 5, at(1));
        assert_eq!(budgets.demoted().collect::<Vec<_>>(), [(0, 16)]);
        // A single evaluation that takes very long counts for as much as it is.
        budgets.charge(0, 20 * SECOND_NS, at(2));
        assert_eq!(budgets.demoted().collect::<Vec<_>>(), [(0, 1600)]);
        budgets.tick_at(at(3));
        // Demoted three times, it must be quiet for four minutes.
        assert_eq!(budgets.tick_at(at(241)).0, []);
        assert_eq!(budgets.tick_at(at(242)).0, [Change { rule: 0, before: 1600, stride: 400 }]);
        let mut now = 242;
        while budgets.demoted().count() > 0 {
            now += 240;
            budgets.tick_at(at(now));
        }
        assert_eq!(now, 242 + 4 * 240, "100, 25, 6, 1");
    }

    #[test]
    fn a_demoted_rule_is_asked_for_some_events_and_the_others_are_counted() {
        let (budgets, mut meters) = (Arc::new(Budgets::new(1, 2)), Meters::default());
        meters.follow(&budgets);
        budgets.charge(0, 4 * SECOND_NS, budgets.begun.elapsed());
        assert_eq!(budgets.demoted().collect::<Vec<_>>(), [(0, 20)]);
        timed(&mut meters, 1);
        let asked = timed(&mut meters, 20_000);
        assert!((500..2000).contains(&asked), "{asked} of 20000");
        assert!(meters.has_skipped());
        let (_, skipped) = budgets.tick();
        assert_eq!(skipped, 20_000 - u64::try_from(asked).unwrap());
        assert_eq!(budgets.tick().1, 0);
    }

    /// What an evaluation costs more, for a look by hand: `cargo test --profile harness --lib budget::tests::cost --
    /// --ignored --nocapture`.
    #[test]
    #[ignore = "measures"]
    fn cost() {
        const EVALUATIONS: u32 = 50_000_000;
        let (budgets, mut meters) = (Arc::new(Budgets::new(500, 2)), Meters::default());
        meters.follow(&budgets);
        let begun = Instant::now();
        for evaluation in 0..EVALUATIONS {
            // Several hundred rules, none of them twice in a row.
            let rule = evaluation.wrapping_mul(2_654_435_761) >> 23;
            if let Admission::Timed(timer) = meters.admit(std::hint::black_box(rule)) {
                meters.charge(rule, timer);
            }
        }
        println!("{} ps an evaluation", begun.elapsed().as_nanos() * 1000 / u128::from(EVALUATIONS));
    }
}
