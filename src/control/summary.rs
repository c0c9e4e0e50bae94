//! What a run in the foreground says at its end: events by class, losses by reason, rates, CPU and memory.

use std::fmt::Write;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::event::Kind;
use crate::metrics::{Metrics, Reason, Stage};

/// The agent's own use of the host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Most memory that was ever resident.
    pub peak_rss_bytes: u64,
}

impl Usage {
    /// What this process has used so far.
    pub fn of_this_process() -> Self {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Usage::default() };
        let time = |t: TimeVal| {
            let (s, us) = (u64::try_from(t.tv_sec()).unwrap_or(0), u64::try_from(t.tv_usec()).unwrap_or(0));
            Duration::from_secs(s) + Duration::from_micros(us)
        };
        let cpu = time(usage.user_time()) + time(usage.system_time());
        // The kernel counts it in KiB.
        Usage { cpu, peak_rss_bytes: u64::try_from(usage.max_rss()).unwrap_or(0) * 1024 }
    }
}

/// The text, several lines, without a newline at the end.
pub fn text(metrics: &Metrics, ran: Duration, usage: Usage) -> String {
    let seconds = ran.as_secs_f64().max(0.001);
    let mut out = format!("watched this host for {}\n", span(ran));
    let classes = || Kind::ALL.iter().copied().filter(|kind| !kind.is_internal());
    let _ = writeln!(
        out,
        "  {:<14} {:>12} {:>12} {:>12} {:>10} {:>10}",
        "class", "attempted", "written", "left out", "per s", "lost"
    );
    for kind in classes() {
        let written = metrics.events.at((kind, Stage::Emitted)).get();
        let attempted = metrics.events.at((kind, Stage::Attempted)).get();
        let dropped = |is_loss: bool| -> u64 {
            let reasons = Reason::ALL.iter().filter(|reason| reason.is_loss() == is_loss);
            reasons.map(|reason| metrics.events_dropped.at((kind, *reason)).get()).sum()
        };
        let (lost, left_out) = (dropped(true), dropped(false));
        if attempted == 0 && written == 0 {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = written as f64 / seconds;
        let _ = writeln!(
            out,
            "  {:<14} {attempted:>12} {written:>12} {left_out:>12} {rate:>10.1} {lost:>10}",
            kind.name()
        );
    }
    let mut any = false;
    for reason in Reason::ALL.iter().filter(|reason| reason.is_loss()) {
        let lost: u64 = classes().map(|kind| metrics.events_dropped.at((kind, *reason)).get()).sum();
        if lost > 0 {
            any = true;
            let _ = writeln!(out, "  lost: {lost} ({})", reason.name());
        }
    }
    let runs = metrics.unknown_skips();
    if runs > 0 {
        any = true;
        let _ = writeln!(out, "  lost: up to {runs} of unknown classes ({})", Reason::Skipped.name());
    }
    if !any {
        out.push_str("  lost: nothing\n");
    }
    let share = usage.cpu.as_secs_f64() / seconds * 100.0;
    let _ = write!(
        out,
        "  used {:.2} s of CPU time ({share:.2} % of one core), {:.1} MiB of memory at most",
        usage.cpu.as_secs_f64(),
        usage.peak_rss_bytes as f64 / (1024.0 * 1024.0),
    );
    out
}

/// A duration for people.
fn span(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Program;

    #[test]
    fn losses_and_rates_are_told() {
        let metrics = Metrics::default();
        metrics.events.at((Kind::Exec, Stage::Attempted)).add(110);
        metrics.events.at((Kind::Exec, Stage::Emitted)).add(100);
        metrics.events_dropped.at((Kind::Exec, Reason::RingFull)).add(10);
        let usage = Usage { cpu: Duration::from_millis(500), peak_rss_bytes: 20 << 20 };
        let text = text(&metrics, Duration::from_secs(10), usage);
        assert!(
            text.contains("exec                    110          100            0       10.0         10"),
            "{text}"
        );
        assert!(!text.contains("fork"), "a class without events is left out: {text}");
        assert!(text.contains("lost: 10 (ring_full)"), "{text}");
        assert!(text.contains("0.50 s of CPU time (5.00 % of one core), 20.0 MiB"), "{text}");
    }

    #[test]
    fn what_the_kernel_skipped_is_a_loss_even_if_nobody_knows_of_what() {
        let metrics = Metrics::default();
        metrics.program_misses.at(Program::SysExit).add(4);
        let text = text(&metrics, Duration::from_secs(10), Usage::default());
        assert!(text.contains("lost: up to 4 of unknown classes (skipped)"), "{text}");
        assert!(!text.contains("lost: nothing"), "{text}");
    }

    #[test]
    fn a_run_without_loss_says_so() {
        assert!(
            super::text(&Metrics::default(), Duration::from_secs(90), Usage::default())
                .contains("lost: nothing")
        );
        assert_eq!(span(Duration::from_secs(90)), "1 min 30 s");
    }
}
