//! Detection without a kernel: the Sigma engine against the specification, public rules, random rules and the built-in
//! pack.

mod conformance;
mod index;
mod limits;
mod oracles;
mod pack;
mod pattern;
mod public;
mod support;
mod verdicts;
