//! Judging by the index and judging every rule: the same, or the index loses matches. The fuzz target `rules` has
//! this file too.

use sentinel_edge::detect::sigma::logsource::Category;
use sentinel_edge::detect::sigma::row::Row;
use sentinel_edge::detect::sigma::scratch::Scratch;
use sentinel_edge::detect::sigma::set::Set;

/// Numbers of the category's rules that match, found in both ways.
pub fn hits(set: &Set, category: Category, row: &Row<'_>, scratch: &mut Scratch) -> Vec<usize> {
    let mut found = Vec::new();
    set.judge(category, row, false, scratch, |number| found.push(number as usize));
    found.sort_unstable();
    scratch.forget();
    let of_category = set.rules().iter().enumerate().filter(|(_, rule)| rule.category == category);
    let expected: Vec<usize> =
        of_category.filter(|(_, rule)| rule.expr.holds(row, scratch)).map(|(at, _)| at).collect();
    assert_eq!(found, expected, "{}: by the index, and all", category.name());
    found
}
