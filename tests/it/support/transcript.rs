//! Transcripts: commands and what they print, run for real.
//!
//! ```text
//! # A sentence about what comes.
//! $ kubectl get configmap test-cm -n test-namespace
//! NAME      DATA   AGE
//! test-cm   1      <age>
//!
//! % kubectl get csur example-run
//! …
//! ```
//!
//! A command starts with `$ ` and its output must match at once, or with `% ` and is run again until it matches, within
//! the patience of the transcript. Lines that start with `> ` continue the command. Its expected output ends at a blank
//! line. In expected output `<age>`, `<time>`, `<uid>`, `<any>` stand for what differs from run to run, `...` alone on a
//! line for any lines, `<rest>` at the end of a line for what newer programs add there, and white space between columns does not count (leading white space does). An expected output of
//! nothing but `...` accepts anything from a command that succeeds. `(fails)` as the last line says that the command
//! must fail.

use std::{
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::process::isolate;

struct Step {
    line: usize,
    command: String,
    again: bool,
    expected: Vec<String>,
    fails: bool,
}

/// Runs the transcript at `path` with `environment` on top of an isolated one, in `folder`.
pub fn run(path: &Path, folder: &Path, environment: &[(&str, String)], patience: Duration) {
    let text = std::fs::read_to_string(path).unwrap();
    let steps = parse(&text);
    assert!(!steps.is_empty(), "{} has no commands", path.display());
    for step in steps {
        let until = Instant::now() + patience;
        loop {
            let mut command = Command::new("bash");
            isolate(&mut command, folder);
            command.args(["-c", &step.command]).current_dir(folder).stdin(Stdio::null());
            command.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
            let output = command.output().unwrap();
            let printed = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            let actual: Vec<&str> = printed.lines().collect();
            if output.status.success() != step.fails && matches(&step.expected, &actual) {
                break;
            }
            if !step.again || Instant::now() > until {
                panic!(
                    "{}:{}: $ {}\nexpected:\n{}\n\nprinted ({}):\n{}",
                    path.display(),
                    step.line,
                    step.command,
                    step.expected.join("\n"),
                    output.status,
                    printed
                );
            }
            // The one place that waits by asking again: a person at a terminal has no watch either.
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        let start = line
            .strip_prefix("$ ")
            .map(|c| (c, false))
            .or_else(|| line.strip_prefix("% ").map(|c| (c, true)));
        match (start, steps.last_mut()) {
            (Some((command, again)), _) => {
                open = true;
                let command = command.to_owned();
                steps.push(Step {
                    line: number + 1,
                    command,
                    again,
                    expected: Vec::new(),
                    fails: false,
                });
            }
            (None, Some(step)) if open && line.starts_with('>') && step.expected.is_empty() => {
                step.command.push('\n');
                step.command.push_str(line.strip_prefix("> ").unwrap_or_default());
            }
            (None, Some(step)) if open && line == "(fails)" => step.fails = true,
            (None, Some(step)) if open && !line.is_empty() => step.expected.push(line.to_owned()),
            _ => open = false,
        }
    }
    steps
}

fn matches(expected: &[String], actual: &[&str]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=actual.len()).any(|skip| matches(rest, &actual[skip..]))
        }
        Some((first, rest)) => actual
            .split_first()
            .is_some_and(|(line, others)| line_matches(first, line) && matches(rest, others)),
    }
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
