//! What an event is about, of the classes that are not the life of a process: a file, a peer, a target.

use serde_json::Value;

use super::text::{Style, Text};
use super::view::{EndpointPart, View};

/// The word for a class, at most four letters, and its colour.
pub(super) fn word(class: &str) -> (Style, &'static str) {
    match class {
        "exec" => (Style::Good, "exec"),
        "exec_failed" => (Style::Bad, "FAIL"),
        "fork" => (Style::Calm, "fork"),
        "exit" => (Style::Quiet, "exit"),
        "file_open" => (Style::Calm, "open"),
        "file_read" => (Style::Warn, "read"),
        "file_close" => (Style::Quiet, "clos"),
        "file_rename" => (Style::Calm, "ren"),
        "file_delete" => (Style::Calm, "del"),
        "file_link" => (Style::Calm, "link"),
        "file_mkdir" => (Style::Calm, "mkdr"),
        "file_mode" => (Style::Calm, "mode"),
        "file_owner" => (Style::Calm, "own"),
        "file_xattr" => (Style::Calm, "xatr"),
        "file_truncate" => (Style::Calm, "trun"),
        "file_times" => (Style::Calm, "time"),
        "mount" => (Style::Warn, "mnt"),
        "net_connect" => (Style::Place, "conn"),
        "net_accept" => (Style::Place, "acc"),
        "net_bind" => (Style::Place, "bind"),
        "net_listen" => (Style::Place, "list"),
        "net_flow" => (Style::Quiet, "flow"),
        "net_socket" => (Style::Warn, "sock"),
        "net_dns" => (Style::Place, "dns"),
        "credentials" => (Style::Warn, "cred"),
        "ptrace" => (Style::Warn, "ptrc"),
        "process_memory" => (Style::Warn, "pmem"),
        "module" => (Style::Warn, "mod"),
        "kexec" => (Style::Bad, "kexc"),
        "bpf" => (Style::Warn, "bpf"),
        "perf_event" => (Style::Calm, "perf"),
        "userfaultfd" => (Style::Warn, "uffd"),
        "memfd" => (Style::Warn, "mfd"),
        "memory_exec" => (Style::Warn, "wx"),
        "namespace" => (Style::Calm, "ns"),
        "io_uring" => (Style::Calm, "ring"),
        "signal" => (Style::Calm, "sig"),
        "prctl" => (Style::Calm, "prct"),
        "keyring" => (Style::Calm, "keys"),
        "host_name" => (Style::Warn, "host"),
        "clock" => (Style::Warn, "clck"),
        "swap" => (Style::Warn, "swap"),
        "reboot" => (Style::Bad, "boot"),
        _ => (Style::Plain, "?"),
    }
}

/// What stands behind the program, `None` for the classes of the life of processes.
pub(super) fn subject(view: &View<'_>, columns: Option<usize>) -> Option<Text> {
    let class = &*view.event.action;
    if matches!(class, "exec" | "exec_failed" | "fork" | "exit") {
        return None;
    }
    let mut text = Text::within(columns);
    if class == "net_dns" {
        name(&mut text, view);
    } else if class.starts_with("net_") {
        peers(&mut text, view);
    } else if class.starts_with("file_") || class == "mount" {
        files(&mut text, view);
    } else {
        facts(&mut text, view);
    }
    let own = &view.sentineledge;
    for (mark, is_set) in [("via io_uring", own.via_io_uring), ("ARGUMENT SWAP", own.argument_swap)] {
        if is_set {
            text.push(Style::Bad, &format!(" {mark}"));
        }
    }
    if let Some(merged) = &own.merged {
        text.push(Style::Dim, &format!(" and {} more", merged.count));
    }
    Some(text)
}

fn files(text: &mut Text, view: &View<'_>) {
    let own = view.sentineledge.file.as_ref();
    if let Some(source) = own.and_then(|own| own.source_path.as_deref()) {
        text.push(Style::Plain, source);
        text.push(Style::Dim, " → ");
    }
    let path = view.file.as_ref().and_then(|file| file.path.as_deref());
    text.push(Style::Bold, path.unwrap_or("?"));
    if let Some(operation) = own.and_then(|own| own.operation.as_deref()) {
        text.push(Style::Dim, &format!(" {operation}"));
    }
    if view.event.action == "file_mode"
        && let Some(mode) = view.file.as_ref().and_then(|file| file.mode.as_deref())
    {
        text.push(Style::Plain, &format!(" {mode}"));
    }
}

fn peers(text: &mut Text, view: &View<'_>) {
    let shown = |end: &EndpointPart<'_>| {
        let host = end.domain.as_deref().or(end.ip.as_deref()).or(end.address.as_deref()).unwrap_or("?");
        match end.port {
            Some(port) if host.contains(':') => format!("[{host}]:{port}"),
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    };
    if let Some(source) = &view.source {
        text.push(Style::Plain, &shown(source));
    }
    if let Some(destination) = &view.destination {
        text.push(Style::Dim, " → ");
        text.push(Style::Bold, &shown(destination));
    }
    if let Some(transport) = view.network.as_ref().and_then(|network| network.transport.as_deref()) {
        text.push(Style::Dim, &format!(" {transport}"));
    }
}

fn name(text: &mut Text, view: &View<'_>) {
    let Some(dns) = &view.dns else { return };
    if let Some(question) = &dns.question {
        text.push(Style::Bold, question.name.as_deref().unwrap_or("?"));
        text.push(Style::Dim, &format!(" {}", question.record_type.as_deref().unwrap_or("?")));
    }
    for ip in &dns.resolved_ip {
        text.push(Style::Plain, &format!(" {ip}"));
    }
}

/// The object of the class below `sentineledge`, as far as it is text and numbers.
fn facts(text: &mut Text, view: &View<'_>) {
    if let Some(target) = &view.sentineledge.target {
        text.push(Style::Dim, "→ ");
        text.push(Style::Bold, target.shown());
        text.push(Style::Dim, &target.pid.map(|pid| format!(" {pid}")).unwrap_or_default());
    }
    let Some(Value::Object(facts)) = view.sentineledge.rest.get(&*view.event.action) else { return };
    for (key, value) in facts {
        let shown = match value {
            Value::String(value) => value.clone(),
            Value::Number(value) => value.to_string(),
            Value::Bool(true) => String::new(),
            Value::Array(values) => values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|"),
            _ => continue,
        };
        let between = if text.columns() > 0 { " " } else { "" };
        let equals = if shown.is_empty() { "" } else { "=" };
        text.push(Style::Dim, &format!("{between}{key}{equals}"));
        text.push(Style::Plain, &shown);
    }
}
