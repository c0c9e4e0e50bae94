//! Folding: the same finding over and over becomes one with a count.
//!
//! The first finding is told at once. What has the same rule, program, user, container and parent's program within the
//! window is only counted, and when the window is over one more line tells how many there were, from when to when, and
//! some of what they differ in. So nothing disappears unsaid, and a loop cannot bury other findings. There are at most
//! [`OPEN_MAX`] windows; when there are more, the oldest is closed and told early.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

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

/// A name for findings of the same kind.
type Fingerprint = [u8; 16];

struct Open {
    hit: Hit,
    fold: Fold,
    distinct: Vec<u64>,
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
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(open) = self.open.get_mut(&fingerprint) {
            let fold = &mut open.fold;
            fold.count += 1;
            fold.times_ns = (fold.times_ns.0.min(wall_ns), fold.times_ns.1.max(wall_ns));
            if !open.distinct.contains(&hash) && open.distinct.len() < KEYS_COUNTED {
                open.distinct.push(hash);
                fold.distinct += 1;
                if fold.keys.len() < KEYS_SHOWN {
                    fold.keys.push(key);
                }
            }
            return;
        }
        if self.open.len() >= OPEN_MAX {
            self.close_oldest(lines);
        }
        let fold = Fold {
            fingerprint: fingerprint.iter().map(|byte| format!("{byte:02x}")).collect(),
            count: 1,
            times_ns: (wall_ns, wall_ns),
            keys: vec![key],
            distinct: 1,
        };
        lines.push(finding::line(&hit, &fold));
        self.order.push_back((hit.time_ns, fingerprint));
        self.open.insert(fingerprint, Open { hit, fold, distinct: vec![hash] });
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
