//! Parts of a time: what the modifiers `minute` to `year` compare.

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// Of the month, 1 to 31.
    Day,
    /// Of the year by ISO 8601, 1 to 53.
    Week,
    /// 1 to 12.
    Month,
    /// With the century.
    Year,
}

/// A part of a time that is written as `2026-11-22T13:45:07Z`, with a blank for the `T`, and whatever may follow the
/// minutes. `None` if it is not written so.
pub fn part(text: &str, part: Part) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let is = |at: usize, characters: &[u8]| text.as_bytes().get(at).is_some_and(|b| characters.contains(b));
    if !is(4, b"-") || !is(7, b"-") {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let has_time = is(10, b"T ") && is(13, b":");
    match part {
        Part::Year => Some(year),
        Part::Month => Some(month),
        Part::Day => Some(day),
        Part::Week => Some(iso_week(year, month, day)),
        Part::Hour if has_time => number(11, 13),
        Part::Minute if has_time => number(14, 16),
        Part::Hour | Part::Minute => None,
    }
}

/// Days since 1 March of year 0 of the proleptic Gregorian calendar, counted in years that begin in March.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let months = (month + 9) % 12;
    year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (months * 153 + 2) / 5
        + day
        - 1
}

/// The week has the number of the year that its Thursday is in.
fn iso_week(year: i64, month: i64, day: i64) -> i64 {
    let number = day_number(year, month, day);
    // Day 2 was a Friday (3 March of year 0), so Mondays leave 5 when divided by 7.
    let weekday = (number - 5).rem_euclid(7);
    let thursday = number - weekday + 3;
    let of = |year: i64| day_number(year, 1, 1);
    let first = [year + 1, year, year - 1].into_iter().map(of).find(|first| *first <= thursday);
    first.map_or(1, |first| (thursday - first) / 7 + 1)
}
