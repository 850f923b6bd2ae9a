//! Following a branch: tips, ranges, trees, and what is said when there is nothing to follow.

use std::fs;

use tidegate::{
    git::{Class, Limits, Poll, Relation, Remote, Repository, watch::Watch},
    model::Hint,
};

use crate::support::repository::TestRepository;

fn follow(path: &std::path::Path, branch: &str) -> Repository {
    Repository::new(Remote::Local(path.to_owned()), branch, "unused")
}

#[test]
fn a_tip_is_told_once() {
    let test = TestRepository::new();
    let first = test.write("a", "1").commit("first");
    let followed = follow(&test.path(), "main");
    assert_eq!(followed.poll(None).unwrap(), Poll::Tip(first.clone()));
    assert_eq!(followed.poll(Some(&first)).unwrap(), Poll::Unchanged);
    let second = test.write("a", "2").commit("second");
    assert_eq!(followed.poll(Some(&first)).unwrap(), Poll::Tip(second));
}

#[test]
fn packed_branches_and_bare_repositories_are_read() {
    let test = TestRepository::new();
    let first = test.write("a", "1").commit("first");
    test.git(&["pack-refs", "--all"]);
    test.git(&["gc", "--quiet"]);
    assert_eq!(follow(&test.path(), "main").poll(None).unwrap(), Poll::Tip(first.clone()));
    let bare = tempfile::tempdir().unwrap();
    test.git(&["clone", "--quiet", "--bare", ".", &bare.path().join("b.git").to_string_lossy()]);
    assert_eq!(follow(&bare.path().join("b.git"), "main").poll(None).unwrap(), Poll::Tip(first));
}

#[test]
fn ranges_have_every_commit_and_rewrites_are_noticed() {
    let test = TestRepository::new();
    let first = test.write("a", "1").commit("first");
    test.git(&["switch", "--quiet", "-c", "side"]);
    let side = test.write("b", "1").commit("side");
    test.git(&["switch", "--quiet", "main"]);
    let second = test.write("a", "2").commit("second");
    test.git(&["merge", "--quiet", "--no-ff", "--no-edit", "side"]);
    let merge = test.head();
    let followed = follow(&test.path(), "main");
    let Relation::Ahead(commits) = followed.relation(&first, &merge).unwrap() else {
        panic!("ahead")
    };
    assert_eq!(commits.last(), Some(&merge));
    let mut sorted = commits.clone();
    sorted.sort();
    let mut expected = vec![side.clone(), second.clone(), merge.clone()];
    expected.sort();
    assert_eq!(sorted, expected, "not only the first parents");
    assert_eq!(followed.relation(&merge, &first).unwrap(), Relation::Behind);
    assert_eq!(followed.relation(&second, &side).unwrap(), Relation::Diverged);
    assert_eq!(followed.relation(&first, &first).unwrap(), Relation::Same);
}

#[test]
fn files_come_from_one_folder_within_limits() {
    let test = TestRepository::new();
    test.write("fleet/a.yaml", "a").write("fleet/deep/b.yaml", "bb").write("other/c.yaml", "c");
    let commit = test.commit("files");
    let followed = follow(&test.path(), "main");
    let read =
        |limits: Limits| followed.files(&commit, "fleet", limits, |path| path.ends_with(".yaml"));
    let paths: Vec<String> =
        read(Limits::default()).unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(paths, ["a.yaml", "deep/b.yaml"]);
    for (limits, part) in [
        (Limits { files: 1, ..Limits::default() }, "more than 1 files"),
        (Limits { file_bytes: 1, ..Limits::default() }, "`deep/b.yaml` has 2 bytes"),
        (Limits { total_bytes: 2, ..Limits::default() }, "in all files"),
        (Limits { depth: 0, ..Limits::default() }, "folders deep"),
    ] {
        let error = read(limits).unwrap_err();
        assert_eq!(error.class, Class::TooLarge);
        assert!(error.to_string().contains(part), "{error}");
    }
    let file = |path| {
        followed.file(&commit, "fleet", path, Limits::default()).unwrap().map(|file| file.bytes)
    };
    assert_eq!((file("a.yaml"), file("nothing")), (Some(b"a".to_vec()), None));
}

#[test]
fn changed_paths_are_those_of_the_folder() {
    let test = TestRepository::new();
    let first =
        test.write("fleet/a", "1").write("fleet/b", "1").write("other/c", "1").commit("first");
    fs::remove_file(test.path().join("fleet/b")).unwrap();
    let second = test.write("fleet/d/e", "1").write("other/c", "2").commit("second");
    let followed = follow(&test.path(), "main");
    let changed = |folder| {
        followed.changed_paths(&first, &second, folder).unwrap().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(changed("fleet"), ["b", "d/e"]);
    assert_eq!(changed("other"), ["c"]);
    assert_eq!(changed("."), ["fleet/b", "fleet/d/e", "other/c"]);
}

#[test]
fn what_cannot_be_followed_is_said_with_a_hint() {
    let test = TestRepository::new();
    let empty = follow(&test.path(), "main").poll(None).unwrap_err();
    assert_eq!(empty.class, Class::Empty, "{empty}");
    test.write("a", "1").commit("first");
    let branch = follow(&test.path(), "live").poll(None).unwrap_err();
    assert_eq!(branch.class, Class::NoSuchRef { known: vec!["main".into()] }, "{branch}");
    assert!(branch.hint().unwrap().contains("there is main"));
    let folder = tempfile::tempdir().unwrap();
    let nothing = follow(&folder.path().join("nothing"), "main").poll(None).unwrap_err();
    assert_eq!(nothing.class, Class::NotThere, "{nothing}");
    let plain = follow(folder.path(), "main").poll(None).unwrap_err();
    assert_eq!(plain.class, Class::NotARepository, "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_local_repository_is_told_at_once() {
    let test = TestRepository::new();
    test.write("a", "1").commit("first");
    let mut watch = Watch::start(&test.path()).expect("can be watched");
    test.write("a", "2").commit("second");
    tokio::time::timeout(crate::support::process::PATIENCE, watch.changed()).await.expect("told");
}
