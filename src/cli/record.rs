//! `sentinel-edge record`: the kernel's records as they are, into a file for `replay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Arguments of `record`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Arguments {
    /// File to write
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Stop after this time, such as 30s, 5m or 1h; otherwise at Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Overwrite the file if it exists
    #[arg(long)]
    pub force: bool,
}

/// Units of a duration, in milliseconds.
const UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("", 1_000)];

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim());
    let millis = number.parse::<u64>().ok().zip(unit).and_then(|(n, (_, factor))| n.checked_mul(*factor));
    match millis {
        Some(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => Err("expected a time such as 30s, 5m or 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "0", "s", "-1s", "1d", "1.5s", "99999999999999999999h", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
