//! One file to documents.
//!
//! YAML is read as `kubectl` reads it (octal modes, `yes` and `on` as booleans, merge keys), but for two things: a
//! duplicate key is an error, and so is whatever exceeds the limits. JSON is read by the same parser.

use serde_json::Value;
use serde_yaml::{Spanned, budget::BudgetBreach};

use super::{Limits, Place};
use crate::model::Hint;

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it begins.
    pub place: Place,
    /// Which document of the file, from 0, empty ones not counted.
    pub number: usize,
    /// What it says.
    pub value: Value,
}

/// A file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not text.
    #[error("{place}: the file is not UTF-8 text")]
    NotText {
        /// The first byte that is not.
        place: Place,
    },
    /// Not YAML.
    #[error("{place}: {detail}")]
    Syntax {
        /// Where.
        place: Place,
        /// The parser's words.
        detail: String,
        /// Whether the line holds a placeholder of a template language.
        is_template: bool,
    },
    /// More than is allowed.
    #[error("{place}: the file has more than {limit} {what}")]
    Limit {
        /// Where the limit was reached, if that is known.
        place: Place,
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

impl DecodeError {
    /// Returns that a file has too many bytes.
    pub fn too_large(path: &str, limits: &Limits) -> Self {
        Self::Limit { place: Place::file(path), what: "bytes", limit: limits.file_bytes }
    }

    /// Returns where the error is.
    pub fn place(&self) -> &Place {
        match self {
            Self::NotText { place } | Self::Syntax { place, .. } | Self::Limit { place, .. } => {
                place
            }
        }
    }
}

impl Hint for DecodeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Limit { .. } => Some("split the file".to_owned()),
            Self::NotText { .. } => Some("save it as UTF-8, or give it another extension".into()),
            Self::Syntax { is_template, .. } => is_template
                .then(|| "templates are not filled in: commit what they render to".to_owned()),
        }
    }
}

/// Returns whether a path is that of a manifest: by its extension, whatever the case.
pub fn is_manifest(path: &str) -> bool {
    let extension = path.rsplit_once('/').map_or(path, |(_, name)| name).rsplit_once('.');
    extension.is_some_and(|(name, extension)| {
        !name.is_empty()
            && ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

pub(super) fn options(limits: &Limits) -> serde_yaml::Options {
    let Limits { depth, nodes, documents, aliases, file_bytes, .. } = *limits;
    serde_yaml::options! {
        legacy_octal_numbers: true,
        strict_booleans: false,
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_events: nodes.saturating_mul(3),
            max_nodes: nodes,
            max_depth: depth,
            max_documents: documents,
            max_aliases: aliases,
            max_total_scalar_bytes: file_bytes.saturating_mul(4),
        },
    }
}

pub(super) fn text<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a str, DecodeError> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let last = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(last).chars().count() + 1;
        DecodeError::NotText { place: Place::new(path, line as u64, column as u64) }
    })
}

/// Reads the documents of a file. Empty ones, and those that say `null`, are left out.
///
/// # Errors
/// With the place, for text that is not UTF-8 or not YAML, has a duplicate key, or exceeds a limit.
pub fn decode(path: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<Document>, DecodeError> {
    if bytes.len() > limits.file_bytes {
        return Err(DecodeError::too_large(path, limits));
    }
    let text = text(path, bytes)?;
    let documents: Vec<Spanned<Value>> =
        serde_yaml::from_multiple_with_options(text, options(limits))
            .map_err(|error| failure(path, text, &error, limits))?;
    let documents = documents.into_iter().filter(|document| !document.value.is_null());
    let document = |(number, document): (usize, Spanned<Value>)| Document {
        place: Place::new(path, document.referenced.line(), document.referenced.column()),
        number,
        value: document.value,
    };
    Ok(documents.enumerate().map(document).collect())
}

fn failure(path: &str, text: &str, error: &serde_yaml::Error, limits: &Limits) -> DecodeError {
    let error = error.without_snippet();
    let place = match error.location() {
        Some(location) => Place::new(path, location.line(), location.column()),
        None => Place::file(path),
    };
    // A limit that is passed while an alias is expanded is told as the alias's error.
    let mut innermost = error;
    while let serde_yaml::Error::AliasError { error, .. } = innermost {
        innermost = error.as_ref();
    }
    let serde_yaml::Error::Budget { breach, .. } = innermost else {
        let number = usize::try_from(place.line).unwrap_or_default();
        let line = number.checked_sub(1).and_then(|before| text.lines().nth(before));
        let is_template = line.is_some_and(|line| line.contains("{{"));
        return DecodeError::Syntax { place, detail: detail(error), is_template };
    };
    let (what, limit) = match breach {
        BudgetBreach::Depth { .. } => ("levels of nesting", limits.depth),
        BudgetBreach::Documents { .. } => ("documents", limits.documents),
        BudgetBreach::Aliases { .. } => ("aliases", limits.aliases),
        BudgetBreach::ScalarBytes { .. } => ("bytes of text", limits.file_bytes * 4),
        _ => ("values, with its aliases expanded", limits.nodes),
    };
    DecodeError::Limit { place, what, limit }
}

/// Returns the parser's words, without the place that they end with.
fn detail(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let cut = first.find(" at line ").unwrap_or(first.len());
    let words = first[..cut].trim_end_matches([' ', ',', ':', '.']);
    words.strip_prefix("error: ").unwrap_or(words).chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Vec<Document>, DecodeError> {
        decode("a/b.yaml", text.as_bytes(), &Limits::default())
    }

    #[test]
    fn documents_have_places_and_empty_ones_are_left_out() {
        let read = read("# comment\n---\na: 1\n---\n---\nnull\n---\n\nb: [2, 3]\n").unwrap();
        let read: Vec<_> =
            read.into_iter().map(|d| (d.place.to_string(), d.number, d.value)).collect();
        assert_eq!(
            read,
            [
                ("a/b.yaml:3:1".to_owned(), 0, json!({"a": 1})),
                ("a/b.yaml:9:1".to_owned(), 1, json!({"b": [2, 3]})),
            ]
        );
    }

    #[test]
    fn yaml_is_read_as_kubectl_reads_it() {
        let value = |text: &str| read(text).unwrap().remove(0).value;
        assert_eq!(value("mode: 0644"), json!({"mode": 420}));
        assert_eq!(value("a: yes\nb: on\nc: \"yes\""), json!({"a": true, "b": true, "c": "yes"}));
        assert_eq!(value("x: &x {a: 1}\ny: {<<: *x, b: 2}")["y"], json!({"a": 1, "b": 2}));
        assert_eq!(value("{\n\t\"a\": [1, 2],\n\t\"b\": null\n}"), json!({"a": [1, 2], "b": null}));
        assert_eq!(value("\u{feff}a: |\n  x\n  y\n"), json!({"a": "x\ny\n"}));
    }

    #[test]
    fn errors_have_places() {
        for (text, place, word) in [
            ("a: [1, 2\nb: 3\n", "a/b.yaml:", ""),
            ("a: 1\na: 2\n", "a/b.yaml:2:1", "duplicate"),
            ("ok: 1\n---\na: b: c\n", "a/b.yaml:3:5", ""),
            ("a: *nowhere\n", "a/b.yaml:1:4", ""),
        ] {
            let error = read(text).unwrap_err();
            let shown = error.to_string();
            assert!(shown.starts_with(place), "{text:?}: {shown}");
            assert!(shown.contains(word), "{text:?}: {shown}");
            assert!(!shown.contains('\n') && shown.matches(" line ").count() == 0, "{shown}");
        }
        let error = decode("x.yaml", b"a: 1\nb: \xff\n", &Limits::default()).unwrap_err();
        assert_eq!(error.place().to_string(), "x.yaml:2:4");
    }

    #[test]
    fn a_template_is_told_to_be_one() {
        let hint = |text: &str| read(text).unwrap_err().hint();
        assert!(hint("a: 1\nname: {{ .Values.name }}\n").unwrap().contains("templates"));
        assert_eq!(hint("a: [1\n"), None);
    }

    #[test]
    fn every_limit_has_its_own_error() {
        let small = Limits {
            file_bytes: 2_000,
            documents: 2,
            depth: 8,
            nodes: 100,
            aliases: 3,
            ..Limits::default()
        };
        let many = |text: &str, count| text.repeat(count);
        for (text, want) in [
            (many("# padding\n", 300), "more than 2000 bytes"),
            (many("---\na: 1\n", 5), "more than 2 documents"),
            (many("[", 20) + &many("]", 20), "more than 8 levels of nesting"),
            (many("- 1\n", 200), "more than 100 values"),
            (format!("- &a 1\n{}", many("- *a\n", 5)), "more than 3 aliases"),
        ] {
            let error = decode("x.yaml", text.as_bytes(), &small).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn an_alias_bomb_is_defused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let above = format!("*a{}, ", level - 1).repeat(9);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", above.trim_end_matches(", ")));
        }
        let error = read(&bomb).unwrap_err().to_string();
        assert!(error.contains("values, with its aliases expanded"), "{error}");
    }

    #[test]
    fn manifests_are_known_by_their_extension() {
        for (path, is) in [
            ("a.yaml", true),
            ("a/b.YML", true),
            ("x.json", true),
            (".yaml", false),
            ("yaml", false),
            ("a.yaml/readme", false),
            ("a.yaml.bak", false),
        ] {
            assert_eq!(is_manifest(path), is, "{path}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn no_text_panics(text in "[-a-z0-9:{}\\[\\], \n\t#&*|>\"'!%@?<]{0,200}") {
            let _ = read(&text);
        }
    }
}
