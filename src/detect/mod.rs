//! Detection: events in, findings out.
//!
//! ```text
//! rules --sigma--> Rules (a generation)          Event + Context + line
//!                      |                                   |
//!                      '---------> judge <---view: rows----'
//!                                    | hits
//!                                    v
//!          correlate, fold repeats -> finding, a line of ECS
//! ```
//!
//! Workers judge ([`judge`]), each with memory of its own, by the generation of rules that is in force at the batch;
//! what a process tree did before a hit is added on the way ([`trail`]); one thread correlates what they find
//! ([`combine`]), folds repeats ([`fold`]) and hands lines to the sinks. Rules are read and compiled by [`load`], aside,
//! and swapped at one point. What is learned from several hits is kept by that one thread alone.

pub mod anomaly;
pub mod cases;
pub mod combine;
pub mod config;
pub mod correlate;
pub mod digest;
pub mod finding;
pub mod fold;
pub mod indicator;
pub mod judge;
pub mod lint;
pub mod load;
pub mod novelty;
pub mod pack;
pub mod sighting;
pub mod sigma;
pub mod trail;
pub mod view;

pub use config::Config;
