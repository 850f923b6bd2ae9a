//! Quantities: numbers with a suffix, in the one form that the server stores (`apimachinery/pkg/api/resource`).

/// What a text that is no quantity is told.
pub(in crate::apiserver::builtin) const NO_QUANTITY: &str = "quantities must match the regular expression \
     '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    Binary,
    Decimal,
    Exponent,
}

/// The canonical text of a quantity: as few digits as a suffix of the same notation allows, nothing finer than 10⁻⁹,
/// and binary amounts under 1024 without a suffix. `None` for what is no quantity. Amounts beyond 128 bits keep their
/// text.
pub(in crate::apiserver::builtin) fn canonical(text: &str) -> Option<String> {
    let (negative, nano, notation) = read(text)?;
    let Some(nano) = nano else { return Some(text.trim().to_owned()) };
    let sign = if negative && nano > 0 { "-" } else { "" };
    Some(format!("{sign}{}", print(nano, notation)))
}

/// The amount of a quantity in units of 10⁻⁹; `None` for what is no quantity or too large.
pub(in crate::apiserver::builtin) fn amount(text: &str) -> Option<i128> {
    let (negative, nano, _) = read(text)?;
    let nano = i128::try_from(nano?).ok()?;
    Some(if negative { -nano } else { nano })
}

/// An amount that can be counted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apiserver::builtin) struct Quantity {
    /// In units of 10⁻⁹.
    pub(in crate::apiserver::builtin) nano: i128,
    notation: Notation,
}

impl Quantity {
    /// A number of things.
    pub(in crate::apiserver::builtin) fn of(number: usize) -> Quantity {
        let nano = i128::try_from(number).unwrap_or(i128::MAX).saturating_mul(UNIT.cast_signed());
        Quantity { nano, notation: Notation::Decimal }
    }

    /// Reads a text; `None` for what is no quantity or too large.
    pub(in crate::apiserver::builtin) fn read(text: &str) -> Option<Quantity> {
        let (_, _, notation) = read(text)?;
        Some(Quantity { nano: amount(text)?, notation })
    }

    /// The sum, written as the first one is unless that is zero.
    pub(in crate::apiserver::builtin) fn plus(self, other: Quantity) -> Quantity {
        let notation = if self.nano == 0 { other.notation } else { self.notation };
        Quantity { nano: self.nano.saturating_add(other.nano), notation }
    }

    /// What is left when the other is taken away, and not less than nothing.
    pub(in crate::apiserver::builtin) fn minus(self, other: Quantity) -> Quantity {
        Quantity { nano: self.nano.saturating_sub(other.nano).max(0), ..self }
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.nano < 0 { "-" } else { "" };
        write!(f, "{sign}{}", print(self.nano.unsigned_abs(), self.notation))
    }
}

/// Whether it is negative, how much it is (`None`: too much), and how it was written.
fn read(text: &str) -> Option<(bool, Option<u128>, Notation)> {
    let text = text.trim();
    let digits_end = text
        .char_indices()
        .find(|(i, c)| !(c.is_ascii_digit() || *c == '.' || (*i == 0 && matches!(c, '+' | '-'))))
        .map_or(text.len(), |(i, _)| i);
    let (number, suffix) = text.split_at(digits_end);
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && part.is_empty()) || part.contains('.') {
        return None;
    }
    let (notation, power, two) = read_suffix(suffix)?;
    Some((negative, nano(whole, part, power, two), notation))
}

/// Notation, power of ten, power of 1024.
fn read_suffix(suffix: &str) -> Option<(Notation, i32, u32)> {
    if let Some(i) = BINARY.iter().position(|s| *s == suffix) {
        return Some((Notation::Binary, 0, u32::try_from(i).ok()? + 1));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Some((Notation::Decimal, *power, 0));
    }
    let power = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((Notation::Exponent, power, 0))
}

/// The amount in units of 10⁻⁹, rounded up; `None` when it is too large.
fn nano(whole: &str, part: &str, power: i32, two: u32) -> Option<u128> {
    let part = part.trim_end_matches('0');
    let digits: u128 = format!("0{whole}{part}").parse().ok()?;
    let digits = digits.checked_mul(1024_u128.checked_pow(two)?)?;
    let scale = power.checked_add(9)?.checked_sub(i32::try_from(part.len()).ok()?)?;
    if digits == 0 {
        return Some(0);
    }
    match u32::try_from(scale) {
        Ok(up) => digits.checked_mul(10_u128.checked_pow(up)?),
        Err(_) => match 10_u128.checked_pow(scale.unsigned_abs()) {
            Some(down) => Some(digits.div_ceil(down)),
            None => Some(1),
        },
    }
}

const UNIT: u128 = 1_000_000_000;

fn print(nano: u128, notation: Notation) -> String {
    if nano == 0 {
        return "0".to_owned();
    }
    if notation == Notation::Binary && nano.is_multiple_of(UNIT) && nano / UNIT >= 1024 {
        let (mut amount, mut suffix) = (nano / UNIT, "");
        for name in BINARY {
            if !amount.is_multiple_of(1024) {
                break;
            }
            (amount, suffix) = (amount / 1024, name);
        }
        return format!("{amount}{suffix}");
    }
    let (mut amount, mut power) = (nano, -9);
    while amount.is_multiple_of(1000) && power < 18 {
        (amount, power) = (amount / 1000, power + 3);
    }
    if notation == Notation::Exponent {
        return if power == 0 { amount.to_string() } else { format!("{amount}e{power}") };
    }
    let suffix = DECIMAL.iter().find(|(_, p)| *p == power).map_or("", |(s, _)| s);
    format!("{amount}{suffix}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_have_one_form() {
        let table = [
            ("0", "0"),
            ("00.0", "0"),
            ("1", "1"),
            ("+1", "1"),
            ("-1", "-1"),
            ("-0", "0"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("100m", "100m"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("1023Ki", "1023Ki"),
            ("64Mi", "64Mi"),
            ("128M", "128M"),
            ("1000M", "1G"),
            ("1e3", "1e3"),
            ("12E6", "12e6"),
            ("1e2", "100"),
            ("1500e3", "1500e3"),
            ("0.0000000001", "1n"),
            ("1E", "1E"),
            ("1Ei", "1Ei"),
        ];
        for (text, expected) in table {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "m", "1x", "1.2.3", "abc", "1 Gi", "--1", "1e", ".", "1mi", "١"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn canonical_text_is_its_own_canonical_text(text in "[+-]?[0-9]{0,30}\\.?[0-9]{0,12}(Ki|Mi|Ei|m|n|k|E|e-?[0-9]{1,12})?") {
            if let Some(once) = canonical(&text) {
                let twice = canonical(&once);
                prop_assert_eq!(twice.as_deref(), Some(once.as_str()));
            }
        }
    }
}
