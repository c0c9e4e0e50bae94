//! What a worker has taken from its queue and not written yet: which lines go into the next write call, and
//! which of them have arrived after it.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::batch::{Batch, Line};
use super::loss::{Counts, Loss, LossLine};
use super::output::Part;
use super::queue::{Item, cost};

/// Slices of one write call; the kernel takes no more (`IOV_MAX`).
const MOST_PARTS: usize = 1024;

/// Entries in order.
#[derive(Debug, Default)]
pub(super) struct Hand {
    entries: Vec<Entry>,
    /// The first entry that is not done.
    at: usize,
}

#[derive(Debug)]
enum Entry {
    /// A batch, and how many of its lines are done.
    Batch(Arc<Batch>, usize),
    /// A line of the agent's own.
    Text(Vec<u8>),
    /// What is missing, and the line that says so.
    Loss(Box<Loss>, Vec<u8>),
    Flush(Sender<()>),
}

/// What an advance has finished.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Lines.
    pub(super) counts: Counts,
    /// Memory of the entries that are finished.
    pub(super) cost: usize,
}

impl Hand {
    /// Nothing is left to write.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes the items over. A loss becomes its line here, as nothing can be added to it any more.
    pub(super) fn fill(&mut self, items: &mut Vec<Item>, loss_line: &LossLine) {
        self.entries.extend(items.drain(..).map(|item| match item {
            Item::Batch(batch) => Entry::Batch(batch, 0),
            Item::Flush(reply) => Entry::Flush(reply),
            Item::Text(text) => Entry::Text(text),
            Item::Loss(loss) => {
                let mut text = Vec::with_capacity(1024);
                loss_line(&loss, &mut text);
                Entry::Loss(loss, text)
            }
        }));
    }

    /// The next lines, `most` of them at most; `None` when everything is done. Answers flushes on the way.
    pub(super) fn parts(&mut self, most: usize) -> Option<Vec<Part<'_>>> {
        while let Some(entry) = self.entries.get(self.at) {
            match entry {
                // Nobody may wait for the answer any more.
                Entry::Flush(reply) => drop(reply.try_send(())),
                Entry::Batch(batch, done) if *done < batch.lines.len() => break,
                Entry::Text(text) | Entry::Loss(_, text) if !text.is_empty() => break,
                _ => {}
            }
            self.at += 1;
        }
        if self.at == self.entries.len() {
            self.entries.clear();
            self.at = 0;
            return None;
        }
        let mut parts = Vec::new();
        let mut lines = 0;
        for entry in &self.entries[self.at..] {
            if lines >= most || parts.len() == MOST_PARTS {
                break;
            }
            match entry {
                Entry::Flush(_) => break,
                Entry::Text(text) | Entry::Loss(_, text) => {
                    parts.push(Part { bytes: text, lines: &[], base: 0 });
                    lines += 1;
                }
                Entry::Batch(batch, done) => {
                    let until = batch.lines.len().min(done + (most - lines));
                    let base = start_of(batch, *done);
                    let bytes = &batch.bytes[base..start_of(batch, until)];
                    parts.push(Part { bytes, lines: &batch.lines[*done..until], base });
                    lines += until - done;
                }
            }
        }
        Some(parts)
    }

    /// `bytes` of the parts have arrived, whole lines. `canary` gets nonce, distance of the line's end from the
    /// end of those bytes, and length.
    pub(super) fn advance(&mut self, bytes: usize, mut canary: impl FnMut(u64, usize, usize)) -> Done {
        let mut finished = Done::default();
        let mut left = bytes;
        while let Some(entry) = self.entries.get_mut(self.at) {
            match entry {
                Entry::Flush(_) => break,
                Entry::Text(text) | Entry::Loss(_, text) if text.len() > left => break,
                Entry::Text(text) => {
                    left -= text.len();
                    finished.cost += text.len();
                }
                Entry::Loss(_, text) => left -= text.len(),
                Entry::Batch(batch, done) => {
                    let mut start = start_of(batch, *done);
                    for line in &batch.lines[*done..] {
                        let len = line.end - start;
                        if len > left {
                            break;
                        }
                        left -= len;
                        start = line.end;
                        *done += 1;
                        finished.counts.inc(line.kind);
                        if let Some(nonce) = line.canary {
                            canary(nonce, left, len);
                        }
                    }
                    if *done < batch.lines.len() {
                        break;
                    }
                    finished.cost += cost(batch);
                }
            }
            self.at += 1;
        }
        finished
    }

    /// Gives everything up. `lose` gets the lines of each batch that have not arrived and its memory, and makes
    /// their loss. Returns what is missing and not told.
    pub(super) fn abandon(&mut self, mut lose: impl FnMut(&[Line], usize) -> Option<Loss>) -> Vec<Loss> {
        let mut untold = Vec::new();
        for entry in self.entries.drain(..).skip(std::mem::take(&mut self.at)) {
            let loss = match entry {
                Entry::Batch(batch, done) => lose(&batch.lines[done..], cost(&batch)),
                Entry::Loss(loss, _) => Some(*loss),
                Entry::Text(_) | Entry::Flush(_) => None,
            };
            Loss::gather(&mut untold, loss);
        }
        untold
    }
}

/// Where the line with this position begins.
fn start_of(batch: &Batch, line: usize) -> usize {
    line.checked_sub(1).and_then(|before| batch.lines.get(before)).map_or(0, |line| line.end)
}
