//! Detection without a kernel: the Sigma engine against the specification, public rules, random rules and the built-in
//! pack.

mod budget;
mod conformance;
mod exhaustive;
mod index;
mod limits;
mod modifiers;
mod mutations;
mod oracles;
mod pack;
mod pattern;
mod public;
mod remembered;
mod support;
mod verdicts;
