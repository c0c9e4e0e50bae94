//! What is in order and waits to be written.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;

use crate::sink::batch::{Batch, Line};
use crate::sink::loss::Loss;

/// What waits to be written.
#[derive(Debug)]
pub(in crate::sink) enum Item {
    /// Events.
    Batch(Arc<Batch>),
    /// Events that are missing here.
    Loss(Box<Loss>),
    /// A line of the agent's own.
    Text(Vec<u8>),
    /// Somebody wants to know that everything before this was written.
    Flush(Sender<()>),
}

/// What came under an index.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "losses are rare, and there are few slots")]
pub(super) enum Slot {
    Batch(Arc<Batch>),
    Lost(Option<Loss>),
}

/// What is in order and can be written.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) items: VecDeque<Item>,
    pub(super) lines: usize,
    /// When the first item came.
    pub(super) oldest: Option<Instant>,
    /// Somebody waits for a flush.
    pub(super) hurry: bool,
}

impl Ready {
    pub(super) fn append(&mut self, slot: Slot) {
        match slot {
            Slot::Batch(batch) if batch.lines.is_empty() => {}
            Slot::Batch(batch) => {
                let lines = batch.lines.len();
                self.push(Item::Batch(batch), lines);
            }
            Slot::Lost(None) => {}
            Slot::Lost(Some(loss)) => {
                let merged = match self.items.back_mut() {
                    Some(Item::Loss(last)) => last.merge(&loss),
                    _ => false,
                };
                if !merged {
                    self.push(Item::Loss(Box::new(loss)), 1);
                }
            }
        }
    }

    pub(super) fn push(&mut self, item: Item, lines: usize) {
        self.items.push_back(item);
        self.lines += lines;
        self.oldest.get_or_insert_with(Instant::now);
    }

    /// Moves items with `most` lines or a little more.
    pub(super) fn take(&mut self, items: &mut Vec<Item>, most: usize) {
        let mut lines = 0;
        while lines < most {
            let Some(item) = self.items.pop_front() else { break };
            lines += match &item {
                Item::Batch(batch) => batch.lines.len(),
                Item::Loss(_) | Item::Text(_) => 1,
                Item::Flush(_) => 0,
            };
            items.push(item);
        }
        self.lines -= lines;
        // What stays came later, so its wait is counted anew; that may double it, never more.
        self.oldest = (!self.items.is_empty()).then(Instant::now);
        self.hurry = self.items.iter().any(|item| matches!(item, Item::Flush(_)));
    }
}

/// Memory that a batch holds.
pub(in crate::sink) fn cost(batch: &Batch) -> usize {
    batch.bytes.len() + batch.lines.len() * size_of::<Line>() + size_of::<Batch>()
}
