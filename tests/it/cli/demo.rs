//! `tidegate demo`: the promise of the first minute.

use std::fs;

use crate::support::process::tidegate;

#[test]
fn the_demo_comes_true_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let temporary = home.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let output = tidegate(home.path())
        .args(["demo", "--wait", "1s"])
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{talk}");
    for part in [
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
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "leaves something in TMPDIR");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "leaves something in HOME");
}
