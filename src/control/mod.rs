//! The order of things: starting, running, reloading, stopping; threads, signals, health and HTTP.
//!
//! [`run`] is the agent's life. [`replay`] runs the same flow over a capture, [`record`] makes one.

pub mod board;
pub mod canary;
pub mod config;
pub mod directory;
pub mod error;
pub mod findings;
pub mod health;
pub mod http;
pub mod lock;
mod loss;
mod overflow;
mod own;
pub mod pipeline;
mod privileges;
pub mod probes;
pub mod record;
pub mod replay;
pub mod rules;
pub mod run;
pub mod signals;
pub mod source;
pub mod state;
pub mod summary;
pub mod worker;

pub use config::Config;
pub use error::Error;
