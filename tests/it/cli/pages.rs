//! The pages that people read: every command on them is typed by a test, and prints what the page says.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::shell::{play_without, project};
use crate::support::transcript::commands;

/// A page, and what has happened before its first command.
const PAGES: [(&str, &[&str]); 5] = [
    ("README.md", &[]),
    ("docs/tutorial/first-rollout.md", &[]),
    ("docs/how-to/approve-from-a-pull-request.md", &["tests/transcripts/settings/server.txt"]),
    (
        "docs/how-to/roll-back.md",
        &["tests/transcripts/settings/server.txt", "tests/transcripts/settings/two-releases.txt"],
    ),
    (
        "docs/how-to/follow-several-repositories.md",
        &["tests/transcripts/settings/two-repositories.txt"],
    ),
];

/// Pages whose commands other suites run, or nobody can: which, and why.
const ELSEWHERE: [(&str, &str); 1] = [(
    "docs/how-to/plain-kubernetes.md",
    "needs real API servers: the suites of the engine on plain Kubernetes",
)];

/// Commands on typed pages that no test can type, and why.
const NOT_TYPED: [(&str, &str); 2] = [
    (
        "cargo run --release -- demo",
        "builds the release; tests/it/cli/demo.rs runs the same program",
    ),
    ("cargo test", "is what runs this"),
];

fn type_page(number: usize) {
    let (page, before) = PAGES[number];
    play_without(&[before, &[page]].concat(), &[NOT_TYPED[0].0, NOT_TYPED[1].0]);
}

#[test]
fn the_readme() {
    type_page(0);
}

#[test]
fn the_tutorial() {
    type_page(1);
}

#[test]
fn approve_from_a_pull_request() {
    type_page(2);
}

#[test]
fn roll_back() {
    type_page(3);
}

#[test]
fn follow_several_repositories() {
    type_page(4);
}

#[test]
fn every_page_with_commands_is_typed_by_a_test() {
    let mut pages = BTreeSet::new();
    for root in ["README.md", "docs", "examples-repo"] {
        markdown(&project(root), &mut pages);
    }
    let typed = PAGES.map(|(page, _)| page);
    for page in &pages {
        let name = page.strip_prefix(project("")).unwrap().to_string_lossy().into_owned();
        let is_known =
            typed.contains(&&*name) || ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == name);
        let commands = commands(page);
        assert!(
            is_known || commands.is_empty(),
            "no test types {name}: add it to PAGES, or to ELSEWHERE with a reason. Its commands:\n{}",
            commands.join("\n")
        );
    }
    let mut all = Vec::new();
    for page in typed {
        let commands = commands(&project(page));
        assert!(!commands.is_empty(), "{page} has no commands");
        all.extend(commands);
    }
    for (command, why) in NOT_TYPED {
        assert!(all.iter().any(|known| known == command), "`{command}` ({why}) is on no page");
    }
}

fn markdown(path: &Path, into: &mut BTreeSet<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            markdown(&entry.unwrap().path(), into);
        }
    } else if path.extension().is_some_and(|extension| extension == "md") {
        into.insert(path.to_owned());
    }
}
