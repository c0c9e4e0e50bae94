//! Writes the seeds: `seeds CORPUS_DIRECTORY` makes a directory for each target below it.

use std::error::Error;
use std::fs;
use std::path::Path;

use sentinel_edge::decode::synth;
use sentinel_edge::event::Host;
use sentinel_edge::kernel::capture::{Existing, Header, Writer};

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = std::env::args_os().nth(1).ok_or("usage: seeds CORPUS_DIRECTORY")?;
    let corpus = Path::new(&corpus);
    let [decode, capture, config] = ["decode", "capture", "config"].map(|target| corpus.join(target));
    for directory in [&decode, &capture, &config] {
        fs::create_dir_all(directory)?;
    }

    let header = Header::of(&Host { name: "seed".into(), ..Host::default() });
    let mut all = Writer::create(&capture.join("all"), &header, Existing::Replace)?;
    for sample in synth::samples() {
        let record = synth::encode(&sample.event);
        fs::write(decode.join(sample.name), &record)?;
        let mut one = Writer::create(&capture.join(sample.name), &header, Existing::Replace)?;
        one.write(&record)?;
        one.finish()?;
        all.write(&record)?;
    }
    all.finish()?;
    configurations(&config)
}

/// The shipped file whole; and with its keys live, each section a seed, so that mutations start where values are.
fn configurations(directory: &Path) -> Result<(), Box<dyn Error>> {
    const SHIPPED: &str = include_str!("../../packaging/config.toml");
    fs::write(directory.join("shipped"), SHIPPED)?;
    let live: Vec<&str> = SHIPPED
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(|line| !line.is_empty())
        .collect();
    for section in live.chunk_by(|_, next| !next.starts_with('[') || !next.ends_with(']')) {
        let name = section[0].trim_matches(['[', ']']);
        fs::write(directory.join(name), section.join("\n"))?;
    }
    Ok(())
}
