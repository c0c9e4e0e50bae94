//! Regular expressions of rules: read when a rule is loaded, compiled when an event first asks for one.
//!
//! Compiled, the expressions of the built-in rules take more memory than everything else that is made of those, and of most
//! of them no event of a host ever asks, as their rules have witnesses that are not seen. So an expression is read and
//! bounded at first ([`Expression::new`]): one that is certain to fit is compiled by whoever needs it first, any other at
//! once, so that what is refused is refused when the rules are loaded.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

/// Memory of a compiled expression, and of the automaton that is built of it while it runs.
const BYTES_MAX: usize = 1 << 20;

/// What a state of the automaton takes at most, and each of its transitions. `State` of regex-automata 0.4 has 32 bytes on
/// 64-bit machines and 8 a transition; the rest allows for changes and for the tables beside.
const STATE_BYTES: usize = 64;
const TRANSITION_BYTES: usize = 16;

/// Sequences of bytes that a range of characters falls into at most, and the states of each (utf8-ranges of regex-syntax).
const SEQUENCES: usize = 10;
const SEQUENCE_STATES: usize = 4;

/// An expression over bytes.
#[derive(Debug, Clone)]
pub struct Expression {
    text: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

impl Expression {
    /// The expression over bytes, so that text that is no UTF-8 cannot hide from it; over characters only if it has
    /// other letters than ASCII or asks for their classes. Says what is wrong with one that cannot be compiled.
    ///
    /// The flags, of `i`, `m` and `s`, stand in its text, so that whoever looks for literals in it sees them.
    pub fn new(text: &str, flags: &str) -> Result<Expression, String> {
        let read = |unicode: bool| {
            let flags = match (unicode, flags) {
                (true, "") => String::new(),
                (true, flags) => format!("(?{flags})"),
                (false, flags) => format!("(?{flags}-u)"),
            };
            Expression::read(format!("{flags}{text}").into())
        };
        let bytes_will_do = text.is_ascii() && !text.contains("\\p") && !text.contains("\\P");
        let result = if bytes_will_do { read(false).or_else(|_| read(true)) } else { read(true) };
        result.map_err(|reason| {
            let last = reason.lines().next_back().unwrap_or_default();
            format!("the regular expression '{text}' is refused: {}", last.trim_start_matches("error: "))
        })
    }

    fn read(text: Box<str>) -> Result<Expression, String> {
        let hir = parse(&text).map_err(|e| e.to_string())?;
        let compiled = OnceLock::new();
        if bytes_at_most(&hir) > BYTES_MAX {
            let _ = compiled.set(Some(compile(&text).map_err(|e| e.to_string())?));
        }
        Ok(Expression { text, compiled })
    }

    /// Its text, flags before it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The expression is found in the value. The first time takes as long as compiling it, some 0.1 ms.
    pub fn is_match(&self, value: &[u8]) -> bool {
        let compiled = self.compiled.get_or_init(|| {
            let compiled = compile(&self.text);
            if let Err(error) = &compiled {
                log::error!("the regular expression '{}' matches nothing: {error}", self.text);
            }
            compiled.ok()
        });
        compiled.as_ref().is_some_and(|regex| regex.is_match(value))
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(BYTES_MAX).dfa_size_limit(BYTES_MAX).build()
}

/// Reads the text of an expression as [`Expression`] means it.
pub fn parse(text: &str) -> Result<Hir, Box<regex_syntax::Error>> {
    regex_syntax::ParserBuilder::new().utf8(false).build().parse(text).map_err(Box::new)
}

/// More than the automaton of an expression takes.
fn bytes_at_most(hir: &Hir) -> usize {
    let all = |members: &[Hir]| members.iter().map(bytes_at_most).fold(0, usize::saturating_add);
    let inner = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len().saturating_mul(STATE_BYTES),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len().saturating_mul(TRANSITION_BYTES),
        HirKind::Class(Class::Unicode(class)) => {
            let each = SEQUENCES * SEQUENCE_STATES * (STATE_BYTES + TRANSITION_BYTES);
            class.ranges().len().saturating_mul(each)
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).saturating_add(1);
            let each = bytes_at_most(&repetition.sub).saturating_add(STATE_BYTES);
            each.saturating_mul(usize::try_from(times).unwrap_or(usize::MAX))
        }
        HirKind::Capture(capture) => bytes_at_most(&capture.sub).saturating_add(2 * STATE_BYTES),
        HirKind::Concat(members) => all(members),
        HirKind::Alternation(members) => {
            all(members).saturating_add(members.len().saturating_mul(STATE_BYTES))
        }
    };
    inner.saturating_add(STATE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_fits_is_compiled_when_it_is_needed() {
        let expression = Expression::new(r"^/tmp/\w{1,40}\.sh$", "i").unwrap();
        assert!(expression.compiled.get().is_none());
        assert!(expression.is_match(b"/TMP/a.sh") && !expression.is_match(b"/tmp/.sh"));
        assert!(expression.compiled.get().is_some());
        assert_eq!(expression.as_str(), r"(?i-u)^/tmp/\w{1,40}\.sh$");
    }

    #[test]
    fn what_may_be_too_large_is_tried_at_once() {
        let error = Expression::new(r"(\w{1,100}x){1,1000}", "").unwrap_err();
        assert!(error.contains("is refused") && error.contains("size limit"), "{error}");
        let error = Expression::new("a(b", "").unwrap_err();
        assert!(error.ends_with("unclosed group"), "{error}");
    }

    fn part() -> impl Strategy<Value = String> {
        let atoms =
            ["a", "é", ".", r"\w", r"\s", r"\S", "[a-z]", "[^/]", r"\pL", "(?i:straße)", "^", "$", r"\b"];
        let counts = ["", "", "*", "+", "?", "{3}", "{0,50}", "{20,}", "{1,200}"];
        let atom = (prop::sample::select(atoms.to_vec()), prop::sample::select(counts.to_vec()));
        prop::collection::vec(atom, 1..5).prop_map(|atoms| {
            let texts = atoms.iter().map(|(atom, count)| format!("(?:{atom}){count}"));
            texts.collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_held_to_fit_compiles(parts in prop::collection::vec(part(), 1..4), count in 1..30_u32) {
            let text = format!("({}){{{count}}}", parts.join("|"));
            if let Ok(hir) = parse(&text)
                && bytes_at_most(&hir) <= BYTES_MAX
            {
                prop_assert!(compile(&text).is_ok(), "{text} takes more than {}", bytes_at_most(&hir));
            }
        }
    }
}
