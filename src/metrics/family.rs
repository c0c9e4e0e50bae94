//! Places in memory for the values of a metric: scalars, and families with one cell per label combination.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use super::label::Label;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Takes over a total that is counted elsewhere, such as in the kernel.
    pub fn store_total(&self, total: u64) {
        self.0.store(total, Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Sets the value if it is larger than the one before.
    pub fn raise(&self, value: f64) {
        let _ = self
            .0
            .fetch_update(Relaxed, Relaxed, |old| (value > f64::from_bits(old)).then(|| value.to_bits()));
    }

    /// The value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// A total with fractions, such as seconds, that is measured elsewhere.
#[derive(Debug, Default)]
pub struct Total(Gauge);

impl Total {
    /// Takes over the total. Never goes back.
    pub fn set(&self, total: f64) {
        self.0.raise(total);
    }

    /// The value.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// A value per value of a label. Two labels are a pair: `Family<Counter, (Kind, Stage)>`.
#[derive(Debug)]
pub struct Family<M, L> {
    cells: Box<[M]>,
    labels: PhantomData<fn(L)>,
}

/// One label or a tuple of labels.
pub trait LabelSet: Copy {
    /// Number of combinations.
    const COUNT: usize;
    /// Position of this combination.
    fn position(self) -> usize;
    /// `key="value"` pairs of the combination at `position`.
    fn pairs(position: usize) -> Vec<(&'static str, &'static str)>;
}

impl<L: Label> LabelSet for L {
    const COUNT: usize = L::NAMES.len();
    fn position(self) -> usize {
        self.index()
    }
    fn pairs(position: usize) -> Vec<(&'static str, &'static str)> {
        vec![(L::KEY, L::NAMES[position])]
    }
}

impl<A: Label, B: Label> LabelSet for (A, B) {
    const COUNT: usize = A::NAMES.len() * B::NAMES.len();
    fn position(self) -> usize {
        self.0.index() * B::NAMES.len() + self.1.index()
    }
    fn pairs(position: usize) -> Vec<(&'static str, &'static str)> {
        let (a, b) = (position / B::NAMES.len(), position % B::NAMES.len());
        vec![(A::KEY, A::NAMES[a]), (B::KEY, B::NAMES[b])]
    }
}

impl<A: Label, B: Label, C: Label> LabelSet for (A, B, C) {
    const COUNT: usize = A::NAMES.len() * B::NAMES.len() * C::NAMES.len();
    fn position(self) -> usize {
        (self.0.index() * B::NAMES.len() + self.1.index()) * C::NAMES.len() + self.2.index()
    }
    fn pairs(position: usize) -> Vec<(&'static str, &'static str)> {
        let c = position % C::NAMES.len();
        let mut pairs = <(A, B)>::pairs(position / C::NAMES.len());
        pairs.push((C::KEY, C::NAMES[c]));
        pairs
    }
}

impl<M: Default, L: LabelSet> Default for Family<M, L> {
    fn default() -> Self {
        Family { cells: (0..L::COUNT).map(|_| M::default()).collect(), labels: PhantomData }
    }
}

impl<M, L: LabelSet> Family<M, L> {
    /// The cell of this combination.
    pub fn at(&self, labels: L) -> &M {
        &self.cells[labels.position()]
    }

    /// All cells with their labels.
    pub fn cells(&self) -> impl Iterator<Item = (Vec<(&'static str, &'static str)>, &M)> {
        self.cells.iter().enumerate().map(|(i, cell)| (L::pairs(i), cell))
    }
}

/// Counts of observations by upper bound, in seconds.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; Histogram::BOUNDS.len()],
    count: AtomicU64,
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Upper bounds in seconds; what is above counts only in `+Inf`.
    pub const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

    /// Counts one observation.
    pub fn observe(&self, value: Duration) {
        let seconds = value.as_secs_f64();
        for (bucket, bound) in self.buckets.iter().zip(Self::BOUNDS) {
            if seconds <= bound {
                bucket.fetch_add(1, Relaxed);
            }
        }
        self.sum_ns.fetch_add(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.count.fetch_add(1, Relaxed);
    }

    /// Cumulative counts by bound, the number of observations, and their sum in seconds.
    pub fn snapshot(&self) -> ([u64; Self::BOUNDS.len()], u64, Duration) {
        let buckets = std::array::from_fn(|i| self.buckets[i].load(Relaxed));
        (buckets, self.count.load(Relaxed), Duration::from_nanos(self.sum_ns.load(Relaxed)))
    }
}

/// A constant 1 whose labels carry text that is known at run time only, such as the version.
#[derive(Debug, Default)]
pub struct Info(RwLock<Vec<(&'static str, String)>>);

impl Info {
    /// Sets the labels, in the place of those before.
    pub fn set(&self, labels: Vec<(&'static str, String)>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = labels;
    }

    /// The labels; none until they were set.
    pub fn get(&self) -> Vec<(&'static str, String)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
