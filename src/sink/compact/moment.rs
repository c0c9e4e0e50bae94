//! Times and durations as people read them.

use tz::TimeZone;

use crate::sink::calendar::days_from_civil;

const SECOND_NS: i128 = 1_000_000_000;

/// Nanoseconds since the Unix epoch of `2026-11-22T04:15:07.123456789Z`; any number of decimals.
pub(super) fn parse(text: &str) -> Option<i128> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let days = days_from_civil(date.next()??, date.next()??, date.next()??)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut time = time.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let seconds = days * 86_400 + time.next()?? * 3600 + time.next()?? * 60 + time.next()??;
    let digits = fraction.get(..9.min(fraction.len()))?;
    let fraction = format!("{digits:0<9}").parse::<u32>().ok()?;
    Some(i128::from(seconds) * SECOND_NS + i128::from(fraction))
}

/// `05:15:07.123` of a time since the epoch, in local time.
pub(super) fn of_day(ns: i128, zone: &TimeZone) -> String {
    let seconds = i64::try_from(ns.div_euclid(SECOND_NS)).unwrap_or(0);
    let offset = zone.find_local_time_type(seconds).map_or(0, |local| i64::from(local.ut_offset()));
    let of_day = (seconds + offset).rem_euclid(86_400);
    let ms = ns.rem_euclid(SECOND_NS) / 1_000_000;
    format!("{:02}:{:02}:{:02}.{ms:03}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Three digits or so: `870µs`, `12ms`, `1.24s`, `3m12s`, `5h03m`, `2d05h`.
pub(super) fn duration(ns: i128) -> String {
    let (us, ms, s) = (ns / 1000, ns / 1_000_000, ns / SECOND_NS);
    match s {
        _ if ms == 0 => format!("{us}µs"),
        0 => format!("{ms}ms"),
        1..60 => format!("{s}.{:02}s", ms % 1000 / 10),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local() {
        let ns = parse("2026-11-22T04:15:07.123456789Z").unwrap();
        assert_eq!(ns, 1_795_320_907_123_456_789);
        assert_eq!(parse("2026-11-22T04:15:07Z"), Some(1_795_320_907_000_000_000));
        assert_eq!(parse("2026-11-22T04:15:07.5Z"), Some(1_795_320_907_500_000_000));
        assert_eq!(of_day(ns, &TimeZone::utc()), "04:15:07.123");
        let berlin = TimeZone::from_posix_tz("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(of_day(ns, &berlin), "05:15:07.123");
        let july = parse("2026-07-01T23:30:00.000Z").unwrap();
        assert_eq!(of_day(july, &berlin), "01:30:00.000");
        for bad in
            ["", "2026-11-22", "2026-11-22T04:15Z", "2026-11-22T04:15:07+01:00", "2026-11-22T04:15:07.éZ"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_are_short() {
        let texts =
            [870_000, 12_345_678, 1_240_000_000, 192_000_000_000, 18_180_000_000_000, 190_800_000_000_000]
                .map(duration);
        assert_eq!(texts, ["870µs", "12ms", "1.24s", "3m12s", "5h03m", "2d05h"]);
    }
}
