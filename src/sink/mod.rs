//! Destinations: lines of ECS JSON in, bytes out.
//!
//! A worker turns events into a [`Batch`] of lines; every sink gets the same shared batch, on a thread and with
//! a queue of its own ([`worker`]). A slow or dead sink delays neither the reader nor another sink. A sink only
//! writes ([`output`]); queue, order, retry, loss and metrics belong to the worker. [`Sinks`] is all of them.
//!
//! ```text
//! Sinks::offer -> queue (order, bound, loss) -> worker -> FileOutput | StreamOutput (JSON or compact)
//!              '-> tail (clients on a Unix socket)
//! ```

pub mod batch;
mod calendar;
pub mod compact;
pub mod config;
pub mod file;
mod hand;
mod keeper;
pub mod loss;
mod order;
pub mod output;
mod queue;
mod repair;
mod rotate;
pub mod set;
pub mod state;
pub mod stdout;
pub mod tail;
pub mod worker;

pub use batch::{Batch, Line};
pub use compact::Renderer;
pub use config::Config;
pub use loss::{Counts, Loss, LossLine};
pub use output::{Error, Place, Written};
pub use queue::{PATIENCE, WhenFull};
pub use repair::last_sequence;
pub use set::{Context, Sinks};
pub use state::SinkState;
pub use worker::Handle;
