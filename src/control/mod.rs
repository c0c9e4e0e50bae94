//! The order of things: starting, running, reloading, stopping; threads, signals, health and HTTP.

pub mod config;
pub mod http;

pub use config::Config;
