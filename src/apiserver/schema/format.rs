//! The `format`s that schemas may ask of strings and numbers.
//!
//! The list is that of apiextensions-apiserver's `formats.go`, of which this knows the ones that Kubernetes types use;
//! others are ignored, as unknown formats are upstream.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use base64::Engine as _;
use regex::Regex;
use serde_json::Number;

use super::{node::Types, number, pattern};

/// A format with a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Byte,
    Cidr,
    Date,
    DateTime,
    Duration,
    Email,
    Float,
    Hostname,
    Int32,
    Int64,
    Ipv4,
    Ipv6,
    Mac,
    Uri,
    Uuid,
}

impl Format {
    /// The format called `name` for values of `types`; none when it checks nothing there.
    pub(crate) fn named(name: &str, types: Types) -> Option<Format> {
        if types == Types::INTEGER {
            return match name {
                "int32" => Some(Self::Int32),
                "int64" => Some(Self::Int64),
                _ => None,
            };
        }
        if types == Types::NUMBER {
            return (name == "float").then_some(Self::Float);
        }
        if !types.is_empty() && types != Types::STRING {
            return None;
        }
        Some(match name.replace('-', "").as_str() {
            "byte" => Self::Byte,
            "cidr" => Self::Cidr,
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "duration" => Self::Duration,
            "email" => Self::Email,
            "hostname" => Self::Hostname,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "mac" => Self::Mac,
            "uri" => Self::Uri,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }

    /// The name that messages use.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Byte => "byte",
            Self::Cidr => "cidr",
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Duration => "duration",
            Self::Email => "email",
            Self::Float => "float",
            Self::Hostname => "hostname",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Mac => "mac",
            Self::Uri => "uri",
            Self::Uuid => "uuid",
        }
    }

    /// Whether `text` has the format. Formats of numbers accept every text.
    pub(crate) fn accepts(self, text: &str) -> bool {
        match self {
            Self::Byte => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
            Self::Cidr => is_cidr(text),
            Self::Date => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
            Self::DateTime => is_date_time(text),
            Self::Duration => is_duration(text),
            Self::Email => text.split_once('@').is_some_and(|(user, host)| {
                !user.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace)
            }),
            Self::Hostname => is_hostname(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Mac => is_mac(text),
            Self::Uri => is_uri(text),
            Self::Uuid => UUID.as_ref().is_none_or(|uuid| uuid.is_match(text)),
            Self::Float | Self::Int32 | Self::Int64 => true,
        }
    }

    /// Whether `n` is in the range of the format. Formats of strings accept every number.
    pub(crate) fn accepts_number(self, n: &Number) -> bool {
        let within =
            |low: i128, high: i128| number::whole(n).is_some_and(|i| (low..=high).contains(&i));
        match self {
            Self::Int32 => within(i32::MIN.into(), i32::MAX.into()),
            Self::Int64 => within(i64::MIN.into(), i64::MAX.into()),
            Self::Float => n.as_f64().is_some_and(|f| f.abs() <= f64::from(f32::MAX)),
            _ => true,
        }
    }
}

static UUID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern::compile(
        "^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$",
    )
    .ok()
});

/// RFC 3339 with an offset; a leap second is refused, as upstream does.
fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let separated = bytes.get(10).is_some_and(|b| b.eq_ignore_ascii_case(&b't'));
    separated && bytes.get(17..19) != Some(b"60") && text.parse::<jiff::Timestamp>().is_ok()
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    if length.is_empty() || length.len() > 3 || !length.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let length: u16 = length.parse().unwrap_or(u16::MAX);
    (address.parse::<Ipv4Addr>().is_ok() && length <= 32)
        || (address.parse::<Ipv6Addr>().is_ok() && length <= 128)
}

fn is_mac(text: &str) -> bool {
    let separator = if text.contains(':') { ':' } else { '-' };
    let parts: Vec<_> = text.split(separator).collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts.iter().all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_hostname(text: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    text.len() <= 255 && text.trim_end_matches('.').split('.').all(label)
}

/// As Go's `url.ParseRequestURI`: an absolute path, or a scheme and something after it.
fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.chars().any(|c| c.is_control() || c == ' ') {
        return false;
    }
    text.starts_with('/')
        || text.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                && !rest.is_empty()
        })
}

/// A Go duration (`1h30m`, `1.5s`, `-2us`), or the looser `2 hours` that go-openapi also reads.
fn is_duration(text: &str) -> bool {
    const UNITS: [&str; 7] = ["ns", "us", "µs", "ms", "s", "m", "h"];
    let strict = |text: &str| {
        let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
        if rest == "0" {
            return true;
        }
        let mut any = false;
        while !rest.is_empty() {
            let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(0);
            let (number, tail) = rest.split_at(unit_at);
            let digits = number.bytes().filter(u8::is_ascii_digit).count();
            if digits == 0 || number.len() - digits > 1 {
                return false;
            }
            let unit_end =
                tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, after) = tail.split_at(unit_end);
            if !UNITS.contains(&unit) {
                return false;
            }
            (rest, any) = (after, true);
        }
        any
    };
    let loose = || {
        let Some(unit_at) = text.find(|c: char| !c.is_ascii_digit()) else { return false };
        let unit = text[unit_at..].trim().to_lowercase();
        let prefix = ["nano", "micro", "milli", "sec", "min", "hour", "day", "week"];
        unit_at > 0
            && (prefix.iter().any(|p| unit.starts_with(p))
                || ["d", "w", "wk", "hr"].contains(&&*unit))
    };
    strict(text) || loose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_accept_and_refuse() {
        let table = [
            (Format::DateTime, "2026-11-23T13:00:00Z", true),
            (Format::DateTime, "2026-11-23T13:00:00.123456+02:00", true),
            (Format::DateTime, "2026-11-23T13:00:60Z", false),
            (Format::DateTime, "2026-11-23 13:00:00Z", false),
            (Format::DateTime, "2026-11-23T13:00:00", false),
            (Format::DateTime, "yesterday", false),
            (Format::Date, "2026-02-29", false),
            (Format::Date, "2026-02-28", true),
            (Format::Byte, "aGk=", true),
            (Format::Byte, "a", false),
            (Format::Duration, "1h30m", true),
            (Format::Duration, "1.5s", true),
            (Format::Duration, "2 hours", true),
            (Format::Duration, "1", false),
            (Format::Duration, "", false),
            (Format::Duration, "ü", false),
            (Format::Cidr, "10.0.0.0/8", true),
            (Format::Cidr, "10.0.0.0/33", false),
            (Format::Ipv6, "::1", true),
            (Format::Mac, "00:11:22:33:44:55", true),
            (Format::Uri, "https://example.com/x", true),
            (Format::Uri, "example", false),
            (Format::Uuid, "123e4567-e89b-12d3-a456-426614174000", true),
            (Format::Uuid, "123", false),
        ];
        for (format, text, accepted) in table {
            assert_eq!(format.accepts(text), accepted, "{format:?} {text:?}");
        }
    }

    #[test]
    fn a_format_needs_its_type() {
        assert_eq!(Format::named("int32", Types::INTEGER), Some(Format::Int32));
        assert_eq!(Format::named("int32", Types::STRING), None);
        assert_eq!(Format::named("date-time", Types::STRING), Some(Format::DateTime));
        assert_eq!(Format::named("date-time", Types::OBJECT), None);
        assert!(!Format::Int32.accepts_number(&Number::from(1_u64 << 31)));
        assert!(Format::Int64.accepts_number(&Number::from(i64::MIN)));
        assert!(!Format::Int64.accepts_number(&Number::from(u64::MAX)));
    }
}
