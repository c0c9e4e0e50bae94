//! Witnesses: what every match of a rule must contain.
//!
//! A rule can only match an event that has one of its witnesses, so the others need not be evaluated. Of tests that must
//! all pass the cheapest gives the witnesses; of alternatives each must give some; a negation, a number or an absent
//! field gives none, and a rule without any is evaluated for every event of its category. Which witness is cheap is
//! estimated from how often one would be seen in vain: the estimate decides about speed and never about a verdict.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::fields::Field;
use super::pattern::Matcher;
use super::test::{Check, Expr, Fold, Test};

/// Something in a field's value, with ASCII letters folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The field; none if it may be in any.
    pub field: Option<Field>,
    /// How it is there.
    pub kind: Kind,
    /// The bytes.
    pub bytes: Box<[u8]>,
}

/// How a witness is in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// As the last component of a path.
    BaseName,
    /// As the whole value.
    Whole,
    /// Anywhere; at least [`LITERAL_MIN`] bytes.
    Within,
}

/// A shorter text is in so many values that looking for it pays nothing.
pub const LITERAL_MIN: usize = 3;

/// Alternatives in one rule above which the rule is rather evaluated always.
const ALTERNATIVES_MAX: usize = 4096;

/// Text that is common on a Linux host: parts of paths, options, words of builds and scripts. What occurs here is a bad
/// witness.
const COMMON: &str = "/usr/bin/ /usr/sbin/ /usr/lib/x86_64-linux-gnu/ /usr/share/ /usr/local/bin/ /usr/include/ /bin/sh -c \
    /bin/bash /etc/ /var/lib/ /var/log/ /var/run/ /run/ /tmp/ /home/user/ /root/ /opt/ /proc/self/ /sys/ /dev/null \
    python3 perl node java gcc cc1 make cmake cargo rustc git ssh sudo cat grep sed awk ls cp mv rm ln chmod mkdir \
    --color=auto --version --help --output --config= --file --name --type --no- --list -o -i -I/ -L/ -W -Wall -D -f -O2 -g -c -m -n -p -r -s -t -x \
    .c .h .o .so .py .sh .conf .json .txt .log .d .service system systemd default config include source build test main \
    http https:// www. .com localhost 127.0.0.1 http:// index data file user name local lib the and for in do done then echo if \
    ing tion er es re en on at st te ti or an nd al de co in";

/// The witnesses of an expression, or none.
pub fn of(expr: &Expr) -> Option<Vec<Witness>> {
    costed(expr).map(|(_, witnesses)| witnesses)
}

fn costed(expr: &Expr) -> Option<(f64, Vec<Witness>)> {
    match expr {
        Expr::Test(test) => of_test(test),
        Expr::And(members) => members.iter().filter_map(costed).min_by(|(a, _), (b, _)| a.total_cmp(b)),
        Expr::Or(members) => {
            let mut all = (0.0, Vec::new());
            for member in members {
                let (cost, witnesses) = costed(member)?;
                all.0 += cost;
                witnesses.into_iter().for_each(|w| {
                    if !all.1.contains(&w) {
                        all.1.push(w);
                    }
                });
                if all.1.len() > ALTERNATIVES_MAX {
                    return None;
                }
            }
            Some(all)
        }
        Expr::Not(_) => None,
    }
}

fn of_test(test: &Test) -> Option<(f64, Vec<Witness>)> {
    let literals = match &test.check {
        // What other letters fold to is not told by their bytes.
        Check::Text(_, Fold::Unicode) => return None,
        Check::Text(matcher, _) => return of_text(test.field, matcher),
        Check::Regex(regex) => of_regex(regex.as_str())?,
        _ => return None,
    };
    let witnesses: Vec<Witness> = literals
        .into_iter()
        .map(|bytes| Witness {
            field: test.field,
            kind: Kind::Within,
            bytes: bytes.to_ascii_lowercase().into(),
        })
        .collect();
    Some((witnesses.iter().map(cost).sum(), witnesses))
}

fn of_text(field: Option<Field>, matcher: &Matcher) -> Option<(f64, Vec<Witness>)> {
    let literal = matcher.longest_literal().to_ascii_lowercase();
    let is_path = field.is_some_and(|f| PATHS.contains(&f));
    let (kind, bytes) = match matcher {
        Matcher::Equals(whole) if field.is_some() && !is_path => (Kind::Whole, whole.to_ascii_lowercase()),
        Matcher::Equals(end) | Matcher::Suffix(end)
            if is_path && end.contains(&b'/') && !end.ends_with(b"/") =>
        {
            let name = end.rsplit(|&b| b == b'/').next().unwrap_or(end);
            (Kind::BaseName, name.to_ascii_lowercase())
        }
        Matcher::Equals(whole) if field.is_some() => (Kind::Whole, whole.to_ascii_lowercase()),
        _ if literal.len() >= LITERAL_MIN => (Kind::Within, literal),
        _ => return None,
    };
    let witness = Witness { field, kind, bytes: bytes.into() };
    Some((cost(&witness), vec![witness]))
}

/// Fields whose values are paths of programs, where rules ask for the last component.
const PATHS: [Field; 5] =
    [Field::IMAGE, Field::PARENT_IMAGE, Field::TARGET_IMAGE, Field::AUDIT_EXE, Field::ANCESTOR_IMAGES];

/// Names of programs that are seen all the time.
const BUSY_NAMES: [&str; 12] =
    ["sh", "bash", "dash", "python3", "python", "perl", "sudo", "systemd", "sshd", "cat", "grep", "node"];

/// How often it is seen in vain, estimated per event.
fn cost(witness: &Witness) -> f64 {
    let parent = matches!(
        witness.field,
        Some(Field::PARENT_IMAGE | Field::ANCESTOR_IMAGES | Field::PARENT_COMMAND_LINE)
    );
    let base = match witness.kind {
        Kind::BaseName if BUSY_NAMES.iter().any(|name| name.as_bytes() == &*witness.bytes) => 0.05,
        Kind::BaseName => 0.004,
        Kind::Whole => 0.02,
        Kind::Within => 0.003 + commonness(rarest(&witness.bytes).1),
    };
    if parent { base * 4.0 } else { base }
}

fn commonness(count: usize) -> f64 {
    match count {
        0 => 0.0,
        n => 0.03 * f64::from(u32::try_from(n).unwrap_or(u32::MAX)),
    }
}

/// Where in a literal the three bytes are that are seen least, and how often they are in common text. Letters and blanks
/// count as commoner than other characters where common text has neither.
pub fn rarest(literal: &[u8]) -> (usize, usize) {
    let plain = |window: &[u8]| window.iter().filter(|b| b.is_ascii_alphabetic() || **b == b' ').count();
    let places = literal.windows(LITERAL_MIN).enumerate();
    let rated = places.map(|(at, window)| {
        let count = memchr::memmem::find_iter(COMMON.as_bytes(), window).count();
        (at, count, plain(window))
    });
    rated.min_by_key(|(_, count, plain)| (*count, *plain)).map_or((0, 0), |(at, count, _)| (at, count))
}

/// Literals one of which every match of a regular expression has in it.
fn of_regex(text: &str) -> Option<Vec<Vec<u8>>> {
    let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(text).ok()?;
    let literals = required(&hir)?;
    literals.iter().all(|literal| literal.len() >= LITERAL_MIN).then_some(literals)
}

fn shortest(literals: &[Vec<u8>]) -> usize {
    literals.iter().map(Vec::len).min().unwrap_or(0)
}

fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Alternation(members) => {
            let all: Option<Vec<_>> = members.iter().map(required).collect();
            all.map(|all| all.concat()).filter(|all| all.len() <= 64)
        }
        HirKind::Concat(members) => {
            let mut best: Option<Vec<Vec<u8>>> = None;
            let mut consider = |found: Vec<Vec<u8>>| {
                if best.as_ref().is_none_or(|best| shortest(&found) > shortest(best)) {
                    best = Some(found);
                }
            };
            let mut run = Vec::new();
            for member in members {
                match same_letters(member) {
                    Some(bytes) => run.extend(bytes),
                    None => {
                        consider(vec![std::mem::take(&mut run)]);
                        required(member).into_iter().for_each(&mut consider);
                    }
                }
            }
            consider(vec![run]);
            best
        }
        _ => None,
    }
}

/// The bytes, in lower case, if it stands for these letters alone in either case.
fn same_letters(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_ascii_lowercase()),
        HirKind::Class(Class::Bytes(class)) => {
            let bytes: Vec<u8> = class.ranges().iter().flat_map(|r| r.start()..=r.end()).collect();
            letter(&bytes.iter().map(|b| char::from(*b)).collect::<Vec<_>>())
        }
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = class.ranges();
            // Ranges of many characters are no letter in two cases.
            let small = ranges.iter().all(|r| u32::from(r.end()) - u32::from(r.start()) < 4);
            letter(&ranges.iter().filter(|_| small).flat_map(|r| r.start()..=r.end()).collect::<Vec<_>>())
        }
        _ => None,
    }
}

fn letter(characters: &[char]) -> Option<Vec<u8>> {
    let first = characters.first()?.to_ascii_lowercase();
    let same = characters.iter().all(|c| c.is_ascii() && c.to_ascii_lowercase() == first);
    same.then(|| u8::try_from(first).ok().map(|b| vec![b])).flatten()
}
