//! Comparing JSON numbers, and printing them as Go does.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// The order of two numbers: exact for integers, by `f64` otherwise.
pub(crate) fn compare(a: &Number, b: &Number) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => float(a).total_cmp(&float(b)),
    }
}

/// Whether the values are equal, with `1` and `1.0` the same number, as Kubernetes compares.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare(a, b) == Ordering::Equal,
        _ => a == b,
    }
}

/// The number as a whole one, also when it is written `2.0`.
pub(crate) fn whole(n: &Number) -> Option<i128> {
    integer(n).or_else(|| {
        let f = float(n);
        // Below 2^63 in size, so the conversion is exact.
        (f.fract() == 0.0 && f.abs() < 9.2e18).then_some(f as i128)
    })
}

/// Whether `n` is a multiple of `factor`.
pub(crate) fn is_multiple(n: &Number, factor: &Number) -> bool {
    match (whole(n), whole(factor)) {
        (Some(n), Some(factor)) if factor != 0 => n % factor == 0,
        _ => {
            let ratio = float(n) / float(factor);
            ratio.is_finite() && ratio.fract() == 0.0
        }
    }
}

/// As Go's `%v` prints it: no `.0` after a whole number.
pub(crate) fn print(n: &Number) -> String {
    match integer(n) {
        Some(i) => i.to_string(),
        None => {
            let f = float(n);
            if f == 0.0 || (1e-4..1e21).contains(&f.abs()) {
                f.to_string()
            } else {
                let text = format!("{f:e}");
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let (sign, digits) = match exponent.strip_prefix('-') {
                    Some(digits) => ('-', digits),
                    None => ('+', exponent),
                };
                format!("{mantissa}e{sign}{digits:0>2}")
            }
        }
    }
}

fn integer(n: &Number) -> Option<i128> {
    n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from))
}

fn float(n: &Number) -> f64 {
    n.as_f64().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_like_go() {
        for (number, text) in [
            ("1", "1"),
            ("1.0", "1"),
            ("-3", "-3"),
            ("0.5", "0.5"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("0.00001", "1e-05"),
            ("18446744073709551615", "18446744073709551615"),
        ] {
            assert_eq!(print(&number.parse().unwrap()), text);
        }
    }

    #[test]
    fn whole_floats_are_integers() {
        let n = |t: &str| t.parse::<Number>().unwrap();
        assert_eq!(whole(&n("2.0")), Some(2));
        assert_eq!(whole(&n("2.5")), None);
        assert_eq!(compare(&n("9007199254740993"), &n("9007199254740992")), Ordering::Greater);
        assert!(is_multiple(&n("0.5"), &n("0.25")) && !is_multiple(&n("3"), &n("2")));
        assert!(!is_multiple(&n("3"), &n("0")));
    }
}
