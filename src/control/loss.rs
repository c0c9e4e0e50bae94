//! The record that a sink writes about events that are missing in it, in the frame of the moment.

use std::sync::{Arc, PoisonError, RwLock};

use crate::event::ecs::Frame;
use crate::event::ecs::own::{self, Gap};
use crate::sink::{Loss, LossLine};
use crate::util::clock;

/// Renders losses as ECS lines.
pub fn line(frame: Arc<RwLock<Frame>>) -> Arc<LossLine> {
    Arc::new(move |loss: &Loss, out: &mut Vec<u8>| {
        let frame = frame.read().unwrap_or_else(PoisonError::into_inner).clone();
        let gap = Gap {
            sink: loss.sink.name(),
            reason: loss.reason.name(),
            classes: loss.counts.iter().collect(),
            runs: Vec::new(),
            sequences: Some((loss.first_sequence, loss.last_sequence)),
            times_ns: (loss.first_time_ns, loss.last_time_ns),
        };
        own::gap(&frame, clock::wall_ns(), &gap, out);
    })
}
