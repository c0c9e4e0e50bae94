//! Conditions: which searches must hold.
//!
//! The grammar of Sigma rules specification 2.1, "Condition": `not` binds before `and`, `and` before `or`; parentheses;
//! `1 of X`, `any of X` and `all of X`, where X is `them` or a name with `*`. Words of the grammar may be written in
//! upper case. `them` leaves out names that begin with an underscore. Aggregations of the old format (`| count() by`) are
//! refused: correlation rules took their place.

use super::pattern::{Matcher, Pattern};
use crate::util::nearest;

/// A condition over the searches of a rule, which are referred to by their positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// This search.
    Search(usize),
    /// All of these.
    And(Vec<Condition>),
    /// One of these.
    Or(Vec<Condition>),
    /// The opposite.
    Not(Box<Condition>),
}

/// Words in one another; parentheses and `not` count.
const DEPTH_MAX: usize = 64;

/// Searches that the conditions of a rule may name, each time counted: every mention is a copy of the search.
pub const MENTIONS_MAX: usize = 10_000;

/// Parses a condition over the searches of these names.
pub fn parse(text: &str, names: &[&str]) -> Result<Condition, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, names, depth: 0, mentions: 0 };
    let condition = parser.or()?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => Err(format!("expected 'and', 'or' or the end before '{token}'")),
    }
}

fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' => 1,
            '|' => {
                return Err("aggregations after '|' are of the old format; use a correlation rule".to_owned());
            }
            _ => rest.find(|c: char| c.is_whitespace() || "()|".contains(c)).unwrap_or(rest.len()),
        };
        let (token, tail) = rest.split_at(length);
        tokens.push(token);
        rest = tail.trim_start();
    }
    Ok(tokens)
}

struct Parser<'t> {
    tokens: &'t [&'t str],
    at: usize,
    names: &'t [&'t str],
    depth: usize,
    mentions: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.at).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Condition, String> {
        let mut members = vec![self.and()?];
        while self.take("or") {
            members.push(self.and()?);
        }
        Ok(single(members, Condition::Or))
    }

    fn and(&mut self) -> Result<Condition, String> {
        let mut members = vec![self.not()?];
        while self.take("and") {
            members.push(self.not()?);
        }
        Ok(single(members, Condition::And))
    }

    fn not(&mut self) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("nested too deeply".to_owned());
        }
        let condition = if self.take("not") {
            Condition::Not(Box::new(self.not()?))
        } else if self.take("(") {
            let inner = self.or()?;
            if !self.take(")") {
                return Err("a ')' is missing".to_owned());
            }
            inner
        } else {
            self.search()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn search(&mut self) -> Result<Condition, String> {
        let Some(token) = self.peek() else {
            return Err("expected the name of a search at the end".to_owned());
        };
        self.at += 1;
        let is_of = self.peek().is_some_and(|next| next.eq_ignore_ascii_case("of"));
        if is_of && !self.names.contains(&token) {
            self.at += 1;
            return self.of(token);
        }
        match self.names.iter().position(|name| *name == token) {
            Some(at) => {
                self.mention(1)?;
                Ok(Condition::Search(at))
            }
            None if ["and", "or", "not", ")"].iter().any(|word| token.eq_ignore_ascii_case(word)) => {
                Err(format!("expected the name of a search before '{token}'"))
            }
            None => Err(format!(
                "there is no search '{token}'{}",
                nearest::hint(token, self.names.iter().copied())
            )),
        }
    }

    fn of(&mut self, quantity: &str) -> Result<Condition, String> {
        let join = match quantity.to_ascii_lowercase().as_str() {
            "1" | "any" => Condition::Or,
            "all" => Condition::And,
            _ => {
                return Err(format!("'{quantity} of' is not known; there are '1 of', 'any of' and 'all of'"));
            }
        };
        let Some(pattern) = self.peek() else {
            return Err(format!("expected 'them' or the name of a search after '{quantity} of'"));
        };
        self.at += 1;
        let all = pattern.eq_ignore_ascii_case("them");
        let matcher = Matcher::new(&Pattern::parse(pattern));
        let chosen =
            self.names.iter().enumerate().filter(|(_, name)| {
                if all { !name.starts_with('_') } else { matcher.is_match(name.as_bytes()) }
            });
        let members: Vec<Condition> = chosen.map(|(at, _)| Condition::Search(at)).collect();
        if members.is_empty() {
            return Err(format!("no search is named like '{pattern}'"));
        }
        self.mention(members.len())?;
        Ok(single(members, join))
    }

    fn mention(&mut self, searches: usize) -> Result<(), String> {
        self.mentions += searches;
        if self.mentions > MENTIONS_MAX {
            return Err(format!("it names searches more than {MENTIONS_MAX} times"));
        }
        Ok(())
    }
}

fn single(mut members: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    match members.pop() {
        Some(only) if members.is_empty() => only,
        last => {
            members.extend(last);
            join(members)
        }
    }
}

impl Condition {
    /// Every search that it names.
    pub fn searches(&self, found: &mut Vec<usize>) {
        match self {
            Condition::Search(at) => found.push(*at),
            Condition::And(members) | Condition::Or(members) => {
                members.iter().for_each(|m| m.searches(found))
            }
            Condition::Not(inner) => inner.searches(found),
        }
    }
}
