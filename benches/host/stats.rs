//! Samples of one figure, and how they are shown: the median, with the smallest and the largest.

use std::fmt::Write as _;
use std::time::Duration;

/// Measured values of one figure.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Samples(values)
    }
}

impl Samples {
    /// The value below which this part (0 to 1) of the samples lies; NaN if there are none.
    pub fn quantile(&self, part: f64) -> f64 {
        let position = (part * (self.0.len().saturating_sub(1)) as f64).round();
        // The position is at least 0 and below the length by construction.
        self.0.iter().copied().enumerate().find(|(i, _)| *i as f64 >= position).map_or(f64::NAN, |(_, v)| v)
    }

    /// The middle value.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// `median (min to max)`, with this many decimals.
    pub fn show(&self, decimals: usize) -> String {
        if self.0.is_empty() {
            return "not measured".to_owned();
        }
        let (low, middle, high) = (self.quantile(0.0), self.median(), self.quantile(1.0));
        format!("{middle:.decimals$} ({low:.decimals$} to {high:.decimals$})")
    }

    /// Every value, in ascending order.
    pub fn list(&self, decimals: usize) -> String {
        let mut text = String::new();
        for (i, value) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{value:.decimals$}");
        }
        text
    }
}

/// Microseconds as a number.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
