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
fn the_head_and_full_names_are_followed_too() {
    let test = TestRepository::new();
    for name in ["HEAD", "refs/heads/main"] {
        assert_eq!(follow(&test.path(), name).poll(None).unwrap_err().class, Class::Empty);
    }
    let first = test.write("a", "1").commit("first");
    test.git(&["tag", "-a", "-m", "annotated", "v1"]);
    for name in ["HEAD", "refs/heads/main", "refs/tags/v1"] {
        assert_eq!(follow(&test.path(), name).poll(None).unwrap(), Poll::Tip(first.clone()));
    }
}

#[test]
fn a_repository_that_vanishes_and_returns_is_read_again() {
    let test = TestRepository::new();
    let first = test.write("a", "1").commit("first");
    let followed = follow(&test.path(), "main");
    assert_eq!(followed.poll(None).unwrap(), Poll::Tip(first.clone()));
    assert_eq!(followed.poll(Some(&first)).unwrap(), Poll::Unchanged);
    let aside = test.path().with_extension("aside");
    fs::rename(test.path(), &aside).unwrap();
    assert_eq!(followed.poll(Some(&first)).unwrap_err().class, Class::NotThere);
    fs::rename(&aside, test.path()).unwrap();
    assert_eq!(followed.poll(Some(&first)).unwrap(), Poll::Unchanged);
    let second = test.write("a", "2").commit("second");
    test.git(&["gc", "--quiet", "--prune=now"]);
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

/// Who may approve is judged commit by commit: a child before its parent would be judged by the wrong policy.
#[test]
fn every_commit_of_a_range_comes_after_its_parents() {
    let test = TestRepository::new();
    let first = test.write("a", "1").commit("first");
    let near = test.write("a", "2").commit("near");
    test.git(&["switch", "--quiet", "-c", "long"]);
    let far: Vec<_> = (0..3).map(|n| test.write("b", &n.to_string()).commit("far")).collect();
    test.git(&["switch", "--quiet", "main"]);
    test.git(&["merge", "--quiet", "--no-ff", "--no-edit", "long"]);
    let followed = follow(&test.path(), "main");
    let Relation::Ahead(commits) = followed.relation(&first, &test.head()).unwrap() else {
        panic!("ahead")
    };
    let expected: Vec<_> = [near].into_iter().chain(far).chain([test.head()]).collect();
    assert_eq!(commits, expected);
}

#[test]
fn trailers_of_a_message_are_read() {
    let test = TestRepository::new();
    let id = test.write("a", "1").commit("subject\n\nbody\n\nTidegate-Approve: web x\nSee: there");
    let commit = follow(&test.path(), "main").commit(&id).unwrap();
    assert_eq!(commit.subject, "subject");
    let expected = [("Tidegate-Approve", "web x"), ("See", "there")];
    assert_eq!(commit.trailers, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
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
        (Limits { total_bytes: 2, ..Limits::default() }, "in all files"),
        (Limits { entries: 2, ..Limits::default() }, "more than 2 files and folders"),
    ] {
        let error = read(limits).unwrap_err();
        assert_eq!(error.class, Class::TooLarge);
        assert!(error.to_string().contains(part), "{error}");
    }
    let small = Limits { file_bytes: 1, ..Limits::default() };
    let told: Vec<_> = read(small)
        .unwrap()
        .into_iter()
        .map(|file| (file.path, file.bytes.len(), file.too_large))
        .collect();
    assert_eq!(told, [("a.yaml".to_owned(), 1, false), ("deep/b.yaml".to_owned(), 0, true)]);
    let error = followed.file(&commit, "fleet", "deep/b.yaml", small).unwrap_err();
    assert!(error.to_string().contains("`deep/b.yaml` has 2 bytes"), "{error}");
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
    // The index of a work tree is as large as the repository, and of no use here.
    fs::write(test.path().join(".git/index"), "nobody reads this").unwrap();
    assert_eq!(changed("."), ["fleet/b", "fleet/d/e", "other/c"]);
}

#[test]
fn what_changes_its_type_is_a_changed_path() {
    let test = TestRepository::new();
    let first = test.write("file", "1").write("folder/a", "1").commit("first");
    fs::remove_file(test.path().join("file")).unwrap();
    fs::remove_dir_all(test.path().join("folder")).unwrap();
    let second = test.write("file/a", "1").write("folder", "1").commit("second");
    let followed = follow(&test.path(), "main");
    let changed = followed.changed_paths(&first, &second, ".").unwrap();
    assert_eq!(changed.into_iter().collect::<Vec<_>>(), ["file", "file/a", "folder", "folder/a"]);
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
    for name in ["no such", "a..b", "main:other", "*", "", "-x/"] {
        let bad = follow(&test.path(), name).poll(None).unwrap_err();
        assert_eq!(bad.class, Class::BadRef, "{name}: {bad}");
    }
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
    let beside = |name: &str| test.path().with_file_name(name);
    let (bare, linked) = (beside("bare.git"), beside("linked"));
    test.git(&["clone", "--quiet", "--bare", ".", &bare.to_string_lossy()]);
    test.git(&["remote", "add", "origin", &bare.to_string_lossy()]);
    test.git(&["worktree", "add", "--quiet", "-b", "side", &linked.to_string_lossy()]);
    let mut watches = [test.path(), bare, linked].map(|path| Watch::start(&path).expect("watched"));
    test.write("a", "2").commit("second");
    test.git(&["push", "--quiet", "origin", "main"]);
    for watch in &mut watches {
        let told = tokio::time::timeout(crate::support::process::PATIENCE, watch.changed());
        told.await.expect("told");
    }
}
