//! What a correlation rule looks for, and whether it can be looked for within bounds.

use sha2::{Digest, Sha256};

use super::number::Number;

/// The largest count that a condition of `event_count` or `value_count` may ask for: as many are kept for a group.
pub const MOST_COUNT: u64 = 100_000;

/// Base rules of `temporal` and `temporal_ordered`.
pub const MOST_RULES: usize = 64;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// How many hits.
    EventCount,
    /// How many distinct values of a field.
    ValueCount,
    /// The sum of a field's values.
    ValueSum,
    /// The mean of a field's values.
    ValueAvg,
    /// How many of the base rules hit, in any order.
    Temporal,
    /// That all base rules hit, in their order.
    TemporalOrdered,
}

impl Kind {
    /// The name in rules.
    pub fn name(self) -> &'static str {
        match self {
            Kind::EventCount => "event_count",
            Kind::ValueCount => "value_count",
            Kind::ValueSum => "value_sum",
            Kind::ValueAvg => "value_avg",
            Kind::Temporal => "temporal",
            Kind::TemporalOrdered => "temporal_ordered",
        }
    }
}

/// What must hold of the number looked at: all that are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Condition {
    /// Greater than.
    pub gt: Option<Number>,
    /// Greater than or equal to.
    pub gte: Option<Number>,
    /// Less than.
    pub lt: Option<Number>,
    /// Less than or equal to.
    pub lte: Option<Number>,
    /// Equal to.
    pub eq: Option<Number>,
    /// Different from.
    pub neq: Option<Number>,
}

impl Condition {
    /// Holds of `total / parts`, exactly.
    pub(super) fn holds(&self, total: Number, parts: u64) -> bool {
        let all = |bound: Option<Number>, holds: fn(&Number, &Number) -> bool| {
            bound.is_none_or(|bound| holds(&total, &bound.times(parts)))
        };
        all(self.gt, Number::gt)
            && all(self.gte, Number::ge)
            && all(self.lt, Number::lt)
            && all(self.lte, Number::le)
            && all(self.eq, Number::eq)
            && all(self.neq, Number::ne)
    }

    fn bounds(&self) -> [Option<Number>; 6] {
        [self.gt, self.gte, self.lt, self.lte, self.eq, self.neq]
    }

    fn is_empty(&self) -> bool {
        self.bounds().iter().all(Option::is_none)
    }

    /// More can make it fail, so that it is known only once nothing more comes.
    fn needs_end(&self) -> bool {
        self.lt.is_some() || self.lte.is_some() || self.eq.is_some() || self.neq.is_some()
    }

    /// The least count that `gt` and `gte` let through, at least 1.
    pub(super) fn least(&self) -> u64 {
        let gt = self.gt.map_or(0, |bound| bound.floor().saturating_add(1));
        let gte = self.gte.map_or(0, Number::ceiling);
        gt.max(gte).max(1)
    }

    /// All counts from this one on are judged alike.
    pub(super) fn saturation(&self) -> u64 {
        let largest = self.bounds().into_iter().flatten().map(Number::floor).max();
        largest.unwrap_or(0).saturating_add(1)
    }

    /// A count between the bounds exists that satisfies it.
    fn is_possible(&self, most: u64) -> bool {
        let holds = |count: u64| count >= 1 && count <= most && self.holds(Number::from(count), 1);
        // Where it changes between failing and holding, it does so next to one of its numbers.
        let near = self.bounds().into_iter().flatten().map(Number::floor);
        holds(1)
            || near.into_iter().any(|n| (n.saturating_sub(1)..=n.saturating_add(2)).any(holds))
            || holds(most)
    }
}

/// What a correlation rule looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What is looked at.
    pub kind: Kind,
    /// Number of base rules.
    pub rules: usize,
    /// Within how long, nanoseconds.
    pub timespan_ns: u64,
    /// What must hold. For `temporal`, none means that all base rules hit.
    pub condition: Condition,
    /// 0 if all base rules are plain ones; otherwise one more than the largest `depth` of the correlation rules among
    /// them. The findings of those come later by their own tolerance, so this one waits that much longer.
    pub depth: u32,
    /// A digest of everything else that the gathered state depends on: the base rules, the group-by fields, the
    /// condition's field. If it changes, the state of the rule begins anew at a reload.
    pub basis: u64,
}

/// Why a definition cannot be looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// No base rule.
    #[error("a correlation needs at least one base rule")]
    NoRules,
    /// Too many base rules for its kind.
    #[error("{} takes at most {MOST_RULES} base rules, not {rules}", .kind.name())]
    TooManyRules {
        /// Its kind.
        kind: Kind,
        /// How many there are.
        rules: usize,
    },
    /// No time to look at.
    #[error("the timespan is zero")]
    NoTimespan,
    /// No condition where one is needed.
    #[error("{} needs a condition", .0.name())]
    NoCondition(Kind),
    /// More than is kept for a group.
    #[error("counts up to {MOST_COUNT} can be looked for, not {0}")]
    TooMany(u64),
    /// The condition can never hold.
    #[error("no number of {what} satisfies the condition")]
    Impossible {
        /// What is counted.
        what: &'static str,
    },
    /// A condition that the ordered kind does not know.
    #[error("temporal_ordered looks for all {0} base rules in their order; no other condition is supported")]
    OrderedCondition(usize),
}

impl Definition {
    /// Whether it can be looked for within bounds.
    pub fn check(&self) -> Result<(), DefinitionError> {
        if self.rules == 0 {
            return Err(DefinitionError::NoRules);
        }
        if self.timespan_ns == 0 {
            return Err(DefinitionError::NoTimespan);
        }
        let of_rules = matches!(self.kind, Kind::Temporal | Kind::TemporalOrdered);
        if of_rules && self.rules > MOST_RULES {
            return Err(DefinitionError::TooManyRules { kind: self.kind, rules: self.rules });
        }
        if self.condition.is_empty() {
            return if of_rules { Ok(()) } else { Err(DefinitionError::NoCondition(self.kind)) };
        }
        match self.kind {
            Kind::ValueSum | Kind::ValueAvg => Ok(()),
            Kind::Temporal => self.possible("base rules", self.rules as u64),
            Kind::TemporalOrdered => {
                let all = (1..=self.rules as u64).all(|count| {
                    self.condition.holds(Number::from(count), 1) == (count == self.rules as u64)
                });
                if all { Ok(()) } else { Err(DefinitionError::OrderedCondition(self.rules)) }
            }
            Kind::EventCount => {
                if !self.closes() && self.condition.least() > MOST_COUNT {
                    return Err(DefinitionError::TooMany(self.condition.least()));
                }
                self.possible("hits", u64::MAX)
            }
            Kind::ValueCount => {
                if self.condition.saturation() > MOST_COUNT + 1 {
                    return Err(DefinitionError::TooMany(self.condition.saturation() - 1));
                }
                self.possible("values", u64::MAX)
            }
        }
    }

    fn possible(&self, what: &'static str, most: u64) -> Result<(), DefinitionError> {
        if self.condition.is_possible(most) { Ok(()) } else { Err(DefinitionError::Impossible { what }) }
    }

    /// It is judged when its window is over, rather than with each hit.
    pub fn closes(&self) -> bool {
        match self.kind {
            // A mean goes up and down with each hit; the first hit alone would often satisfy the condition.
            Kind::ValueAvg => true,
            Kind::TemporalOrdered => false,
            _ => self.condition.needs_end(),
        }
    }

    /// The hits must carry a value.
    pub fn needs_value(&self) -> bool {
        matches!(self.kind, Kind::ValueCount | Kind::ValueSum | Kind::ValueAvg)
    }

    /// The hits' values must be numbers.
    pub fn needs_number(&self) -> bool {
        matches!(self.kind, Kind::ValueSum | Kind::ValueAvg)
    }
}

/// The same for definitions that gather the same state, on any host and for any version of the agent.
pub fn fingerprint(definition: &Definition) -> u64 {
    let Definition { kind, rules, timespan_ns, condition, depth, basis } = definition;
    let mut hash = Sha256::new();
    hash.update(kind.name());
    for number in [*rules as u64, *timespan_ns, u64::from(*depth), *basis] {
        hash.update(number.to_le_bytes());
    }
    for bound in condition.bounds() {
        hash.update([u8::from(bound.is_some())]);
        hash.update(bound.unwrap_or_default().millionths().to_le_bytes());
    }
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    u64::from_le_bytes(first)
}
