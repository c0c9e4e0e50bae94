//! The files that are written from the table.

use std::fs;
use std::path::Path;

use crate::generated::assert_fresh;
use sentinel_edge::config::{Place, document, parse_str, table};

#[test]
fn documents_follow_the_table() {
    assert_fresh("packaging/config.toml", &document::file());
    assert_fresh("docs/configuration.md", &document::markdown());
}

#[test]
fn the_shipped_file_says_nothing_and_every_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/config.toml");
    let shipped = fs::read_to_string(path).unwrap();
    let defaults = parse_str("c", "").unwrap();
    let as_shipped = parse_str("c", &shipped).unwrap();
    assert!(as_shipped.settings.iter().all(|s| s.place == Place::Default));

    // A setting has no space after the #, an explanation has one.
    let uncommented: Vec<&str> = shipped
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' ')).unwrap_or(line)
        })
        .collect();
    let all = parse_str("c", &uncommented.join("\n")).unwrap();
    assert!(all.settings.iter().all(|s| s.place != Place::Default), "a key is missing");
    assert_eq!(all.hash(), defaults.hash());
    let keys = uncommented.iter().filter(|l| !l.starts_with('#') && l.contains(" = ")).count();
    assert_eq!(keys, table::all().count(), "each key once, second names too");
    assert!(shipped.lines().all(|line| line.len() <= 110), "lines fit a terminal");
}
