//! Which series an expression of Prometheus asks for. It reads only as much of the language as that takes, and trusts
//! promtool and Prometheus for the rest.

/// A metric and what is asked of its labels.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector {
    /// The metric.
    pub name: String,
    /// Label and the values that are named, those of a regular expression apart.
    pub matchers: Vec<(String, Vec<String>)>,
}

/// What lists labels in parentheses, not series.
const LISTS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that are no metric although nothing opens behind them.
const WORDS: &[&str] = &["and", "or", "unless", "bool", "offset"];

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// What stands up to `end`, which is passed. No nesting is needed: neither lists of labels nor durations have any.
fn up_to<'a>(rest: &mut &'a str, end: char) -> &'a str {
    let (inside, behind) = rest.split_once(end).unwrap_or_else(|| panic!("{rest} lacks a {end}"));
    *rest = behind;
    inside
}

/// The inside of `{...}`, without the braces.
fn matchers(rest: &mut &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    loop {
        *rest = rest.trim_start_matches([',', ' ', '\n']);
        if let Some(behind) = rest.strip_prefix('}') {
            *rest = behind;
            return found;
        }
        let operator = up_to(rest, '"');
        let key = operator.trim_end_matches(['=', '!', '~']);
        let values = up_to(rest, '"').split('|').map(str::to_owned);
        found.push((key.trim().to_owned(), values.collect()));
    }
}

/// Every selector of an expression, in its order.
pub fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '[' {
            rest = &rest[1..];
            up_to(&mut rest, if first == '[' { ']' } else { '"' });
            continue;
        }
        if !is_word(first) {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind.trim_start();
        let opens = |text: &str| LISTS.iter().any(|list| text.split(|c| !is_word(c)).next() == Some(*list));
        if LISTS.contains(&word) {
            up_to(&mut rest, ')');
        } else if first.is_ascii_digit() || WORDS.contains(&word) || rest.starts_with('(') {
            // A number, an operator or a function.
        } else if matches!(word, "sum" | "min" | "max" | "count" | "avg" | "topk") && opens(rest) {
            // A function whose labels stand before its argument.
        } else {
            let matchers = rest.strip_prefix('{').map(|inside| {
                rest = inside;
                matchers(&mut rest)
            });
            found.push(Selector { name: word.to_owned(), matchers: matchers.unwrap_or_default() });
        }
    }
    found
}

#[test]
fn selectors_are_found_and_nothing_else() {
    let names = |text: &str| selectors(text).into_iter().map(|s| s.name).collect::<Vec<_>>();
    assert_eq!(names("up == 0"), ["up"]);
    assert_eq!(names("sum by (a, b) (rate(x_total[5m])) > 1e3"), ["x_total"]);
    assert_eq!(names("a and on (b) sum without (c) (d) or e offset 5m"), ["a", "d", "e"]);
    assert_eq!(names("histogram_quantile(0.99, x_bucket) * 1000"), ["x_bucket"]);
    assert_eq!(names("r:s:t != 0 unless ignoring (u) v{w=\"x y{z}\"}"), ["r:s:t", "v"]);
    let selector = &selectors("rate(x{a=\"b\",c!~\"d|e\", f=~\"$g\"}[1m])")[0];
    let told: Vec<String> =
        selector.matchers.iter().map(|(key, values)| format!("{key} {}", values.join(" "))).collect();
    assert_eq!(told, ["a b", "c d e", "f $g"]);
}
