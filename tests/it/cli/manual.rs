//! The manual: help texts, and the reference page that is made of them.

use std::{fs, path::Path, process::Command};

use crate::support::process::tidegate;

const COMMANDS: &[&str] = &[
    "demo",
    "local",
    "run",
    "join",
    "leave",
    "install",
    "status",
    "watch",
    "history",
    "render",
    "lint",
    "approve",
    "completion",
];

fn help(home: &Path, command: Option<&str>) -> String {
    let output = tidegate(home).args(command).arg("--help").env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success(), "--help of {command:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_reference_page_of_the_command_line_is_fresh() {
    let home = tempfile::tempdir().unwrap();
    let mut page = String::from(
        "# Command line\n\nMade from the programs' own help by a test; `UPDATE=1 cargo test --test it manual` refreshes it.\n",
    );
    for command in std::iter::once(None).chain(COMMANDS.iter().map(|command| Some(*command))) {
        let title =
            command.map_or_else(|| "tidegate".to_owned(), |command| format!("tidegate {command}"));
        let text: String = help(home.path(), command)
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect();
        page.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", text.trim_end()));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/cli.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap_or_default(),
        page,
        "run `UPDATE=1 cargo test --test it manual`"
    );
}

#[test]
fn misuse_is_an_error_that_says_where_to_look() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (&["nonsense"][..], "Usage: tidegate <COMMAND>"),
        (&["local", "--port", "many"], "For more information, try '--help'."),
        (&["demo", "--wait", "1d"], "For more information, try '--help'."),
        (&["watch"], "Usage: tidegate watch"),
        (&["run"], "hint: "),
    ] {
        let output = tidegate(home.path()).args(arguments).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(talk.starts_with("error: ") && talk.contains(said), "{arguments:?}: {talk}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_shell_is_told_of_every_command() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = tidegate(home.path()).args(["completion", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
        for word in COMMANDS.iter().chain(&["--until-asked", "--snapshot-mode"]) {
            assert!(script.contains(word.trim_start_matches('-')), "{shell} has no {word}");
        }
    }
}

#[test]
fn completion_scripts_load() {
    let home = tempfile::tempdir().unwrap();
    let script = tidegate(home.path()).args(["completion", "bash"]).output().unwrap().stdout;
    let file = home.path().join("completion.bash");
    fs::write(&file, script).unwrap();
    let loads = Command::new("bash").args(["-n"]).arg(&file).status().unwrap();
    assert!(loads.success());
}
