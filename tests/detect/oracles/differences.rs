//! Where the others decide otherwise, why, and who is right.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// Verdicts that differ for one reason.
pub struct Difference {
    /// The other engine.
    pub judge: &'static str,
    /// Where it shows.
    pub at: Where,
    /// The reason, and who is right.
    pub why: &'static str,
}

/// Where a difference shows.
pub enum Where {
    /// In these cases of the specification; in each of them.
    Cases(&'static [&'static str]),
    /// In events that have a list as the value of some field.
    Lists,
}

/// Differences over rules and events.
pub const CORPUS: &[Difference] = &[Difference {
    judge: "sigma-rust",
    at: Where::Lists,
    why: "It matches no list of values. We are right: any of them may match, so a negation holds if none does.",
}];

/// Differences over the specification's cases.
pub const CONFORMANCE: &[Difference] = &[
    Difference {
        judge: "rsigma-eval",
        at: Where::Cases(&["wildcard matches newline"]),
        why: "Its `*` ends at a line break, and a command line with one hides. We are right: a wildcard stands for \
            any character.",
    },
    Difference {
        judge: "rsigma-eval",
        at: Where::Cases(&["keywords upper AND/OR"]),
        why: "It takes the words of conditions in lower case only. We are right: the specification writes them in \
            upper case too.",
    },
    Difference {
        judge: "rsigma-eval",
        at: Where::Cases(&["keyword number"]),
        why: "A keyword that is a number is compared with numbers only, not looked for in text. We are right: a \
            keyword is looked for in the whole event.",
    },
    Difference {
        judge: "rsigma-eval",
        at: Where::Cases(&["keywords |all"]),
        why: "It wants all keywords within one field. We are right: they must be in the event, in whichever fields.",
    },
    Difference {
        judge: "rsigma-eval",
        at: Where::Cases(&["v4-mapped v6"]),
        why: "An IPv4 address that is written as IPv6 is in no network of IPv4. We are right as to what is meant: \
            sockets that take both name their peers so.",
    },
    Difference {
        judge: "rsigma-eval",
        at: Where::Cases(&["invalid: expand without value"]),
        why: "It takes a placeholder that has no values, and the rule never matches. We are right: such a rule is \
            refused.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["keywords", "keyword number", "keyword wildcard"]),
        why: "Keywords are compared with whole values. We are right: a keyword is looked for within values.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["keywords |all"]),
        why: "It has no `all` for keywords. We are right, as above.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["1 of them skips _x", "all of them skips _x"]),
        why: "`them` has the searches in it whose names begin with an underscore. We are right: it leaves them out.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["any of"]),
        why: "It has no `any of`. We are right: it means `1 of`.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["condition list is OR"]),
        why: "It has no lists of conditions. We are right: one of them must hold.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["re|i", "re|m", "re|s"]),
        why: "It has no flags of regular expressions. We are right: they are in the specification.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["neq"]),
        why: "It has no `neq`. We are right: it is in the specification.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["int value vs int field", "gt/gte/lt/lte"]),
        why: "A number in quotes is no number. We are right: logs quote numbers as they like, and rules cannot know.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["array field any"]),
        why: "It matches no list of values. We are right: any of them may match.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["null"]),
        why: "A field that is absent is not null. We are right: null means that there is no value.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["cidr host bits set"]),
        why: "It refuses a network with bits behind its length. We are lenient: what is meant is plain.",
    },
    Difference {
        judge: "sigma-rust",
        at: Where::Cases(&["v4-mapped v6"]),
        why: "An IPv4 address that is written as IPv6 is in no network of IPv4. We are right, as above.",
    },
];

/// Differences that were seen, held against a table.
pub struct Accounts {
    table: &'static [Difference],
    /// Position in the table, and the case if the difference is about cases.
    seen: BTreeSet<(usize, &'static str)>,
    unexplained: Vec<String>,
}

impl Accounts {
    /// Nothing seen yet.
    pub fn new(table: &'static [Difference]) -> Self {
        Accounts { table, seen: BTreeSet::new(), unexplained: Vec::new() }
    }

    /// The judge does not take a rule that we take, or the other way round.
    pub fn refused(&mut self, judge: &str, rule: &str, why: &str) {
        self.note(judge, rule, None, || why.to_owned());
    }

    /// A verdict differs.
    pub fn differs(&mut self, judge: &str, rule: &str, ours: bool, event: &Json) {
        self.note(judge, rule, Some(event), || format!("we say {ours} of {event}"));
    }

    fn note(&mut self, judge: &str, rule: &str, event: Option<&Json>, what: impl Fn() -> String) {
        let mut reasons = self.table.iter().enumerate().filter(|(_, difference)| difference.judge == judge);
        let reason = reasons.find_map(|(at, difference)| match difference.at {
            Where::Cases(names) => names.iter().find(|name| **name == rule).map(|name| (at, *name)),
            Where::Lists => event.is_some_and(has_list).then_some((at, "")),
        });
        match reason {
            Some(reason) => {
                self.seen.insert(reason);
            }
            None => self.unexplained.push(format!("{judge}, rule {rule}: {}", what())),
        }
    }

    /// Fails with whatever has no reason, and with reasons for which there is no difference.
    pub fn close(self) {
        assert_eq!(self.unexplained, [""; 0], "{} without a reason", self.unexplained.len());
        let wanted = self.table.iter().enumerate().flat_map(|(at, difference)| match difference.at {
            Where::Cases(names) => names.iter().map(|name| (at, *name)).collect(),
            Where::Lists => vec![(at, "")],
        });
        let idle = wanted.filter(|reason| !self.seen.contains(reason));
        let idle: Vec<String> = idle
            .map(|(at, name)| format!("{}: {name}: {}", self.table[at].judge, self.table[at].why))
            .collect();
        assert_eq!(idle, [""; 0], "reasons without a difference");
    }
}

/// A field has a list of values.
fn has_list(event: &Json) -> bool {
    event.as_object().is_some_and(|fields| fields.values().any(Json::is_array))
}
