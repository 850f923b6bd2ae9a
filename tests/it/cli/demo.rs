//! `tidegate demo`: the promise of the first minute.

use std::{fs, path::Path, process::Command};

use crate::support::process::{Running, tidegate};

/// The demo, on a machine that has these programs and no other.
fn demo(home: &Path, programs: &[&str]) -> Command {
    let folder = home.join("bin");
    fs::create_dir(&folder).unwrap();
    for program in programs {
        let found =
            Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        std::os::unix::fs::symlink(found.trim(), folder.join(program)).unwrap();
    }
    let mut demo = tidegate(home);
    demo.arg("demo").env("TMPDIR", home.join("tmp")).env("PATH", folder);
    demo
}

fn assert_nothing_is_left(home: &Path) {
    assert_eq!(fs::read_dir(home.join("tmp")).unwrap().count(), 0, "leaves something in TMPDIR");
    assert_eq!(fs::read_dir(home).unwrap().count(), 2, "leaves something in HOME");
}

#[test]
fn a_demo_that_cannot_come_true_says_why_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("tmp")).unwrap();
    let output = demo(home.path(), &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: cannot run git") && said.contains("hint: install git"), "{said}");
    assert_nothing_is_left(home.path());
}

#[test]
fn a_demo_that_is_interrupted_has_not_come_true_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("tmp")).unwrap();
    let mut demo = demo(home.path(), &["git", "sh"]);
    demo.args(["--wait", "1h"]);
    let mut demo = Running::start(demo);
    demo.wait_for("staging: member2 is updated");
    demo.signal("INT");
    let status = demo.wait();
    assert_eq!(status.code(), Some(1), "{}", demo.everything());
    assert!(demo.everything().contains("error: interrupted"), "{}", demo.everything());
    assert_nothing_is_left(home.path());
}

#[test]
fn the_demo_comes_true_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("tmp")).unwrap();
    let output = demo(home.path(), &["git", "sh"]).args(["--wait", "1s"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{talk}");
    for part in [
        "policy/allowed_signers of the first commit that the daemon sees",
        "staging: member2 is updated",
        "canary: waits for approval",
        "$ git revert",
        "MEMBER    BEFORE THE REVERT   AFTER",
        "member1   value2              value1",
        "member2   value2              value1",
        "member3   value2              value1",
        "no new snapshot",
    ] {
        assert!(said.contains(part), "no {part:?} in:\n{said}\n{talk}");
    }
    let place = |part: &str| said.find(part).unwrap_or_else(|| panic!("no {part:?} in:\n{said}"));
    assert!(
        place("canary: member3 is updated") < place("canary: member1 is updating"),
        "one by one:\n{said}"
    );
    assert_nothing_is_left(home.path());
}
