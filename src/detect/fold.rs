//! Folding: the same finding over and over becomes one with a count.
//!
//! The first finding is told at once. What has the same rule, program, user, container and parent's program within the
//! window is only counted, and when the window is over one more line tells how many there were, from when to when, and
//! some of what they differ in. Another session or container root may be somebody else, so the first of each is told at
//! once too, as long as they are few. So nothing disappears unsaid, and a loop cannot bury other findings. There are at
//! most [`OPEN_MAX`] windows; when there are more, the oldest is closed and told early.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher as _};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::finding::{self, Fold};
use super::judge::Hit;

/// How long findings are folded after the first.
pub const WINDOW_NS: u64 = 60_000_000_000;

/// Windows at a time.
const OPEN_MAX: usize = 2048;

/// Different command lines or files that are shown, and that are told apart.
const KEYS_SHOWN: usize = 10;
const KEYS_COUNTED: usize = 1024;

/// Sessions of which the first finding is told at once.
const SESSIONS_TOLD: usize = 8;

/// A name for findings of the same kind.
type Fingerprint = [u8; 16];

struct Open {
    hit: Hit,
    fold: Fold,
    distinct: Vec<u64>,
    sessions: Vec<u64>,
}

/// Findings that are being folded.
#[derive(Default)]
pub struct Folder {
    open: HashMap<Fingerprint, Open>,
    /// In the order of their beginnings: boot clock, and which.
    order: VecDeque<(u64, Fingerprint)>,
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

impl Folder {
    /// Takes a hit, and adds the line of it if it is the first of its kind in the window.
    pub fn hit(&mut self, hit: Hit, lines: &mut Vec<Vec<u8>>) {
        self.close(hit.time_ns, lines);
        let wall_ns = hit.time_ns.saturating_add_signed(hit.wall_offset_ns);
        let event: Value = serde_json::from_slice(&hit.line).unwrap_or_default();
        let fingerprint = fingerprint(&hit, &event);
        let key = event.as_object().and_then(finding::subject).unwrap_or_default();
        let (hash, session) = (hashed(&key), session(&event));
        if let Some(open) = self.open.get_mut(&fingerprint) {
            let fold = &mut open.fold;
            fold.count += 1;
            fold.times_ns = (fold.times_ns.0.min(wall_ns), fold.times_ns.1.max(wall_ns));
            if !open.distinct.contains(&hash) && open.distinct.len() < KEYS_COUNTED {
                open.distinct.push(hash);
                fold.distinct += 1;
                if fold.keys.len() < KEYS_SHOWN {
                    fold.keys.push(key.clone());
                }
            }
            if open.sessions.contains(&session) || open.sessions.len() == SESSIONS_TOLD {
                return;
            }
            open.sessions.push(session);
            lines.push(finding::line(&hit, &Fold::first(&fingerprint, wall_ns, key)));
            return;
        }
        if self.open.len() >= OPEN_MAX {
            self.close_oldest(lines);
        }
        let fold = Fold::first(&fingerprint, wall_ns, key);
        lines.push(finding::line(&hit, &fold));
        self.order.push_back((hit.time_ns, fingerprint));
        self.open.insert(fingerprint, Open { hit, fold, distinct: vec![hash], sessions: vec![session] });
    }

    /// Closes every window that began more than its length before this moment of the boot clock.
    pub fn close(&mut self, now_ns: u64, lines: &mut Vec<Vec<u8>>) {
        while self.order.front().is_some_and(|(began_ns, _)| began_ns.saturating_add(WINDOW_NS) < now_ns) {
            self.close_oldest(lines);
        }
    }

    /// Closes all windows, at the end.
    pub fn close_all(&mut self, lines: &mut Vec<Vec<u8>>) {
        while !self.order.is_empty() {
            self.close_oldest(lines);
        }
    }

    fn close_oldest(&mut self, lines: &mut Vec<Vec<u8>>) {
        let Some((_, fingerprint)) = self.order.pop_front() else { return };
        if let Some(open) = self.open.remove(&fingerprint)
            && open.fold.count > 1
        {
            lines.push(finding::line(&open.hit, &open.fold));
        }
    }
}

impl Fold {
    /// Of a single finding.
    fn first(fingerprint: &Fingerprint, wall_ns: u64, key: String) -> Fold {
        Fold {
            fingerprint: fingerprint.iter().map(|byte| format!("{byte:02x}")).collect(),
            count: 1,
            times_ns: (wall_ns, wall_ns),
            keys: vec![key],
            distinct: 1,
        }
    }
}

fn hashed(what: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Who may be somebody else: the session, and the mounts that the process sees.
fn session(event: &Value) -> u64 {
    let leader = event.pointer("/process/session_leader/entity_id").and_then(Value::as_str);
    hashed((leader, event.pointer("/sentineledge/namespaces/mnt").and_then(Value::as_u64)))
}

/// Rule, program, user, container and parent's program, hashed so that the result is stable over restarts and hosts.
fn fingerprint(hit: &Hit, event: &Value) -> Fingerprint {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let parts = [
        &hit.about.id,
        text("/process/executable"),
        text("/user/id"),
        text("/container/id"),
        text("/process/parent/executable"),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    std::array::from_fn(|at| digest.get(at).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::load::Rules;
    use crate::detect::sigma::search::Placeholders;
    use crate::detect::sigma::set::{Set, Source};

    const RULE: &str = "title: t\nid: one\nlogsource: {category: process_creation}\ndetection:\n  a: {Image: /bin/x}\n  condition: a\n";

    fn hit(rules: &Arc<Rules>, time_s: u64, session: &str, line: &str) -> Hit {
        let event = serde_json::json!({
            "process": { "executable": "/bin/x", "command_line": line, "session_leader": { "entity_id": session } },
        });
        Hit {
            rules: Arc::clone(rules),
            about: Arc::clone(&rules.set.rules().first().unwrap().about),
            category: "process_creation",
            is_silent: false,
            time_ns: time_s * 1_000_000_000,
            wall_offset_ns: 0,
            sequence: time_s,
            line: event.to_string().into_bytes().into(),
            matched: Vec::new(),
            process: None,
            program: None,
            feeds: Vec::new(),
            container: None,
            session_leader: None,
            preceding: Arc::default(),
        }
    }

    fn rules() -> Arc<Rules> {
        let source = Source { name: Arc::from("test.yml"), text: RULE.to_owned(), built_in: false };
        Arc::new(Rules::of(Set::new(&[source], &Placeholders::new()), &[], 1))
    }

    fn counts(lines: &[Vec<u8>]) -> Vec<u64> {
        let count = |line: &Vec<u8>| {
            let value: Value = serde_json::from_slice(line).unwrap();
            value.pointer("/sentineledge/finding/count").and_then(Value::as_u64).unwrap()
        };
        lines.iter().map(count).collect()
    }

    #[test]
    fn repeats_of_a_session_are_counted_and_told_once_more() {
        let (rules, mut folder, mut lines) = (rules(), Folder::default(), Vec::new());
        (0..50).for_each(|at| folder.hit(hit(&rules, at, "a", &format!("x {at}")), &mut lines));
        assert_eq!(counts(&lines), [1]);
        folder.close(200_000_000_000, &mut lines);
        assert_eq!(counts(&lines), [1, 50]);
    }

    #[test]
    fn the_first_of_each_session_is_told_as_long_as_they_are_few() {
        let (rules, mut folder, mut lines) = (rules(), Folder::default(), Vec::new());
        for _ in 0..2 {
            ["a", "b"].iter().for_each(|session| folder.hit(hit(&rules, 1, session, "x"), &mut lines));
        }
        assert_eq!(counts(&lines), [1, 1]);
        (0..1000).for_each(|at| folder.hit(hit(&rules, 2, &format!("s{at}"), "x"), &mut lines));
        assert_eq!(lines.len(), SESSIONS_TOLD);
        folder.close_all(&mut lines);
        assert_eq!(counts(&lines).last(), Some(&1004), "all of them in the end");
    }
}
