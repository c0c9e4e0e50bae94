//! Sightings: addresses, domains and paths of indicator lists in events.
//!
//! Looked at are the other side of connections, names that were asked for and what they were answered with, programs
//! that are run, and files that are opened for writing or read on watch. A sighting is a hit like a rule's, with the list
//! and its note among what matched. Digests of executables take longer; see [`digest`].

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use super::digest;
use super::indicator::{Match, Set};
use super::judge::{Case, Hit};
use super::sigma::rule::{About, Level};
use super::view::Input;
use crate::event::dns::{Data, Message};
use crate::event::{Body, Kind, Network};

/// What is told of an indicator of each kind.
static ADDRESS: LazyLock<Arc<About>> = LazyLock::new(|| {
    about(
        "indicator-ip",
        "Traffic with an address of an indicator list",
        &["attack.command-and-control", "attack.t1071"],
    )
});
static DOMAIN: LazyLock<Arc<About>> = LazyLock::new(|| {
    about(
        "indicator-domain",
        "Name of an indicator list looked up",
        &["attack.command-and-control", "attack.t1071.004"],
    )
});
static PATH: LazyLock<Arc<About>> = LazyLock::new(|| {
    about(
        "indicator-path",
        "File of an indicator list run or opened",
        &["attack.execution", "attack.t1204.002"],
    )
});

static DIGEST: LazyLock<Arc<About>> = LazyLock::new(|| {
    about(
        "indicator-hash",
        "Program with a digest of an indicator list run",
        &["attack.execution", "attack.t1204.002"],
    )
});

fn about(id: &str, title: &str, tags: &[&str]) -> Arc<About> {
    Arc::new(About {
        source: Arc::from("indicators"),
        line: 1,
        id: id.into(),
        name: Some(id.into()),
        title: title.into(),
        description: "An entry of the operator's indicator lists was seen; the list and its note are among what matched.".into(),
        author: "SentinelEdge".into(),
        license: None,
        references: Vec::new(),
        tags: tags.iter().map(|tag| Box::from(*tag)).collect(),
        false_positives: vec!["Entries that are out of date, or addresses that many services share".into()],
        status: None,
        level: Level::High,
    })
}

/// Adds a hit for each indicator in the event.
pub fn add(case: &Case<'_>, hits: &mut Vec<Hit>) {
    let (set, input) = (&case.rules.indicators, &case.input);
    if set.is_empty() {
        return;
    }
    if let (Body::Exec(exec), true) = (&input.event.body, set.has_digests()) {
        let program = (digest::identity(exec), digest::path(exec, input.context.container.is_some()));
        hits.push(Hit { program: Some(program), ..case.hit(&DIGEST, "process_creation", Vec::new()) });
    }
    let mut found =
        |about: &Arc<About>, category: &'static str, field: &str, value: String, matched: Match<'_>| {
            let mut shown: Vec<(Box<str>, String)> =
                vec![(field.into(), value), ("indicator".into(), matched.entry)];
            shown.push(("list".into(), matched.list.to_owned()));
            shown.extend(matched.note.map(|note| ("note".into(), note.to_owned())));
            hits.push(case.hit(about, category, shown));
        };
    match &input.event.body {
        Body::Network(network) => traffic(set, network, input, &mut found),
        Body::Exec(exec) => {
            for path in [exec.program.executable, exec.filename] {
                if let Some(matched) = set.path(path) {
                    found(
                        &PATH,
                        "process_creation",
                        "Image",
                        String::from_utf8_lossy(path).into_owned(),
                        matched,
                    );
                    break;
                }
            }
        }
        Body::File(file) if matches!(file.kind, Kind::FileOpen | Kind::FileRead) && file.errno == 0 => {
            if let Some(matched) = set.path(file.path) {
                let category = if file.kind == Kind::FileOpen { "file_event" } else { "file_access" };
                let path = String::from_utf8_lossy(file.path).into_owned();
                found(&PATH, category, "TargetFilename", path, matched);
            }
        }
        _ => {}
    }
}

fn traffic(
    set: &Set,
    network: &Network<'_>,
    input: &Input<'_>,
    found: &mut impl FnMut(&Arc<About>, &'static str, &str, String, Match<'_>),
) {
    match network.kind {
        Kind::NetConnect | Kind::NetAccept => {
            let address = network.remote.ip(network.family);
            if let Some((address, matched)) = address.and_then(|a| Some((a, set.ip(a)?))) {
                found(&ADDRESS, "network_connection", "DestinationIp", address.to_string(), matched);
            }
            let name = input.context.destination_domain.as_deref();
            if let Some((name, matched)) = name.and_then(|name| Some((name, set.domain(name.as_bytes())?))) {
                found(&DOMAIN, "network_connection", "DestinationHostname", name.to_owned(), matched);
            }
        }
        Kind::NetDns => {
            let Some(message) = Message::parse(network.payload) else { return };
            if let Some(question) = message.question() {
                let name = question.name.text();
                if let Some(matched) = set.domain(name.as_bytes()) {
                    found(&DOMAIN, "dns_query", "QueryName", name, matched);
                }
            }
            let addresses = message.answers().filter_map(|record| match record.data {
                Data::Address(address) => Some(address),
                _ => None,
            });
            for address in addresses.collect::<Vec<IpAddr>>() {
                if let Some(matched) = set.ip(address) {
                    found(&ADDRESS, "dns_query", "QueryResults", address.to_string(), matched);
                }
            }
        }
        _ => {}
    }
}
