//! Writes the seeds: `seeds CORPUS_DIRECTORY` makes a directory for each target below it.

use std::error::Error;
use std::fs;
use std::path::Path;

use sentinel_edge::decode::synth;
use sentinel_edge::detect::pack;
use sentinel_edge::event::Host;
use sentinel_edge::kernel::capture::{Existing, Header, Writer};

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = std::env::args_os().nth(1).ok_or("usage: seeds CORPUS_DIRECTORY")?;
    let corpus = Path::new(&corpus);
    let [decode, capture, config, rules] = ["decode", "capture", "config", "rules"].map(|target| corpus.join(target));
    for directory in [&decode, &capture, &config, &rules] {
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
    configurations(&config)?;
    all_rules(&rules)
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

/// Each built-in rule, and one rule for each modifier, with values that their cases and values are made of.
fn all_rules(directory: &Path) -> Result<(), Box<dyn Error>> {
    const MODIFIERS: &[(&str, &str)] = &[
        ("CommandLine|contains|all", "[a*b, '?\\*c']"),
        ("CommandLine|startswith|cased", "É"),
        ("CommandLine|windash|contains", "' -f'"),
        ("CommandLine|wide|base64offset|contains", "abc"),
        ("CommandLine|utf16|base64|endswith", "abc"),
        ("CommandLine|re|i|m|s", "'^(abc|b+c?)[x-z]{2,}$'"),
        ("CommandLine|neq", "[a, null]"),
        ("CommandLine|expand", "'x%list%y'"),
        ("CommandLine|fieldref|endswith", "Image"),
        ("Image|exists", "false"),
        ("DestinationIp|cidr", "[10.0.0.0/8, '::1/64']"),
        ("ProcessId|gte", "4.5"),
        ("Other|hour|lt", "7"),
    ];
    for source in pack::sources() {
        // Values of the cases, one a line of the file and good enough to start from.
        let cases = source.text.split_once("\ntests:").map_or("", |(_, cases)| cases);
        let values: Vec<&str> = cases.lines().filter_map(|line| Some(line.split_once(": ")?.1.trim_matches('\''))).collect();
        let name = source.name.replace('/', "-");
        fs::write(directory.join(name), format!("{}\0{}", source.text, values.join("\u{1}")))?;
    }
    for (number, (key, value)) in MODIFIERS.iter().enumerate() {
        let rule = format!(
            "title: t\nlogsource: {{category: process_creation}}\ndetection:\n  a:\n    {key}: {value}\n  b: [abc, '*x']\n  condition: 1 of them and not (a and b)\n"
        );
        let values = "aab\u{1}10.1.2.3\u{1}2026-11-22T05:00:00Z\u{1}5\u{1}x /f\u{1}abczz";
        fs::write(directory.join(format!("modifier-{number}")), format!("{rule}\0{values}"))?;
    }
    Ok(())
}
