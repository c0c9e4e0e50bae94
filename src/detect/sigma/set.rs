//! A set of rules: what was loaded, what was refused and why, and the judge of events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use super::arrange;
use super::budget::Admission;
use super::correlation::{self, Correlation};
use super::fields::{Field, KNOWN, Names};
use super::index::{Index, Required};
use super::intern::Interned;
use super::logsource::Category;
use super::plan::Plan;
use super::row::Row;
use super::rule::{self, About, Form, Rule};
use super::scratch::Scratch;
use super::search::{Fault, Placeholders};
use super::test::{Check, Expr, Test};
use super::witness;
use super::yaml::{self, Node};
use crate::event::Kind;

/// Tests that filters may add to all rules together: each rule gets a copy of each filter that names it.
const FILTER_TESTS_MAX: usize = 200_000;

/// How a document fared that is not among the rules, or that is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// It is loaded, and something about it is odd.
    Remark,
    /// It is right, and nothing on this agent can feed it.
    Refused,
    /// It is wrong, and not loaded.
    Error,
}

/// Something to say about a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub source: Arc<str>,
    /// From 1.
    pub line: usize,
    /// How bad it is.
    pub gravity: Gravity,
    /// The rule's title, if it got that far.
    pub title: Option<Box<str>>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.source, self.line, self.what)
    }
}

/// A text with rules, and where it is from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path of the file, or a name.
    pub name: Arc<str>,
    /// Its text.
    pub text: String,
    /// Rules of other sources with the same id take the place of these.
    pub built_in: bool,
}

/// Rules, ready to judge.
#[derive(Debug, Default)]
pub struct Set {
    rules: Vec<Rule>,
    /// For each rule how it is evaluated.
    plans: Vec<Option<Plan>>,
    /// How many parts the plans of a category have at most that are asked once for an event.
    parts: usize,
    correlations: Vec<Correlation>,
    /// For each rule: it only serves correlations, and gives no findings of its own.
    serves: Vec<bool>,
    /// Names of fields.
    pub names: Names,
    /// What there is to say.
    pub problems: Vec<Problem>,
    /// Tests, while rules are added.
    interned: Interned,
    indexes: BTreeMap<Category, Index>,
    wanted: BTreeMap<Category, Wanted>,
    /// For each kind of event the categories with rules that it feeds.
    by_kind: HashMap<Kind, Vec<Category>>,
}

/// The fields that rules of a category look at.
#[derive(Debug, Clone)]
pub struct Wanted {
    fields: BTreeSet<Field>,
    known: [bool; KNOWN],
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted { fields: BTreeSet::new(), known: [false; KNOWN] }
    }
}

impl Wanted {
    /// Some rule looks at it. With keywords among the rules, every field of the table is looked at.
    pub fn has(&self, field: Field) -> bool {
        self.known.get(field.index()).copied().unwrap_or_else(|| self.fields.contains(&field))
    }

    /// Every such field.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        self.fields.iter().copied()
    }

    fn add(&mut self, field: Field) {
        if let Some(known) = self.known.get_mut(field.index()) {
            *known = true;
        }
        self.fields.insert(field);
    }

    /// Every field that the test looks at.
    fn add_test(&mut self, test: &Test) {
        match test.field {
            Some(field) => self.add(field),
            None => (0..KNOWN).filter_map(|at| u16::try_from(at).ok()).for_each(|at| self.add(Field(at))),
        }
        if let Check::Field(other, ..) = test.check {
            self.add(other);
        }
    }
}

/// A filter and the rules that it narrows.
struct Filter {
    source: Arc<str>,
    line: usize,
    rules: Vec<String>,
    category: Category,
    expr: Expr,
    used: bool,
}

impl Set {
    /// Compiles all rules of these texts. What is wrong with one does not keep the others from being loaded.
    pub fn new(sources: &[Source], lists: &Placeholders) -> Set {
        Set::without(sources, lists, &[])
    }

    /// The same, but without the rules of these ids and names.
    pub fn without(sources: &[Source], lists: &Placeholders, disabled: &[String]) -> Set {
        let mut set = Set::default();
        let (mut filters, mut correlations) = (Vec::new(), Vec::new());
        let mut ids: BTreeMap<Box<str>, (usize, bool)> = BTreeMap::new();
        for source in sources {
            let documents = match yaml::documents(&source.text) {
                Ok(documents) => documents,
                Err(error) => {
                    set.note(source, error.line, Gravity::Error, None, error.what);
                    continue;
                }
            };
            for document in documents {
                match rule::form(&document) {
                    Ok(Form::Correlation) => correlations.push((source, document)),
                    _ => set.add(source, document, lists, &mut filters, &mut ids),
                }
            }
        }
        let is_disabled = |about: &About| {
            let names = [Some(&*about.id), about.name.as_deref()];
            disabled.iter().any(|named| names.contains(&Some(named.as_str())))
        };
        set.rules.retain(|rule| !is_disabled(&rule.about));
        set.apply(filters);
        for (source, document) in correlations {
            set.correlate(source, &document, &is_disabled);
        }
        set.serve();
        set.index();
        set.interned = Interned::default();
        set
    }

    fn add(
        &mut self,
        source: &Source,
        document: Node,
        lists: &Placeholders,
        filters: &mut Vec<Filter>,
        ids: &mut BTreeMap<Box<str>, (usize, bool)>,
    ) {
        let title = document.get("title").and_then(Node::text).map(Box::from);
        let result = match rule::form(&document) {
            Err(fault) => Err((Gravity::Error, fault)),
            Ok(Form::Correlation) => return,
            Ok(Form::Filter) => match self.filter(source, &document, lists) {
                Ok(filter) => {
                    filters.push(filter);
                    return;
                }
                Err(fault) => Err((Gravity::Error, fault)),
            },
            Ok(Form::Rule) => match rule::category(&document) {
                // What is wrong with a rule is said even if it is not for this agent.
                Err(fault) => match rule::rule_for(
                    &document,
                    &source.name,
                    Category::ProcessCreation,
                    &mut Names::default(),
                    lists,
                ) {
                    Ok(_) => Err((Gravity::Refused, fault)),
                    Err(wrong) => Err((Gravity::Error, wrong)),
                },
                Ok(category) => rule::rule_for(&document, &source.name, category, &mut self.names, lists)
                    .map_err(|fault| (Gravity::Error, fault)),
            },
        };
        match result {
            Err((gravity, (line, what))) => self.note(source, line, gravity, title, what),
            Ok(mut rule) => {
                self.interned.share(&mut rule.expr);
                self.keep(source, rule, ids);
            }
        }
    }

    fn keep(&mut self, source: &Source, rule: Rule, ids: &mut BTreeMap<Box<str>, (usize, bool)>) {
        for (line, what) in &rule.remarks {
            self.note(source, *line, Gravity::Remark, Some(rule.about.title.clone()), what.clone());
        }
        match ids.get(&rule.about.id).copied() {
            None => {
                ids.insert(rule.about.id.clone(), (self.rules.len(), source.built_in));
                self.rules.push(rule);
            }
            Some((at, true)) if !source.built_in => {
                ids.insert(rule.about.id.clone(), (at, false));
                if let Some(old) = self.rules.get_mut(at) {
                    *old = rule;
                }
            }
            Some((at, _)) => {
                let first = self
                    .rules
                    .get(at)
                    .map(|r| format!("{}:{}", r.about.source, r.about.line))
                    .unwrap_or_default();
                let what = format!("the id '{}' is that of {first} already", rule.about.id);
                self.note(source, rule.about.line, Gravity::Error, Some(rule.about.title.clone()), what);
            }
        }
    }

    fn note(
        &mut self,
        source: &Source,
        line: usize,
        gravity: Gravity,
        title: Option<Box<str>>,
        what: String,
    ) {
        self.problems.push(Problem { source: Arc::clone(&source.name), line, gravity, title, what });
    }

    fn filter(&mut self, source: &Source, document: &Node, lists: &Placeholders) -> Result<Filter, Fault> {
        let node = document.get("filter").unwrap_or(document);
        let rules = node.get("rules").ok_or_else(|| (node.line, "filter: there is no 'rules'".to_owned()))?;
        let rules: Vec<String> = rules.members().iter().filter_map(Node::text).map(str::to_owned).collect();
        let category = rule::category(document)?;
        let (expr, _) = rule::detection(node, &mut self.names, lists)?;
        Ok(Filter { source: Arc::clone(&source.name), line: node.line, rules, category, expr, used: false })
    }

    fn apply(&mut self, filters: Vec<Filter>) {
        let mut copied = 0;
        for mut filter in filters {
            let size = filter.expr.size().max(1);
            for rule in &mut self.rules {
                let about = &rule.about;
                let named = |reference: &String| {
                    reference == "any"
                        || **reference == *about.id
                        || Some(reference.as_str()) == about.name.as_deref()
                };
                if rule.category == filter.category && filter.rules.iter().any(named) {
                    filter.used = true;
                    copied += size;
                    if copied > FILTER_TESTS_MAX {
                        break;
                    }
                    rule.expr = Expr::And([rule.expr.clone(), filter.expr.clone()].into());
                }
            }
            let (gravity, what) = match filter.used {
                _ if copied > FILTER_TESTS_MAX => (
                    Gravity::Error,
                    format!("filter: all filters add more than {FILTER_TESTS_MAX} tests to rules"),
                ),
                true => continue,
                false => (Gravity::Remark, "filter: none of the rules that it names is loaded".to_owned()),
            };
            let problem = Problem { source: filter.source, line: filter.line, gravity, title: None, what };
            self.problems.push(problem);
        }
    }

    fn correlate(&mut self, source: &Source, document: &Node, is_disabled: &dyn Fn(&About) -> bool) {
        let title = document.get("title").and_then(Node::text).map(Box::from);
        let compiled = correlation::compile(document, &source.name, &self.rules, &mut self.names);
        let is_taken = |about: &About| {
            self.rules
                .iter()
                .map(|rule| &rule.about)
                .chain(self.correlations.iter().map(|c| &c.about))
                .any(|other| other.id == about.id)
        };
        match compiled {
            Ok(correlation) if is_disabled(&correlation.about) => {}
            Ok(correlation) if is_taken(&correlation.about) => {
                let what = format!("the id '{}' is that of another rule already", correlation.about.id);
                self.note(source, document.line, Gravity::Error, title, what);
            }
            Ok(correlation) => self.correlations.push(correlation),
            Err((line, what)) => self.note(source, line, Gravity::Error, title, what),
        }
    }

    /// Finds out which rules only serve correlations.
    fn serve(&mut self) {
        let serves = |number: usize| {
            let is_base = |c: &&Correlation| c.bases.iter().any(|base| base.rule as usize == number);
            let mut of = self.correlations.iter().filter(is_base).peekable();
            of.peek().is_some() && of.all(|correlation| !correlation.generates)
        };
        self.serves = (0..self.rules.len()).map(serves).collect();
    }

    fn index(&mut self) {
        let mut by_category: BTreeMap<Category, Vec<u32>> = BTreeMap::new();
        for (number, rule) in (0..).zip(&self.rules) {
            by_category.entry(rule.category).or_default().push(number);
        }
        self.plans = vec![None; self.rules.len()];
        for (category, numbers) in &by_category {
            let exprs = || numbers.iter().filter_map(|number| Some(&self.rules.get(*number as usize)?.expr));
            let clauses: Vec<_> = numbers.iter().copied().zip(exprs().map(witness::of)).collect();
            let witnesses =
                clauses.iter().filter_map(|(_, clauses)| clauses.as_ref()).flatten().flatten().flatten();
            let arranged = arrange::arrange(exprs(), witnesses.collect());
            self.indexes.insert(*category, Index::new(&clauses, &arranged.groups));
            self.parts = self.parts.max(arranged.parts);
            for (number, plan) in numbers.iter().zip(arranged.plans) {
                if let Some(to) = self.plans.get_mut(*number as usize) {
                    *to = Some(plan);
                }
            }
        }
        for rule in &self.rules {
            let wanted = self.wanted.entry(rule.category).or_default();
            rule.expr.tests(&mut |test| wanted.add_test(test));
            // Whether it failed decides which rules see an event.
            wanted.add(Field::OUTCOME);
        }
        for correlation in &self.correlations {
            for base in &correlation.bases {
                let category = self.rules.get(base.rule as usize).map(|rule| rule.category);
                let Some(wanted) = category.and_then(|category| self.wanted.get_mut(&category)) else {
                    continue;
                };
                base.group_by.iter().chain(&base.value).for_each(|field| wanted.add(*field));
            }
        }
        for category in by_category.keys() {
            for kind in category.kinds() {
                self.by_kind.entry(*kind).or_default().push(*category);
            }
        }
    }

    /// Categories with rules that events of this kind feed.
    pub fn categories_of(&self, kind: Kind) -> &[Category] {
        self.by_kind.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// The fields that rules of the category look at; none if there are no rules.
    pub fn wanted(&self, category: Category) -> Option<&Wanted> {
        self.wanted.get(&category)
    }

    /// The correlation rules.
    pub fn correlations(&self) -> &[Correlation] {
        &self.correlations
    }

    /// The rule only serves correlations, and gives no findings of its own.
    pub fn serves(&self, rule: u32) -> bool {
        self.serves.get(rule as usize).copied().unwrap_or(false)
    }

    /// The rules; their positions are their numbers.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The index of a category, if any rule is about it.
    pub fn index_of(&self, category: Category) -> Option<&Index> {
        self.indexes.get(&category)
    }

    /// Whether a rule of the category may match, of whose event the row has only what `required` was asked for.
    pub fn may_match(
        &self,
        category: Category,
        required: &Required,
        row: &Row<'_>,
        scratch: &mut Scratch,
    ) -> bool {
        self.candidates(category, row, scratch);
        required.may_match(scratch)
    }

    /// Finds the rules of the category that the event may match: the candidates of the scratch.
    pub fn candidates(&self, category: Category, row: &Row<'_>, scratch: &mut Scratch) {
        let index = self.indexes.get(&category);
        scratch.begin(self.rules.len(), index.map_or(0, Index::groups), self.parts);
        if let Some(index) = index {
            index.candidates(row, scratch);
        }
    }

    /// The event matches the rule, whatever its outcome, after its candidates were found.
    pub fn holds(&self, rule: u32, row: &Row<'_>, scratch: &mut Scratch) -> bool {
        self.plans.get(rule as usize).and_then(Option::as_ref).is_some_and(|plan| plan.holds(row, scratch))
    }

    /// Calls back with the number of each rule of the category that the event matches. `failed` events are shown to rules
    /// that ask for failures only.
    pub fn judge(
        &self,
        category: Category,
        row: &Row<'_>,
        failed: bool,
        scratch: &mut Scratch,
        mut hit: impl FnMut(u32),
    ) {
        self.candidates(category, row, scratch);
        let candidates = std::mem::take(&mut scratch.candidates);
        for number in &candidates {
            let is_for = |rule: &Rule| !failed || rule.sees_failures;
            if !self.rules.get(*number as usize).is_some_and(is_for) {
                continue;
            }
            let admission = scratch.meters.admit(*number);
            if matches!(admission, Admission::Skipped) {
                continue;
            }
            let holds = self.holds(*number, row, scratch);
            if let Admission::Timed(timer) = admission {
                scratch.meters.charge(*number, timer);
            }
            if holds {
                hit(*number);
            }
        }
        scratch.candidates = candidates;
    }
}
