//! The pages that people read: every command on them is typed by a test, and prints what the page says.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::shell::{play_without, project};
use crate::support::transcript::commands;

/// A page, and what has happened before its first command.
const PAGES: [(&str, &[&str]); 8] = [
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
    (
        "docs/how-to/failure-policy.md",
        &["tests/transcripts/settings/server.txt", "tests/transcripts/settings/two-releases.txt"],
    ),
    ("docs/how-to/plain-kubernetes.md", &["tests/transcripts/settings/no-engine.txt"]),
    (
        "docs/how-to/wait-in-a-pipeline.md",
        &["tests/transcripts/settings/server.txt", "tests/transcripts/settings/two-releases.txt"],
    ),
];

/// Pages with `sh` blocks, whose commands this suite does not type: which, and why.
const ELSEWHERE: [(&str, &str); 1] =
    [("docs/reference/json.md", "shows jq, which is not ours to provide")];

/// Commands on typed pages that no test can type, and why.
const NOT_TYPED: [(&str, &str); 3] = [
    (
        "cargo run --release -- demo",
        "builds the release; tests/it/cli/demo.rs runs the same program",
    ),
    ("cargo test", "is what runs this"),
    ("cargo install --locked --path .", "would replace what the one who runs this has installed"),
];

fn type_page(number: usize) {
    let (page, before) = PAGES[number];
    play_without(&[before, &[page]].concat(), &NOT_TYPED.map(|(command, _)| command));
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
fn limit_the_damage_of_a_bad_commit() {
    type_page(5);
}

/// The suites of the engine on plain Kubernetes do the same with real API servers.
#[test]
fn use_a_plain_kubernetes_hub() {
    type_page(6);
}

#[test]
fn wait_in_a_pipeline() {
    type_page(7);
}

fn pages() -> Vec<(String, PathBuf)> {
    let mut pages = BTreeSet::new();
    for root in ["README.md", "docs", "examples-repo"] {
        markdown(&project(root), &mut pages);
    }
    let name = |page: &Path| page.strip_prefix(project("")).unwrap().to_string_lossy().into_owned();
    pages.into_iter().map(|page| (name(&page), page)).collect()
}

#[test]
fn every_page_with_commands_is_typed_by_a_test() {
    let typed = PAGES.map(|(page, _)| page);
    let mut all = Vec::new();
    for (name, page) in pages() {
        let commands = commands(&page);
        assert_eq!(
            typed.contains(&&*name),
            !commands.is_empty(),
            "{name}: a page with `console` blocks belongs into PAGES, and no other. Its commands:\n{}",
            commands.join("\n")
        );
        all.extend(commands);
        let text = fs::read_to_string(&page).unwrap();
        let has_others =
            ["sh", "bash", "shell"].iter().any(|sh| text.contains(&format!("```{sh}\n")));
        assert_eq!(
            ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == name),
            has_others,
            "{name}: a page with `sh` blocks belongs into ELSEWHERE, with a reason, and no other; better, make it `console`"
        );
    }
    for (command, why) in NOT_TYPED {
        assert!(all.iter().any(|known| known == command), "`{command}` ({why}) is on no page");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)#\s]+)[^)]*\)").unwrap();
    for (name, page) in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for found in link.captures_iter(&text).map(|found| found[1].to_owned()) {
            let there = page.parent().unwrap().join(&found);
            assert!(found.contains("://") || there.exists(), "{name} links to {found}");
        }
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
