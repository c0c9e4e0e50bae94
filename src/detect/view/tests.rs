//! Typed rows and lines tell the same.

use std::sync::Arc;

use super::*;
use crate::decode::synth;
use crate::detect::sigma::fields::{Names, TABLE};
use crate::detect::sigma::search::Placeholders;
use crate::detect::sigma::set::Source;
use crate::event::ecs::Frame;
use crate::event::{Host, Image, Process, process};

struct Nobody;

impl ecs::Names for Nobody {
    fn user(&self, _: u32) -> Option<Arc<str>> {
        None
    }
    fn group(&self, _: u32) -> Option<Arc<str>> {
        None
    }
}

/// One rule a category, which asks for every field there is, and one for a field that only lines have.
fn rules_for(category: Category, fields: &[&str]) -> Rules {
    let tests: String = fields.iter().map(|field| format!("    - {field}|exists: true\n")).collect();
    let text = format!(
        "title: t\nlogsource: {{ category: {category} }}\ndetection:\n  s:\n{tests}  condition: s\n",
        category = category.name()
    );
    let source = Source { name: Arc::from("t.yml"), text, built_in: false };
    let rules = Rules::of(Set::new(&[source], &Placeholders::default()), &[], 1);
    assert!(rules.set.problems.is_empty(), "{:?}", rules.set.problems);
    rules
}

fn context() -> Context {
    let image = Image { executable: b"/usr/bin/id"[..].into(), interactive: Some(true), ..Image::default() };
    let entity_id = process::EntityId([7; 16]);
    let process =
        Process { pid: 71, start_ns: 1, entity_id, image: Arc::new(image), creator: None, depth: 0 };
    let destination_domain = Some("peer.example".into());
    Context { process: Some(Arc::new(process)), destination_domain, ..Context::default() }
}

/// The values that differ by design: the typed row has paths where a line has names, or several where it has one.
const ASIDE: [Field; 14] = [
    Field::IMAGE,
    Field::COMMAND_LINE,
    Field::CURRENT_DIRECTORY,
    Field::USER,
    Field::EFFECTIVE_USER,
    Field::LOGON_ID,
    Field::PARENT_IMAGE,
    Field::PARENT_COMMAND_LINE,
    Field::PARENT_PROCESS_ID,
    Field::ANCESTOR_IMAGES,
    Field::SESSION_ID,
    Field::CGROUP,
    Field::EXE_FLAGS,
    Field::ENVIRONMENT,
];

#[test]
fn what_is_typed_is_what_the_line_says() {
    let context = context();
    let frame = Frame::new(&Host::default(), Arc::new([]), 8);
    let names = Names::default();
    let all: Vec<&str> = TABLE.iter().map(|(name, ..)| *name).collect();
    let mut compared = std::collections::BTreeSet::new();
    for sample in synth::samples() {
        let (event, kind) = (&sample.event, sample.event.kind());
        let mut line = Vec::new();
        ecs::line(event, &context, &frame, &Nobody, &mut line);
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let input = Input { event, context: &context, names: &Nobody, env_allow: &[], line: &line };
        let categories = Category::ALL.iter().copied().filter(|category| *category != Category::Auditd);
        for category in categories.filter(|category| category.kinds().contains(&kind)) {
            let rules = rules_for(category, &all);
            let wanted = rules.set.wanted(category).unwrap();
            let found = line::Line::new(&value, category).values(wanted, &names, |_| false);
            let slices = found.slices();
            View::default().rows(&input, &rules, |_, row, failed| {
                assert_eq!(failed, value["event"]["outcome"] == "failure", "{}", sample.name);
                for field in wanted.fields().filter(|field| provides(kind, *field) && !ASIDE.contains(field))
                {
                    let typed: Vec<_> = row.get(field).values().map(String::from_utf8_lossy).collect();
                    let range =
                        found.slots.iter().find(|(of, _)| *of == field).map(|(_, range)| range.clone());
                    let told: Vec<_> = range
                        .and_then(|range| slices.get(range))
                        .unwrap_or_default()
                        .iter()
                        .map(|value| String::from_utf8_lossy(value))
                        .collect();
                    assert_eq!(typed, told, "{} as {}: {}", sample.name, category.name(), names.name(field));
                    if !typed.is_empty() {
                        compared.insert(names.name(field).to_owned());
                    }
                }
            });
        }
    }
    let known = file::PROVIDED.iter().chain(&network::PROVIDED).chain(&network::PROVIDED_OF_DNS);
    for field in known.chain(&actor::PROVIDED_OF_EXIT).filter(|field| !ASIDE.contains(field)) {
        assert!(compared.contains(names.name(*field)), "no sample has {}", names.name(*field));
    }
}

#[test]
fn a_line_is_read_only_for_what_is_not_typed() {
    let reading = |kind, category: Category, fields: &[&str]| {
        let rules = rules_for(category, fields);
        Reading::of(kind, category, &rules.set)
    };
    use Category::{FileEvent, NetworkConnection};
    assert!(matches!(reading(Kind::FileOpen, FileEvent, &["TargetFilename"]), Reading::Typed));
    assert!(matches!(reading(Kind::NetAccept, NetworkConnection, &["SourcePort"]), Reading::Typed));
    let rules = ["event.action", "TargetFilename"];
    assert!(matches!(reading(Kind::FileOpen, FileEvent, &rules), Reading::Line));
}

#[test]
fn built_in_rules_about_files_and_the_network_need_no_line() {
    let rules = Rules::of(Set::new(&crate::detect::pack::sources(), &Placeholders::default()), &[], 1);
    for (kind, views) in Kind::ALL.iter().zip(&rules.views) {
        let typed = matches!(
            kind,
            Kind::Exec | Kind::ExecFailed | Kind::Exit | Kind::FileOpen | Kind::FileDelete | Kind::NetConnect
        );
        for (category, reading) in views.iter().filter(|(category, _)| typed && *category != Category::Auditd)
        {
            assert!(matches!(reading, Reading::Typed), "{kind} as {}", category.name());
        }
    }
}
