//! A single test of a field, and how tests are joined.
//!
//! Text is compared without regard to case by folding both sides: ASCII letters always, others only where the rule
//! has some, as that costs an allocation and public rules hardly need it. A field with several values passes if any of
//! them does, and so its negation holds if none does.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::among::Among;
use super::expression::Expression;
use super::fields::Field;
use super::pattern::Matcher;
use super::row::Row;
use super::scratch::Scratch;
use super::time::{self, Part};

/// Tests joined.
#[derive(Debug, Clone)]
pub enum Expr {
    /// A test, shared by all rules that have the same.
    Test(Arc<Test>),
    /// All of these; true if there are none.
    And(Box<[Expr]>),
    /// One of these; false if there are none.
    Or(Box<[Expr]>),
    /// The opposite.
    Not(Box<Expr>),
}

/// A test.
#[derive(Debug, Clone)]
pub struct Test {
    /// The field, or none for a keyword, which is looked for in all of them.
    pub field: Option<Field>,
    /// What is asked of a value.
    pub check: Check,
}

/// What is asked of a value.
#[derive(Debug, Clone)]
pub enum Check {
    /// Text that was folded as the value must be.
    Text(Matcher, Fold),
    /// One of many texts whose ASCII letters were folded.
    Among(Box<Among>),
    /// A regular expression.
    Regex(Box<Expression>),
    /// An address in this network.
    Network(Network),
    /// A number that compares so.
    Number(Order, f64),
    /// A part of a time that compares so; with no order it equals.
    Time(Part, Option<Order>, i64),
    /// The field is there.
    Exists,
    /// The field is not there.
    Null,
    /// Compares with another field of the event.
    Field(Field, Place, Fold),
}

/// How a value is changed before it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// Not at all: case counts.
    None,
    /// ASCII letters to lower case.
    Ascii,
    /// All letters to lower case.
    Unicode,
}

/// Where one value is in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is all of it.
    Whole,
    /// At the beginning.
    Start,
    /// At the end.
    End,
    /// Anywhere.
    Anywhere,
}

/// How numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
}

impl Order {
    fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Order::Lt => ordering.is_lt(),
            Order::Lte => ordering.is_le(),
            Order::Gt => ordering.is_gt(),
            Order::Gte => ordering.is_ge(),
        }
    }
}

/// A network in the way of CIDR. IPv4 is kept as mapped into IPv6, so that `::ffff:10.1.2.3` is in `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    mask: u128,
}

impl Network {
    /// Parses `ADDRESS/LENGTH` or an address. Bits beyond the length may be set.
    pub fn parse(text: &str) -> Result<Network, String> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("'{address}' is no address; a network is written as 10.0.0.0/8"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length.map(str::parse::<u32>) {
            None => most,
            Some(Ok(length)) if length <= most => length,
            Some(_) => return Err(format!("the length of the network '{text}' is not between 0 and {most}")),
        };
        let length = if address.is_ipv4() { length + 96 } else { length };
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
        Ok(Network { bits: number(address) & mask, mask })
    }

    fn contains(self, address: IpAddr) -> bool {
        number(address) & self.mask == self.bits
    }
}

fn number(address: IpAddr) -> u128 {
    let v6: Ipv6Addr = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    v6.to_bits()
}

impl Expr {
    /// The event is as this says.
    pub fn holds(&self, row: &Row<'_>, scratch: &mut Scratch) -> bool {
        match self {
            Expr::Test(test) => test.holds(row, scratch),
            Expr::And(members) => members.iter().all(|member| member.holds(row, scratch)),
            Expr::Or(members) => members.iter().any(|member| member.holds(row, scratch)),
            Expr::Not(inner) => !inner.holds(row, scratch),
        }
    }

    /// Calls back for each test that the event passes and that is not under a negation: what made a rule match.
    pub fn explain<'e>(&'e self, row: &Row<'_>, scratch: &mut Scratch, found: &mut Vec<&'e Test>) {
        match self {
            Expr::Test(test) if test.holds(row, scratch) => found.push(test),
            Expr::Test(_) | Expr::Not(_) => {}
            Expr::And(members) | Expr::Or(members) => {
                for member in members {
                    if member.holds(row, scratch) {
                        member.explain(row, scratch, found);
                    }
                }
            }
        }
    }

    /// Number of tests.
    pub fn size(&self) -> usize {
        let mut size = 0;
        self.tests(&mut |_| size += 1);
        size
    }

    /// Calls back for every test, which may be replaced.
    pub fn tests_mut(&mut self, each: &mut impl FnMut(&mut Arc<Test>)) {
        match self {
            Expr::Test(test) => each(test),
            Expr::And(members) | Expr::Or(members) => {
                members.iter_mut().for_each(|member| member.tests_mut(each));
            }
            Expr::Not(inner) => inner.tests_mut(each),
        }
    }

    /// Calls back for every test.
    pub fn tests<'e>(&'e self, each: &mut impl FnMut(&'e Test)) {
        match self {
            Expr::Test(test) => each(test),
            Expr::And(members) | Expr::Or(members) => members.iter().for_each(|member| member.tests(each)),
            Expr::Not(inner) => inner.tests(each),
        }
    }
}

impl Test {
    /// The event passes.
    pub fn holds(&self, row: &Row<'_>, scratch: &mut Scratch) -> bool {
        let Some(field) = self.field else { return self.is_anywhere(row) };
        let slot = row.get(field);
        match &self.check {
            Check::Text(matcher, Fold::Ascii) => {
                if slot.is_empty() {
                    return false;
                }
                scratch.folded(row, field).any(|value| matcher.is_match(value))
            }
            Check::Among(among) => {
                !slot.is_empty() && scratch.folded(row, field).any(|value| among.is_match(value))
            }
            Check::Exists => slot.is_present(),
            Check::Null => !slot.is_present(),
            Check::Field(other, place, fold) => {
                let others = row.get(*other);
                slot.values().any(|value| others.values().any(|other| compares(value, other, *place, *fold)))
            }
            check => slot.values().any(|value| check.passes(value)),
        }
    }

    /// A value passes by itself. Of tests about a field as a whole any value does.
    pub fn passes(&self, value: &[u8]) -> bool {
        matches!(self.check, Check::Exists | Check::Null | Check::Field(..)) || self.check.passes(value)
    }

    fn is_anywhere(&self, row: &Row<'_>) -> bool {
        row.values().any(|value| self.check.passes(value))
    }
}

impl Check {
    /// A value passes by itself.
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Check::Text(matcher, fold) => match fold {
                Fold::None => matcher.is_match(value),
                Fold::Ascii => matcher.is_match(&value.to_ascii_lowercase()),
                Fold::Unicode => matcher.is_match(unicode_lower(value).as_bytes()),
            },
            Check::Among(among) => among.is_match(&value.to_ascii_lowercase()),
            Check::Regex(regex) => regex.is_match(value),
            Check::Network(network) => {
                text(value).and_then(|t| t.parse().ok()).is_some_and(|a| network.contains(a))
            }
            Check::Number(order, limit) => {
                let number = text(value).and_then(|t| t.trim().parse::<f64>().ok());
                number.and_then(|n| n.partial_cmp(limit)).is_some_and(|ordering| order.holds(ordering))
            }
            Check::Time(part, order, limit) => {
                let ordering = text(value).and_then(|t| time::part(t, *part)).map(|n| n.cmp(limit));
                ordering.is_some_and(|o| order.map_or(o.is_eq(), |order| order.holds(o)))
            }
            // These are about the field, not a value.
            Check::Exists | Check::Null | Check::Field(..) => false,
        }
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

/// In lower case, whatever is no UTF-8 replaced.
pub fn unicode_lower(value: &[u8]) -> String {
    String::from_utf8_lossy(value).to_lowercase()
}

fn compares(value: &[u8], other: &[u8], place: Place, fold: Fold) -> bool {
    if fold != Fold::None {
        let (value, other) = (unicode_lower(value), unicode_lower(other));
        return compares(value.as_bytes(), other.as_bytes(), place, Fold::None);
    }
    match place {
        Place::Whole => value == other,
        Place::Start => value.starts_with(other),
        Place::End => value.ends_with(other),
        Place::Anywhere => memchr::memmem::find(value, other).is_some(),
    }
}
