//! OpenSSH's `allowed_signers` file: who has which key (ssh-keygen(1), ALLOWED SIGNERS).

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use ssh_key::PublicKey;

use crate::model::Hint;

/// The people whose signatures count, and their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedSigners {
    entries: Vec<Entry>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who: a list of patterns.
    pub principals: String,
    /// Whether the key signs certificates rather than commits.
    pub cert_authority: bool,
    /// What for: a list of patterns; anything when absent.
    pub namespaces: Option<String>,
    /// Not before.
    pub valid_after: Option<Timestamp>,
    /// Not after.
    pub valid_before: Option<Timestamp>,
    /// The key.
    pub key: PublicKey,
}

/// A line that cannot be read. The whole file is refused: a half-read policy is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}:{column}: {problem}")]
pub struct InvalidSigners {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
}

impl Hint for InvalidSigners {
    fn hint(&self) -> Option<String> {
        Some(
            "a line is `PRINCIPALS [OPTIONS] KEYTYPE KEY`, as in ssh-keygen(1), ALLOWED SIGNERS"
                .to_owned(),
        )
    }
}

/// More lines than any team has people.
const MAX_LINES: usize = 10_000;

impl AllowedSigners {
    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// When any line cannot be read.
    pub fn parse(text: &str, path: &str) -> Result<Self, InvalidSigners> {
        let at = |line: usize, column: usize, problem: String| InvalidSigners {
            path: path.to_owned(),
            line,
            column,
            problem,
        };
        if text.lines().count() > MAX_LINES {
            return Err(at(MAX_LINES, 1, format!("more than {MAX_LINES} lines")));
        }
        let mut entries = Vec::new();
        for (number, raw) in text.lines().enumerate() {
            let line = raw.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = parse_line(line).map_err(|Problem { rest, text }| {
                let column = raw.len().saturating_sub(raw.trim_start().len().min(raw.len()));
                at(number + 1, column + line.len().saturating_sub(rest) + 1, text)
            })?;
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    /// Returns the lines, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// What is wrong, and how much of the line was left when it was found.
struct Problem {
    rest: usize,
    text: String,
}

fn problem<T>(rest: &str, text: impl Into<String>) -> Result<T, Problem> {
    Err(Problem { rest: rest.len(), text: text.into() })
}

fn parse_line(line: &str) -> Result<Entry, Problem> {
    let (principals, mut rest) = word(line)?;
    let mut entry = Options::default();
    // What is not a key yet is a list of options in front of one.
    if !rest.is_empty() && PublicKey::from_openssh(rest).is_err() {
        let (options, after) = word(rest)?;
        entry = Options::parse(options, rest)?;
        rest = after;
    }
    let key = match PublicKey::from_openssh(rest) {
        Ok(key) => key,
        Err(error) => return problem(rest, format!("no public key: {error}")),
    };
    if let (Some(after), Some(before)) = (entry.valid_after, entry.valid_before)
        && after >= before
    {
        return problem(line, "valid-after is not before valid-before");
    }
    Ok(Entry {
        principals: unquoted(principals).to_owned(),
        cert_authority: entry.cert_authority,
        namespaces: entry.namespaces,
        valid_after: entry.valid_after,
        valid_before: entry.valid_before,
        key,
    })
}

#[derive(Default)]
struct Options {
    cert_authority: bool,
    namespaces: Option<String>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

impl Options {
    fn parse(text: &str, rest: &str) -> Result<Self, Problem> {
        let mut options = Self::default();
        for option in split_outside_quotes(text, ',') {
            let (name, value) =
                option.split_once('=').map_or((option, None), |(n, v)| (n, Some(unquoted(v))));
            match (name.to_ascii_lowercase().as_str(), value) {
                ("cert-authority", None) => options.cert_authority = true,
                ("namespaces", Some(value)) => options.namespaces = Some(value.to_owned()),
                ("valid-after", Some(value)) => options.valid_after = Some(time(value, rest)?),
                ("valid-before", Some(value)) => options.valid_before = Some(time(value, rest)?),
                _ => return problem(rest, format!("`{option}` is no option and no key")),
            }
        }
        Ok(options)
    }
}

/// Splits the first word off, quotes respected.
fn word(text: &str) -> Result<(&str, &str), Problem> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => return Ok((&text[..at], text[at..].trim_start())),
            _ => {}
        }
    }
    if quoted { problem(text, "a quote is not closed") } else { Ok((text, "")) }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut start, mut parts) = (false, 0, Vec::new());
    for (at, c) in text.char_indices() {
        if c == '"' {
            quoted = !quoted;
        } else if c == separator && !quoted {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Reads `YYYYMMDD[HHMM[SS]][Z]`. OpenSSH takes a time without `Z` as local; a verdict must not depend on where it is
/// reached, so it is UTC here.
fn time(text: &str, rest: &str) -> Result<Timestamp, Problem> {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    let number = |from: usize, to: usize| {
        digits.get(from..to).map_or(Some(0), |part| part.parse::<i16>().ok())
    };
    let parts = || {
        let small = |from, to| number(from, to).and_then(|n| i8::try_from(n).ok());
        let civil = DateTime::new(
            number(0, 4)?,
            small(4, 6)?,
            small(6, 8)?,
            small(8, 10)?,
            small(10, 12)?,
            small(12, 14)?,
            0,
        );
        Some(civil.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let well_formed =
        matches!(digits.len(), 8 | 12 | 14) && digits.bytes().all(|b| b.is_ascii_digit());
    match well_formed.then(parts).flatten() {
        Some(time) => Ok(time),
        None => problem(rest, format!("`{text}` is no time: expected YYYYMMDD[HHMM[SS]][Z]")),
    }
}

/// Returns whether `text` matches a list of patterns with `*`, `?` and `!`, as OpenSSH's `match_pattern_list` does: a
/// negated match wins.
pub(super) fn matches_list(list: &str, text: &str) -> bool {
    let mut matched = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches_pattern(pattern.as_bytes(), text.as_bytes()) => return false,
            None if matches_pattern(pattern.as_bytes(), text.as_bytes()) => matched = true,
            _ => {}
        }
    }
    matched
}

/// Matches with one step back to the last `*`: linear memory and at most quadratic time, whatever the pattern.
fn matches_pattern(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn every_form_of_line_is_read() {
        let text = format!(
            "# people\n\nalice@example.com,*@ops.example.com namespaces=\"git,file\",valid-before=\"20300101Z\" {KEY} a comment\nca@example.com cert-authority {KEY}\n"
        );
        let signers = AllowedSigners::parse(&text, "policy/allowed_signers").unwrap();
        let [alice, authority] = signers.entries() else { panic!("two lines") };
        assert_eq!(alice.principals, "alice@example.com,*@ops.example.com");
        assert_eq!(alice.namespaces.as_deref(), Some("git,file"));
        assert_eq!(alice.valid_before.unwrap().to_string(), "2030-01-01T00:00:00Z");
        assert!(authority.cert_authority);
    }

    #[test]
    fn one_bad_line_refuses_the_file_and_says_where() {
        for (line, column, part) in [
            ("alice", 6, "no public key"),
            ("alice ssh-ed25519 AAAA", 7, "no option"),
            (&format!("alice valid-before=\"soon\" {KEY}"), 7, "`soon` is no time"),
            (&format!("alice magic {KEY}"), 7, "`magic` is no option"),
            (&format!("alice valid-after=20300101,valid-before=20290101 {KEY}"), 1, "not before"),
            ("\"alice ssh", 1, "not closed"),
        ] {
            let error = AllowedSigners::parse(&format!("bob {KEY}\n{line}\n"), "f").unwrap_err();
            assert_eq!((error.line, error.column), (2, column), "{line}: {error}");
            assert!(error.problem.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn pattern_lists_match_as_in_openssh() {
        for (list, text, want) in [
            ("a@x,*@y", "b@y", true),
            ("*,!evil@y", "evil@y", false),
            ("?@x", "aa@x", false),
            ("*a*b", "xxaxxb", true),
            ("", "a", false),
        ] {
            assert_eq!(matches_list(list, text), want, "{list} {text}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = AllowedSigners::parse(&text, "f");
        }

        #[test]
        fn no_pattern_panics(list in "[a*?!,]{0,12}", text in "[ab]{0,12}") {
            let _ = matches_list(&list, &text);
        }
    }
}
