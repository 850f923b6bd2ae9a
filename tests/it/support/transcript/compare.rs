//! Comparing what is printed with what is expected.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;

/// What an example's ids turned out to be.
pub(super) type Ids = BTreeMap<String, String>;

/// Compares lines of a transcript.
pub(super) fn matches(expected: &[String], actual: &[&str]) -> bool {
    search(expected, actual, &mut |expected, actual| line_matches(expected, actual))
}

/// Compares lines of a page, whose ids are examples; what they stand for is kept when all of it matches.
pub(super) fn matches_page(expected: &[String], actual: &[&str], ids: &mut Ids) -> bool {
    let known = ids.clone();
    let matches = search(expected, actual, &mut |expected, actual| {
        let (expected, actual) = (example(expected), example(actual));
        line_matches(&expected, &actual) || ids_match(&expected, &actual, ids)
    });
    if !matches {
        *ids = known;
    }
    matches
}

fn search(expected: &[String], actual: &[&str], line: &mut impl FnMut(&str, &str) -> bool) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=actual.len()).any(|skip| search(rest, &actual[skip..], line))
        }
        Some((first, rest)) => actual
            .split_first()
            .is_some_and(|(head, others)| line(first, head) && search(rest, others, line)),
    }
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// A unit, and the next smaller one: `88d1541d` is the beginning of a commit's id.
const AGE: &str = r"\d{1,4}d(?:\d{1,2}h)?|\d{1,4}h(?:\d{1,2}m)?|\d{1,4}m(?:\d{1,2}s)?|\d{1,4}s";

static EXAMPLES: LazyLock<[(Regex, &str); 6]> = LazyLock::new(|| {
    [
        (regex(r"(/[\w.-]+)+\.git\b"), "(repository)"),
        (regex(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "(time)"),
        (regex(r"\bSHA256:[A-Za-z0-9+/]{43}"), "(key)"),
        (regex(r"\bsha256:[0-9a-f]{12,64}"), "(digest)"),
        (regex(r"\b127\.0\.0\.1:\d+"), "(port)"),
        (regex(&format!(r"(^|[\s(])(?:{AGE})([\s),;]|$)")), "$1(age)$2"),
    ]
});
static ID: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[0-9a-f]{7,40}\b"));

/// Replaces what differs from run to run by its kind.
fn example(line: &str) -> String {
    let mut line = line.to_owned();
    for (pattern, kind) in EXAMPLES.iter() {
        line = pattern.replace_all(&line, *kind).into_owned();
    }
    line
}

/// Compares two lines that differ in ids only, and learns what they stand for.
fn ids_match(expected: &str, actual: &str, ids: &mut Ids) -> bool {
    if !line_matches(&ID.replace_all(expected, "(id)"), &ID.replace_all(actual, "(id)")) {
        return false;
    }
    let of = |line: &str| ID.find_iter(line).map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    of(expected).into_iter().zip(of(actual)).all(|(example, id)| {
        // Seven digits and forty of one commit are one id.
        let short = |id: &str| id.chars().take(7).collect::<String>();
        *ids.entry(short(&example)).or_insert_with(|| short(&id)) == short(&id)
    })
}

fn line_matches(expected: &str, actual: &str) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (mut expected_words, mut actual_words) = (words(expected), words(actual));
    if expected_words.last().is_some_and(|word| word == "<rest>") {
        expected_words.pop();
        actual_words.truncate(expected_words.len());
    }
    indent(expected) == indent(actual)
        && expected_words.len() == actual_words.len()
        && expected_words
            .iter()
            .zip(&actual_words)
            .all(|(expected, actual)| word_matches(expected, actual))
}

fn word_matches(expected: &str, actual: &str) -> bool {
    for (stand_in, test) in STAND_INS {
        if let Some((before, after)) = expected.split_once(stand_in) {
            return actual
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|middle| !middle.is_empty() && test(middle));
        }
    }
    expected == actual
}

type Test = fn(&str) -> bool;

const STAND_INS: [(&str, Test); 4] = [
    ("<age>", |word| word.chars().all(|c| c.is_ascii_digit() || "smhd".contains(c))),
    ("<time>", |word| word.trim_matches(['"', '\'']).parse::<jiff::Timestamp>().is_ok()),
    ("<uid>", |word| word.parse::<uuid::Uuid>().is_ok()),
    ("<any>", |_| true),
];

#[test]
fn expected_output_matches_as_documented() {
    for (expected, actual, want) in [
        ("NAME AGE", "NAME       AGE", true),
        ("web <age>", "web  5m12s", true),
        ("web <age>", "web  soon", false),
        ("a\n...\nz", "a\nb\nc\nz", true),
        ("a\n...\nz", "a\nb\nc", false),
        ("  key: value2", "key: value2", false),
        ("  at: \"<time>\"", "  at: \"2026-11-23T10:00:00Z\"", true),
        ("web deleted <rest>", "web deleted from x namespace", true),
        ("web deleted <rest>", "web deleted", true),
        ("", "x", false),
    ] {
        let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
        assert_eq!(
            matches(&expected, &actual.lines().collect::<Vec<_>>()),
            want,
            "{expected:?} {actual:?}"
        );
    }
}

#[test]
fn examples_on_pages_stand_for_their_kind_and_one_id_means_one_thing() {
    for (expected, actual, want) in [
        ("web   3f2a91c0   12s", "web   8fee0c9b   1m5s", true),
        ("web   3f2a91c0   12s", "web   8fee0c9b   soon", false),
        ("web-3f2a91c0 of 3f2a91c0", "web-8fee0c9b of 8fee0c9b", true),
        ("web-3f2a91c0 of 3f2a91c0", "web-8fee0c9b of 49b29b0d", false),
        ("until 2026-11-23T16:40:35Z", "until 2027-01-01T00:00:00Z", true),
        ("a https://127.0.0.1:1 b", "a https://127.0.0.1:40123 b", true),
        ("index 0", "index 1", false),
        ("base   b9355b28   0   4s", "base   6722356d   0   58s", true),
        ("commit 391ec9ae changes", "commit 88d1541d changes", true),
        ("web   3f2a91c0   12s", "web   88d1541d   2d3h", true),
    ] {
        let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
        let actual: Vec<&str> = actual.lines().collect();
        let mut ids = Ids::new();
        assert_eq!(matches_page(&expected, &actual, &mut ids), want, "{expected:?} {actual:?}");
        assert!(want || ids.is_empty(), "a mismatch teaches nothing");
    }
}
