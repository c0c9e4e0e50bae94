//! The unit file, as systemd itself reads it: no complaint of `systemd-analyze verify`, and an exposure level of
//! `systemd-analyze security` that stays low.
//!
//! Both look at a copy of the unit in which the installed binary's path is replaced by the built one's, since verify
//! wants executables to exist. No systemd needs to run. `make test` installs systemd-analyze where it is missing.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

/// The level that the unit must not exceed, of 10.
const EXPOSURE_MAX: f64 = 3.5;

/// Keys that older versions of systemd ignore, on purpose: (key, first version that knows it).
const NEWER_KEYS: &[(&str, u32)] = &[("RestartSteps", 254), ("RestartMaxDelaySec", 254)];

const UNIT: &str = include_str!("../systemd/sentineledge.service");

fn analyze(args: &[&str], unit: &Path) -> Output {
    Command::new("systemd-analyze")
        .args(args)
        .arg(unit)
        .env("LC_ALL", "C")
        .env("SYSTEMD_COLORS", "0")
        .env("SYSTEMD_EMOJI", "0")
        .output()
        .expect("systemd-analyze must be installed: `make test` does it, or install the package systemd")
}

/// Major version of systemd-analyze.
fn version() -> u32 {
    let output =
        Command::new("systemd-analyze").arg("--version").output().expect("systemd-analyze is missing");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split_whitespace().nth(1).and_then(|v| v.split(['.', '-', '~']).next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no version in {text:?}"))
}

/// Writes `unit` with the built binary's path and returns what verify says that is not expected of this version.
fn complaints(unit: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("sentineledge.service");
    let unit = unit.replace("/usr/bin/sentinel-edge", env!("CARGO_BIN_EXE_sentinel-edge"));
    fs::write(&path, unit).expect("the copy of the unit is written");
    let output = analyze(&["verify", "--man=no"], &path);
    let version = version();
    let expected = |line: &str| {
        NEWER_KEYS.iter().any(|(key, since)| {
            // "Unknown key name 'X' in section 'Service', ignoring." or "Unknown key 'X' in section [Service]".
            version < *since && line.contains("Unknown key") && line.contains(&format!("'{key}'"))
        })
    };
    let text = String::from_utf8_lossy(&output.stderr);
    let mut lines: Vec<String> =
        text.lines().filter(|l| l.contains("sentineledge") && !expected(l)).map(str::to_owned).collect();
    if !output.status.success() {
        lines.push(format!("systemd-analyze verify: {}; {text}", output.status));
    }
    lines
}

#[test]
fn the_unit_verifies() {
    assert_eq!(complaints(UNIT), [""; 0]);
}

#[test]
fn verify_notices_what_the_unit_must_not_have() {
    // The guide's first unit had its start limit in the wrong section: silently without effect.
    let misplaced = UNIT.replace("[Service]", "[Service]\nStartLimitIntervalSec=60");
    let found = complaints(&misplaced);
    assert!(found.iter().any(|l| l.contains("StartLimitIntervalSec")), "{found:?}");

    let missing = UNIT.replace("ExecStart=/usr/bin/sentinel-edge", "ExecStart=/nonexistent/sentinel-edge");
    let found = complaints(&missing);
    assert!(found.iter().any(|l| l.contains("/nonexistent/sentinel-edge")), "{found:?}");
}

#[test]
fn the_unit_exposes_little() {
    if version() < 250 {
        let message =
            "the_unit_exposes_little: skipped, systemd-analyze before 250 reads no unit that is not loaded\n";
        // Past the capture of the test harness, so that it is seen.
        std::io::stderr().write_all(message.as_bytes()).expect("standard error takes a line");
        return;
    }
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/sentineledge.service");
    let output = analyze(&["security", "--offline=true", "--no-pager"], &unit);
    let text = String::from_utf8_lossy(&output.stdout);
    let level = text.lines().find_map(|line| {
        let (_, rest) = line.split_once("Overall exposure level for sentineledge.service: ")?;
        rest.split_whitespace().next()?.parse::<f64>().ok()
    });
    let level = level.unwrap_or_else(|| {
        panic!("no exposure level in: {text}{}", String::from_utf8_lossy(&output.stderr));
    });
    assert!(level <= EXPOSURE_MAX, "exposure {level} is over {EXPOSURE_MAX}:\n{text}");
    assert!(level > 0.0, "an exposure of {level} is too good to be true:\n{text}");
}

#[test]
fn the_unit_keeps_its_promises() {
    let has = |line: &str| UNIT.lines().any(|l| l == line);
    for line in [
        "Type=notify",
        "NotifyAccess=main",
        "WatchdogSec=30",
        "Restart=always",
        "LimitMEMLOCK=infinity",
        "LimitNOFILE=65536",
        "ConfigurationDirectory=sentineledge",
        "LogsDirectory=sentineledge",
        "StateDirectory=sentineledge",
        "RuntimeDirectory=sentineledge",
        "EnvironmentFile=-/etc/sentineledge/environment",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ] {
        assert!(has(line), "{line} is gone from the unit");
    }
    let check =
        UNIT.find("ExecStartPre=/usr/bin/sentinel-edge check-config").expect("the configuration is checked");
    let start = UNIT.find("ExecStart=/usr/bin/sentinel-edge run").expect("the agent is started");
    assert!(check < start, "checked before it is used");
    let (unit_section, _) = UNIT.split_once("[Service]").expect("a section [Service]");
    assert!(unit_section.contains("StartLimitIntervalSec="), "start limits belong to [Unit]");
}
