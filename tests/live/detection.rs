//! Detection in the running agent: findings in the log, repeats folded, rules that change while it runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sentinel_edge::cli::Exit;
use serde_json::Value;

use crate::agent::{Agent, Options, command, lines, tiny_program};
use crate::ecs;

/// A rule that matches one argument.
fn rule(id: &str, title: &str, argument: &str) -> String {
    format!(
        "title: {title}\nid: {id}\nauthor: Ada, Bob\nlicense: DRL-1.1\nlevel: high\n\
         references: ['https://example.org/{id}']\ntags: [attack.credential-access, attack.t1003.008]\n\
         logsource: {{product: linux, category: process_creation}}\n\
         detection:\n  a:\n    CommandLine|contains: {argument}\n  condition: a\n"
    )
}

/// The agent with detection, and rules of its own in `rules.d`.
fn start(rules: &[(&str, String)], keys: &str) -> Agent {
    let directory = tempfile::tempdir().unwrap().keep();
    let rules_dir = directory.join("rules.d");
    fs::create_dir(&rules_dir).unwrap();
    for (name, text) in rules {
        fs::write(rules_dir.join(name), text).unwrap();
    }
    let extra = format!(
        "[security]\nenable_threat_detection = true\nbuilt_in_rules = false\nrules_dir = \"{}\"\n{keys}",
        rules_dir.display()
    );
    Agent::start(Options { directory: Some(directory), config: extra, ..Options::default() })
}

fn execute(agent: &Agent, argument: &str) {
    let program = tiny_program(&agent.directory);
    assert!(Command::new(program).arg(argument).stdin(Stdio::null()).status().unwrap().success());
}

fn findings(agent: &Agent) -> Vec<Value> {
    lines(&agent.log()).into_iter().filter(|line| line["event"]["kind"] == "alert").collect()
}

fn rules(agent: &Agent) -> Value {
    let body: Value = serde_json::from_str(&agent.get("/health").1).unwrap();
    body["rules"].clone()
}

#[test]
#[ignore = "needs root and BPF"]
fn who_follows_the_agent_sees_findings_too() {
    let mut agent = start(&[("a.yml", rule("id-a", "Marked run", "se-mark-a"))], "");
    let follow = |arguments: &[&str]| {
        let mut tail = command(&["tail"], &agent.directory);
        tail.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let clients =
        [&["--class", "finding"] as &[&str], &["--class", "finding", "--json"], &["--class", "exec"]];
    let clients = clients.map(follow);
    agent.until("the clients are served", || agent.metrics().at("sentinel_tail_clients") == 3.0);
    execute(&agent, "se-mark-a-first");
    agent.wait_for("the finding", |line| line["event"]["kind"] == "alert");
    // What is on the way is given before the agent ends, and ends the clients.
    assert!(agent.stop().success());
    let [people, json, execs] =
        clients.map(|client| String::from_utf8(client.wait_with_output().unwrap().stdout).unwrap());
    assert!(people.contains(" RULE ") && people.contains("high: Marked run: "), "{people}");
    assert_eq!(people.lines().count(), 1, "{people}");
    let finding: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(finding["rule"]["name"], "Marked run");
    assert!(execs.contains("se-mark-a-first") && !execs.contains(" RULE "), "{execs}");
}

#[test]
#[ignore = "needs root and BPF"]
fn a_finding_tells_all_that_the_rule_and_the_event_tell() {
    let mut agent = start(&[("a.yml", rule("id-a", "Marked run", "se-mark-a"))], "");
    execute(&agent, "se-mark-a-first");
    let finding = agent.wait_for("the finding", |line| line["event"]["kind"] == "alert");
    assert_eq!(ecs::check(&finding).into_iter().collect::<Vec<String>>(), Vec::<String>::new());
    let at = |pointer: &str| finding.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(at("/rule/id"), "id-a");
    assert_eq!(at("/rule/name"), "Marked run");
    assert_eq!(at("/rule/author"), serde_json::json!(["Ada", "Bob"]));
    assert_eq!(at("/rule/license"), "DRL-1.1");
    assert_eq!(at("/rule/reference"), "https://example.org/id-a");
    assert_eq!(at("/threat/technique/subtechnique/id/0"), "T1003.008");
    assert_eq!(at("/threat/tactic/name/0"), "Credential Access");
    assert_eq!(at("/event/severity"), 73);
    assert!(at("/message").as_str().unwrap().starts_with("Marked run: "));
    assert!(at("/process/command_line").as_str().unwrap().ends_with("se-mark-a-first"));
    assert_eq!(at("/sentineledge/finding/matched/0/field"), "CommandLine");
    assert!(!at("/sentineledge/finding/ancestors").as_array().unwrap().is_empty());
    let sequence = at("/sentineledge/finding/event_sequence");
    assert!(agent.stop().success());
    let event = lines(&agent.log()).into_iter().find(|line| line["event"]["sequence"] == sequence);
    assert_eq!(
        event.unwrap()["process"]["command_line"],
        at("/process/command_line"),
        "the event itself is there too"
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn repeats_become_one_finding_with_a_count() {
    let mut agent = start(&[("a.yml", rule("id-a", "Marked run", "se-mark-a"))], "");
    for n in 0..20 {
        execute(&agent, &format!("se-mark-a-{}", n % 4));
    }
    agent.until("all are found", || agent.metrics().sum("sentinel_findings_total") >= 20.0);
    assert!(agent.stop().success());
    let found = findings(&agent);
    let detail = |at: usize, key: &str| found[at]["sentineledge"]["finding"][key].clone();
    assert_eq!(found.len(), 2, "the first at once, the rest as one");
    assert_eq!((detail(0, "count"), detail(1, "count")), (1.into(), 20.into()));
    assert_eq!((detail(1, "distinct"), detail(1, "keys").as_array().unwrap().len()), (4.into(), 4));
    assert_eq!(detail(0, "fingerprint"), detail(1, "fingerprint"));
    assert_eq!(detail(0, "first"), detail(1, "first"));
    assert_ne!(detail(1, "first"), detail(1, "last"));
}

#[test]
#[ignore = "needs root and BPF"]
fn rules_change_while_it_runs_and_a_broken_file_changes_nothing() {
    let mut agent = start(&[("a.yml", rule("id-a", "First", "se-mark-a"))], "");
    assert_eq!((&rules(&agent)["generation"], &rules(&agent)["loaded"]), (&1.into(), &1.into()));
    let file = agent.directory.join("rules.d/b.yml");
    fs::write(&file, rule("id-b", "Second", "se-mark-b").replace("contains", "contain")).unwrap();
    agent.until("/ready tells of it", || agent.get("/ready").0 == 503);
    let body = agent.get("/ready").1;
    assert!(body.contains("rules.d/b.yml:11") && body.contains("did you mean contains?"), "{body}");
    assert_eq!(agent.get("/health").0, 200);
    let asked = |arguments: &[&str]| {
        let output = command(arguments, &agent.directory).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = asked(&["health"]);
    assert!(code == Some(0) && text.starts_with("degraded\n  an error in the rules: "), "{code:?} {text}");
    let (code, text) = asked(&["health", "--ready", "--json"]);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert!(code == Some(Exit::Runtime.code().into()) && answer["reasons"].is_array(), "{code:?} {text}");
    assert_eq!(rules(&agent)["generation"], 1);
    execute(&agent, "se-mark-a");
    fs::write(&file, rule("id-b", "Second", "se-mark-b")).unwrap();
    agent.until("the second generation", || rules(&agent)["generation"] == 2);
    assert_eq!(agent.get("/ready").0, 200);
    assert_eq!(asked(&["health", "--ready"]), (Some(0), "up\n".to_owned()));
    execute(&agent, "se-mark-b");
    agent.until("both are found", || agent.metrics().sum("sentinel_findings_total") >= 2.0);
    assert_eq!(agent.metrics().sum("sentinel_rules_reload_failures_total"), 1.0);
    assert!(agent.stop().success());
    let titles: BTreeSet<String> =
        findings(&agent).iter().map(|line| line["rule"]["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(titles, BTreeSet::from(["First".to_owned(), "Second".to_owned()]));
    assert_eq!(findings(&agent)[1]["sentineledge"]["finding"]["generation"], 2);
}

#[test]
#[ignore = "needs root and BPF"]
fn shadow_rules_and_mild_ones_are_counted_and_not_written() {
    let mild = rule("id-b", "Mild", "se-mark-a").replace("high", "low");
    let off = rule("id-c", "Off", "se-mark-a");
    let rules = [("a.yml", rule("id-a", "Shadow", "se-mark-a")), ("b.yml", mild), ("c.yml", off)];
    let keys = "shadow_rules = [\"id-a\"]\nmin_level = \"medium\"\ndisabled_rules = [\"id-c\"]\n";
    let mut agent = start(&rules, keys);
    execute(&agent, "se-mark-a");
    agent.until("both are counted", || agent.metrics().sum("sentinel_findings_silent_total") >= 2.0);
    assert_eq!(agent.metrics().sum("sentinel_findings_total"), 0.0);
    assert!(agent.stop().success());
    assert_eq!(findings(&agent), Vec::<Value>::new());
}

#[test]
#[ignore = "needs root and BPF"]
fn the_switches_do_what_they_say() {
    let mut agent = start(&[("a.yml", rule("id-a", "Marked", "se-mark-a"))], "log_security_events = false\n");
    execute(&agent, "se-mark-a");
    agent.until("it is counted", || agent.metrics().sum("sentinel_findings_total") >= 1.0);
    agent.edit_config(|text| {
        text.replace("enable_threat_detection = true", "enable_threat_detection = false")
    });
    agent.signal(nix::sys::signal::Signal::SIGHUP);
    agent.until("detection is off", || rules(&agent) == Value::Null);
    execute(&agent, "se-mark-a");
    assert!(agent.stop().success());
    assert_eq!(findings(&agent), Vec::<Value>::new());
}

/// An agent that looks for an address, a file and a program, each of which it then meets.
fn indicated(keys: &str) -> (Agent, PathBuf, String) {
    use sha2::Digest as _;
    let directory = tempfile::tempdir().unwrap().keep();
    let lists = directory.join("indicators.d");
    fs::create_dir(&lists).unwrap();
    let program = tiny_program(&directory);
    let digest = sha2::Sha256::digest(fs::read(&program).unwrap());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let opened = directory.join("opened");
    let list = format!("127.0.0.99\tbad host\n{digest};bad program\n{}\n", opened.display());
    fs::write(lists.join("feed.txt"), list).unwrap();
    let config = format!(
        "[security]\nenable_threat_detection = true\nbuilt_in_rules = false\nindicators_dir = \"{}\"\n{keys}",
        lists.display()
    );
    let agent = Agent::start(Options { directory: Some(directory), config, ..Options::default() });
    assert_eq!(agent.metrics().sum("sentinel_indicators_loaded"), 3.0);
    let _ = std::net::TcpStream::connect(("127.0.0.99", 9));
    fs::write(&opened, "x").unwrap();
    assert!(Command::new(program).status().unwrap().success());
    (agent, opened, digest)
}

#[test]
#[ignore = "needs root and BPF"]
fn indicators_are_seen_in_connections_paths_and_programs() {
    let (mut agent, opened, digest) = indicated("");
    agent.until("all are found", || agent.metrics().sum("sentinel_findings_total") >= 3.0);
    assert!(agent.stop().success());
    let found = findings(&agent);
    let of = |id: &str| found.iter().find(|line| line["rule"]["id"] == id).unwrap();
    for (id, field, value) in [
        ("indicator-ip", "DestinationIp", "127.0.0.99"),
        ("indicator-path", "TargetFilename", opened.to_str().unwrap()),
        ("indicator-hash", "Hashes", &format!("SHA256={digest}")),
    ] {
        let finding = of(id);
        assert_eq!(finding["sentineledge"]["finding"]["matched"][0]["field"], field);
        assert_eq!(finding["sentineledge"]["finding"]["matched"][0]["value"], value);
        assert!(finding["sentineledge"]["finding"]["matched"].to_string().contains("feed.txt"), "{finding}");
    }
    assert!(of("indicator-ip")["sentineledge"]["finding"]["matched"].to_string().contains("bad host"));
}

#[test]
#[ignore = "needs root and BPF"]
fn indicators_may_be_disabled_or_counted_only() {
    let keys = "disabled_rules = [\"indicator-path\"]\nshadow_rules = [\"indicator-ip\"]\n";
    let (mut agent, _, _) = indicated(keys);
    agent.until("the others are found", || {
        let metrics = agent.metrics();
        metrics.sum("sentinel_findings_total") >= 1.0 && metrics.sum("sentinel_findings_silent_total") >= 1.0
    });
    assert!(agent.stop().success());
    let found = findings(&agent);
    let ids: Vec<&Value> = found.iter().map(|line| &line["rule"]["id"]).collect();
    assert_eq!(ids, ["indicator-hash"]);
}

/// A rule whose expression costs milliseconds for long command lines, under a load of such: it is demoted, said to be, and
/// holds up neither events nor other rules; the next set of rules begins anew.
#[test]
#[ignore = "needs root and BPF"]
fn a_rule_that_costs_too_much_is_demoted() {
    let costly = rule("id-costly", "Costly", "x")
        .replace("CommandLine|contains: x", "CommandLine|re: '1[01]{400}[ab]'");
    let rules_of = [("a.yml", rule("id-a", "First", "se-mark-a")), ("b.yml", costly.clone())];
    let mut agent = start(&rules_of, "");
    let program = tiny_program(&agent.directory);
    // Digits without a pattern, so that the expression cannot be short with them.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let digit = |_: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if state >> 63 == 1 { '1' } else { '0' }
    };
    let digits: String = (0..100_000).map(digit).collect();
    agent.until("it is demoted", || {
        assert!(Command::new(&program).arg(&digits).stdin(Stdio::null()).status().unwrap().success());
        agent.metrics().at("sentinel_rules_demoted") == 1.0
    });
    let (code, body) = agent.get("/health");
    assert_eq!(code, 200);
    assert!(
        body.contains("the rule 'Costly' (id-costly) costs too much and is evaluated for 1 of "),
        "{body}"
    );
    assert_eq!(rules(&agent)["demoted"][0]["id"], "id-costly");
    assert!(agent.stderr().contains("the rule 'Costly' costs more than 2 % of a core"), "{}", agent.stderr());
    let list = || {
        let output = command(&["rules", "list"], &agent.directory).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let marked =
        list().lines().filter(|line| line.contains("costs too much")).map(str::to_owned).collect::<Vec<_>>();
    assert!(marked.len() == 1 && marked[0].contains("id-costly"), "{marked:?}");
    agent.until("events are left out", || {
        assert!(Command::new(&program).arg(&digits).stdin(Stdio::null()).status().unwrap().success());
        agent.metrics().at("sentinel_rule_evaluations_skipped_total") > 10.0
    });
    execute(&agent, "se-mark-a");
    agent.wait_for("a finding of the other rule", |line| line["rule"]["id"] == "id-a");
    fs::write(agent.directory.join("rules.d/b.yml"), costly.replace("{400}", "{4}")).unwrap();
    agent.until("the second generation", || rules(&agent)["generation"] == 2);
    assert_eq!(rules(&agent)["demoted"], serde_json::json!([]));
    assert_eq!(agent.metrics().at("sentinel_rules_demoted"), 0.0);
    assert!(!list().contains("costs too much"));
    assert!(agent.stop().success());
}
