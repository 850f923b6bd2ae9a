//! How long ago, as kubectl says it.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// Says how long ago `then` was in one or two units, coarser the longer it is (`HumanDuration` of apimachinery): `95s`,
/// `4m30s`, `2d3h`. A moment up to a second ahead counts as now, because clocks differ; more than that is `<invalid>`.
#[must_use]
pub fn human_age(then: Timestamp, now: Timestamp) -> String {
    // Truncated towards zero, as Go converts a float of seconds.
    let seconds = now.as_second().saturating_sub(then.as_second());
    let borrow = i64::from(now.subsec_nanosecond() < then.subsec_nanosecond() && seconds > 0);
    let seconds = seconds - borrow;
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    // Below each limit: the larger unit, and the smaller one that is said too unless it is zero.
    let steps = [
        (2 * MINUTE, (1, "s"), None),
        (10 * MINUTE, (MINUTE, "m"), Some((1, "s"))),
        (3 * HOUR, (MINUTE, "m"), None),
        (8 * HOUR, (HOUR, "h"), Some((MINUTE, "m"))),
        (2 * DAY, (HOUR, "h"), None),
        (8 * DAY, (DAY, "d"), Some((HOUR, "h"))),
        (2 * YEAR, (DAY, "d"), None),
        (8 * YEAR, (YEAR, "y"), Some((DAY, "d"))),
        (i64::MAX, (YEAR, "y"), None),
    ];
    for (limit, (unit, name), smaller) in steps {
        if seconds >= limit {
            continue;
        }
        let mut text = format!("{}{name}", seconds / unit);
        if let Some((small, small_name)) = smaller {
            let rest = seconds % unit / small;
            if rest > 0 {
                text.push_str(&format!("{rest}{small_name}"));
            }
        }
        return text;
    }
    "<invalid>".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_get_coarser() {
        let table = [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (599, "9m59s"),
            (600, "10m"),
            (3 * HOUR - 1, "179m"),
            (3 * HOUR, "3h"),
            (8 * HOUR - 1, "7h59m"),
            (8 * HOUR, "8h"),
            (48 * HOUR - 1, "47h"),
            (48 * HOUR, "2d"),
            (200_000, "2d7h"),
            (8 * DAY - 1, "7d23h"),
            (8 * DAY, "8d"),
            (2 * YEAR - 1, "729d"),
            (2 * YEAR, "2y"),
            (2 * YEAR + DAY, "2y1d"),
            (8 * YEAR - 1, "7y364d"),
            (9 * YEAR - 1, "8y"),
        ];
        let now = Timestamp::from_second(2_000_000_000).unwrap();
        for (seconds, text) in table {
            let then = Timestamp::from_second(2_000_000_000 - seconds).unwrap();
            assert_eq!(human_age(then, now), text, "{seconds}");
        }
    }

    #[test]
    fn parts_of_a_second_do_not_count() {
        let now: Timestamp = "2026-11-23T10:00:01.2Z".parse().unwrap();
        let then: Timestamp = "2026-11-23T10:00:00.9Z".parse().unwrap();
        assert_eq!(human_age(then, now), "0s");
    }
}
