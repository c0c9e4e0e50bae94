//! Reading rules: the built-in pack and the operator's directory, compiled into a generation.
//!
//! A directory is read whole, below it too, in the order of names. Files ending in `.yml` or `.yaml` hold rules; a file
//! `NAME.list` holds the values of the placeholder `%NAME%` for the modifier `expand`, one a line. What cannot be read or
//! is too large is said and left out. Nothing here waits for anybody, and nothing that runs is touched: whoever asked
//! for a generation puts it into force.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::config::Config;
use super::indicator;
use super::pack;
use super::sigma::budget::Budgets;
use super::sigma::logsource::Category;
use super::sigma::search::Placeholders;
use super::sigma::set::{Gravity, Problem, Set, Source};
use super::view::Reading;
use crate::event::Kind;

/// A rule file is smaller; the largest public one has 60 KB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Files in all.
const FILES_MAX: usize = 100_000;

/// Directories within one another.
const DEPTH_MAX: usize = 16;

/// A generation: rules that were compiled together.
#[derive(Debug, Default)]
pub struct Rules {
    /// Counts up from 1 in the life of an agent.
    pub generation: u64,
    /// The rules.
    pub set: Set,
    /// Indicators.
    pub indicators: indicator::Set,
    /// What programs never did before is told.
    pub anomalies: bool,
    /// For each rule: its hits are counted only.
    pub shadow: Vec<bool>,
    /// Ids and names that the configuration disables, and those whose hits it wants counted only: what is no rule of the
    /// set is asked by them.
    pub disabled: Vec<String>,
    /// See above.
    pub silent: Vec<String>,
    /// What each rule may cost; nothing is counted unless the agent runs.
    pub budgets: Arc<Budgets>,
    /// For each kind of event, by its index, the categories with rules that it feeds.
    pub views: Vec<Vec<(Category, Reading)>>,
}

/// What was read from a directory.
#[derive(Debug, Default)]
pub struct Found {
    /// Texts with rules.
    pub sources: Vec<Source>,
    /// Values of placeholders.
    pub lists: Placeholders,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Name, size and time of every file, to tell whether any changed.
    pub state: BTreeSet<(PathBuf, u64, Option<SystemTime>)>,
}

/// The state of everything that a generation is made of. No file is read for it.
pub fn state(config: &Config) -> BTreeSet<(PathBuf, u64, Option<SystemTime>)> {
    let mut found = Found::default();
    found.walk(&config.rules_dir, |found, path, about, named| {
        found.admit(path, about, named);
    });
    found.lists_of(&config.indicators_dir);
    found.state
}

/// Reads a directory, or a single file. One that is not there is empty.
pub fn read(path: &Path) -> Found {
    let mut found = Found::default();
    found.walk(path, Found::file);
    found
}

fn entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    // Names with a dot before are backups of editors and of packages.
    entries.retain(|entry| entry.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b".")));
    entries.sort();
    Ok(entries)
}

impl Found {
    fn note(&mut self, path: &Path, what: String) {
        let source = Arc::from(path.to_string_lossy());
        self.problems.push(Problem { source, line: 1, gravity: Gravity::Error, title: None, what });
    }

    /// Loads the lists of a directory, and notes their state.
    fn indicators(&mut self, directory: &Path) -> (indicator::Set, Vec<Problem>) {
        let files = self.lists_of(directory);
        let (set, problems) = indicator::Set::load(&files, &indicator::Limits::default());
        let problem = |problem: &indicator::Problem| Problem {
            source: Arc::from(problem.path.to_string_lossy()),
            line: usize::try_from(problem.line).unwrap_or(usize::MAX).max(1),
            // A list with a bad line is worth more than none: what is right in it is in force.
            gravity: Gravity::Remark,
            title: None,
            what: problem.reason.to_string(),
        };
        let problems = problems.iter().map(problem).collect();
        (set, problems)
    }

    /// The files of a directory of indicators, whose state is noted.
    fn lists_of(&mut self, directory: &Path) -> Vec<PathBuf> {
        let files: Vec<PathBuf> =
            entries(directory).unwrap_or_default().into_iter().filter(|path| path.is_file()).collect();
        for path in &files {
            if let Ok(about) = fs::metadata(path) {
                self.state.insert((path.clone(), about.len(), about.modified().ok()));
            }
        }
        files
    }

    /// Calls back for every file, and whether it was named itself.
    fn walk(&mut self, path: &Path, mut each: impl FnMut(&mut Found, &Path, &fs::Metadata, bool)) {
        let mut open = vec![(path.to_owned(), 0)];
        while let Some((path, depth)) = open.pop() {
            match fs::metadata(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound && depth == 0 => {}
                Err(e) => self.note(&path, format!("cannot be read: {e}")),
                Ok(about) if about.is_dir() && depth == DEPTH_MAX => {
                    self.note(&path, "is nested too deeply".to_owned());
                }
                Ok(about) if about.is_dir() => match entries(&path) {
                    Err(e) => self.note(&path, format!("cannot be listed: {e}")),
                    // The stack gives them back in the order of their names.
                    Ok(entries) => open.extend(entries.into_iter().rev().map(|entry| (entry, depth + 1))),
                },
                Ok(about) => each(self, &path, &about, depth == 0),
            }
        }
    }

    /// Notes the state of a file that is to be read; none if it is not. True if it holds values of a placeholder.
    fn admit(&mut self, path: &Path, about: &fs::Metadata, named: bool) -> Option<bool> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let is_list = extension == "list";
        if !is_list && !matches!(extension, "yml" | "yaml") && !named {
            return None;
        }
        if self.state.len() == FILES_MAX {
            self.note(path, format!("is left out, as there are more than {FILES_MAX} files"));
            return None;
        }
        self.state.insert((path.to_owned(), about.len(), about.modified().ok()));
        Some(is_list)
    }

    fn file(&mut self, path: &Path, about: &fs::Metadata, named: bool) {
        let Some(is_list) = self.admit(path, about, named) else { return };
        if !about.is_file() || about.len() > FILE_BYTES_MAX {
            self.note(path, format!("is no regular file of at most {FILE_BYTES_MAX} bytes"));
            return;
        }
        let text = match fs::read(path).map(String::from_utf8) {
            Err(e) => return self.note(path, format!("cannot be read: {e}")),
            Ok(Err(_)) => return self.note(path, "is not UTF-8".to_owned()),
            Ok(Ok(text)) => text,
        };
        if is_list {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let values =
                text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            self.lists.entry(name).or_default().extend(values.map(str::to_owned));
        } else {
            self.sources.push(Source { name: Arc::from(path.to_string_lossy()), text, built_in: false });
        }
    }
}

impl Rules {
    /// Compiles the rules that the configuration asks for.
    pub fn load(config: &Config, generation: u64) -> (Rules, Found) {
        let mut found = read(&config.rules_dir);
        let mut sources = if config.built_in { pack::sources() } else { Vec::new() };
        sources.append(&mut found.sources);
        let mut set = Set::without(&sources, &found.lists, &config.disabled);
        set.problems.append(&mut found.problems);
        let (indicators, wrong) = found.indicators(&config.indicators_dir);
        set.problems.extend(wrong);
        let rules = Rules {
            indicators,
            anomalies: config.anomalies,
            disabled: config.disabled.clone(),
            ..Rules::of(set, &config.shadow, generation)
        };
        (rules, found)
    }

    /// A generation of a set.
    pub fn of(set: Set, shadow: &[String], generation: u64) -> Rules {
        let is_shadow = |rule: &super::sigma::rule::Rule| {
            let names = [Some(&*rule.about.id), rule.about.name.as_deref()];
            rule.about.status.as_deref() == Some("shadow")
                || shadow.iter().any(|named| names.contains(&Some(named.as_str())))
        };
        let (silent, shadow) = (shadow.to_vec(), set.rules().iter().map(is_shadow).collect());
        let views = Kind::ALL.iter().map(|kind| {
            let categories = set.categories_of(*kind).iter();
            categories.map(|category| (*category, Reading::of(*kind, *category, &set))).collect()
        });
        Rules {
            views: views.collect(),
            generation,
            set,
            indicators: indicator::Set::default(),
            anomalies: false,
            shadow,
            disabled: Vec::new(),
            silent,
            budgets: Arc::default(),
        }
    }

    /// The first error, if the generation must not come into force; one that refuses rules for good reasons may.
    pub fn first_error(&self) -> Option<&Problem> {
        self.set.problems.iter().find(|problem| problem.gravity == Gravity::Error)
    }
}
