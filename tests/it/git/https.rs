//! A repository on a server, followed.

use std::fs;

use tidegate::git::{Class, Limits, Poll, Remote, Repository};

use crate::support::git_server::GitServer;

async fn poll(
    repository: &Repository,
    known: Option<tidegate::model::CommitId>,
) -> Result<Poll, tidegate::git::GitError> {
    let repository = repository.clone();
    tokio::task::spawn_blocking(move || repository.poll(known.as_ref())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_mirrored_and_asked_only_once_when_nothing_changed() {
    let server = GitServer::start().await;
    let first = server.repository.write("fleet/a.yaml", "one").commit("first");
    let followed = server.follow(Some("token"));
    assert_eq!(poll(&followed, None).await.unwrap(), Poll::Tip(first.clone()));
    let file = |commit| {
        followed.file(commit, "fleet", "a.yaml", Limits::default()).unwrap().unwrap().bytes
    };
    assert_eq!(file(&first), b"one");

    let packs = || fs::read_dir(server.file("mirror/objects/pack")).unwrap().count();
    let (before, asked) = (packs(), server.asked());
    assert_eq!(poll(&followed, Some(first.clone())).await.unwrap(), Poll::Unchanged);
    assert_eq!(packs(), before, "nothing is written");
    assert_eq!(server.asked() - asked, 1, "one request for an idle poll");

    let second = server.repository.write("fleet/a.yaml", "two").commit("second");
    assert_eq!(poll(&followed, Some(first.clone())).await.unwrap(), Poll::Tip(second.clone()));
    assert_eq!(file(&second), b"two");
    assert_eq!(server.connected(), 1, "all over one connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_and_never_shown() {
    let server = GitServer::start().await;
    server.repository.write("a", "1").commit("first");
    fs::write(server.file("wrong"), "hunter2").unwrap();
    for token in [None, Some("wrong"), Some("missing")] {
        let error = poll(&server.follow(token), None).await.unwrap_err();
        assert_eq!(error.class, Class::Refused, "{token:?}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_an_unknown_authority_is_not_trusted() {
    let server = GitServer::start().await;
    server.repository.write("a", "1").commit("first");
    let remote = Remote::parse(&server.url, Some(server.file("token")), None).unwrap();
    let followed = Repository::new(remote, "main", server.file("mirror"));
    let error = poll(&followed, None).await.unwrap_err();
    assert_eq!(error.class, Class::Untrusted, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_not_there_is_said_with_those_that_are() {
    let server = GitServer::start().await;
    let follow = || {
        let mirror = server.file("mirror");
        Repository::new(server.follow(Some("token")).remote().clone(), "live", mirror)
    };
    let empty = poll(&follow(), None).await.unwrap_err();
    assert_eq!(empty.class, Class::Empty, "{empty}");
    server.repository.write("a", "1").commit("first");
    let missing = poll(&follow(), None).await.unwrap_err();
    assert_eq!(missing.class, Class::NoSuchRef { known: vec!["main".to_owned()] }, "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_there_is_told_from_a_server_that_is_not() {
    let server = GitServer::start().await;
    server.repository.write("a", "1").commit("first");
    let follow = |url: String| {
        let file = |name: &str| Some(server.file(name));
        let remote = Remote::parse(&url, file("token"), file("ca.pem")).unwrap();
        Repository::new(remote, "main", server.file("mirror"))
    };
    fs::rename(server.repository.path().join(".git"), server.repository.path().join("gone"))
        .unwrap();
    let error = poll(&follow(server.url.clone()), None).await.unwrap_err();
    assert_eq!(error.class, Class::NotThere, "{error}");
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = poll(&follow(format!("https://localhost:{port}/404.git")), None).await.unwrap_err();
    assert_eq!(error.class, Class::Unreachable, "{error}");
    assert!(error.is_passing());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_was_lost_is_fetched_again() {
    let server = GitServer::start().await;
    let first = server.repository.write("a", "1").commit("first");
    let followed = server.follow(Some("token"));
    let mirror = server.file("mirror");
    poll(&followed, None).await.unwrap();
    // What a process leaves that was killed while it put a fresh mirror in place.
    fs::rename(&mirror, mirror.with_extension("old")).unwrap();
    fs::create_dir(mirror.with_extension("new")).unwrap();
    fs::write(mirror.with_extension("new").join("HEAD"), "half").unwrap();
    assert_eq!(poll(&followed, Some(first.clone())).await.unwrap(), Poll::Unchanged);
    assert_eq!(followed.commit(&first).unwrap().subject, "first");
    assert!(!mirror.with_extension("old").exists() && !mirror.with_extension("new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_another_sends_us_to_gets_no_token() {
    let other = GitServer::start().await;
    other.repository.write("a", "1").commit("first");
    let server = GitServer::sending_to(&other.url).await;
    let authority = |server: &GitServer| fs::read(server.file("ca.pem")).unwrap();
    let both = [authority(&server), authority(&other)].concat();
    fs::write(server.file("ca.pem"), both).unwrap();
    let error = poll(&server.follow(Some("token")), None).await.unwrap_err();
    assert_eq!(error.class, Class::Refused, "{error}");
    assert!(other.asked() > 0, "it was sent there");
    assert_eq!(other.trusted(), 0, "without credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_another_sends_us_to_is_read() {
    let other = GitServer::open().await;
    let first = other.repository.write("a", "1").commit("first");
    let server = GitServer::sending_to(&other.url).await;
    let authority = |server: &GitServer| fs::read(server.file("ca.pem")).unwrap();
    let both = [authority(&server), authority(&other)].concat();
    fs::write(server.file("ca.pem"), both).unwrap();
    assert_eq!(poll(&server.follow(None), None).await.unwrap(), Poll::Tip(first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_renamed_is_followed_with_the_token() {
    let server = GitServer::start().await;
    let first = server.repository.write("a", "1").commit("first");
    let file = |name: &str| Some(server.file(name));
    let old = server.url.replace("/fleet.git", "/old.git");
    let remote = Remote::parse(&old, file("token"), file("ca.pem")).unwrap();
    let followed = Repository::new(remote, "main", server.file("mirror"));
    assert_eq!(poll(&followed, None).await.unwrap(), Poll::Tip(first));
}

/// Not in clear text, and not without an end.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_sends_us_astray_is_not_followed() {
    for astray in ["http://localhost:1/fleet.git", "/fleet.git"] {
        let server = GitServer::sending_to(astray).await;
        let error = poll(&server.follow(None), None).await.unwrap_err();
        assert_eq!(error.class, Class::Unreachable, "{error}");
        assert!(error.to_string().contains("sent "), "{error}");
    }
}

/// A public repository is read without credentials, and whoever has a token for nothing does not show it.
#[tokio::test(flavor = "multi_thread")]
async fn a_public_repository_is_read_without_a_token() {
    let server = GitServer::open().await;
    let first = server.repository.write("a", "1").commit("first");
    for token in [None, Some("token")] {
        let followed = server.follow(token);
        assert_eq!(poll(&followed, None).await.unwrap(), Poll::Tip(first.clone()));
    }
    assert_eq!(server.trusted(), 0, "nobody asked for credentials");
    // One question for what the server can do, and one for the branch.
    let asked = server.asked();
    let followed = server.follow(Some("token"));
    assert_eq!(poll(&followed, Some(first.clone())).await.unwrap(), Poll::Unchanged);
    assert_eq!(server.asked() - asked, 2, "requests of a first poll");
    assert_eq!(poll(&followed, Some(first)).await.unwrap(), Poll::Unchanged);
    assert_eq!(server.asked() - asked, 3, "requests of another one");
    assert_eq!(server.trusted(), 0, "nobody asked for credentials");
}

/// What is asked in one request is a command of the protocol's second version.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_first_version_is_asked_in_full() {
    let server = GitServer::old().await;
    let first = server.repository.write("a", "1").commit("first");
    let followed = server.follow(None);
    assert_eq!(poll(&followed, None).await.unwrap(), Poll::Tip(first.clone()));
    let mut asked = vec![server.asked()];
    for _ in 0..3 {
        assert_eq!(poll(&followed, Some(first.clone())).await.unwrap(), Poll::Unchanged);
        asked.push(server.asked());
    }
    let each: Vec<usize> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(each, [2, 1, 1], "tried once, and then no more");
    let second = server.repository.write("a", "2").commit("second");
    assert_eq!(poll(&followed, Some(first)).await.unwrap(), Poll::Tip(second));
}

/// Tokens end, and servers close what was open.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_read_again_for_every_poll() {
    let server = GitServer::start().await;
    let first = server.repository.write("a", "1").commit("first");
    let token = fs::read(server.file("token")).unwrap();
    fs::write(server.file("mine"), &token).unwrap();
    let followed = server.follow(Some("mine"));
    assert_eq!(poll(&followed, None).await.unwrap(), Poll::Tip(first.clone()));
    fs::write(server.file("mine"), "ended").unwrap();
    for _ in 0..2 {
        let error = poll(&followed, Some(first.clone())).await.unwrap_err();
        assert_eq!(error.class, Class::Refused, "{error}");
    }
    fs::write(server.file("mine"), &token).unwrap();
    let asked = server.asked();
    assert_eq!(poll(&followed, Some(first)).await.unwrap(), Poll::Unchanged);
    assert_eq!(server.asked() - asked, 1, "in one request again");
}

/// Two folders of one repository, and two processes on one machine, keep the same mirror.
#[tokio::test(flavor = "multi_thread")]
async fn many_that_follow_one_server_share_a_mirror() {
    let server = GitServer::start().await;
    let mut tip = server.repository.write("a", "0").commit("first");
    let followers: Vec<Repository> = (0..6).map(|_| server.follow(Some("token"))).collect();
    for round in 1..4 {
        let polls = followers.iter().map(|followed| poll(followed, None));
        for found in futures::future::join_all(polls).await {
            assert_eq!(found.unwrap(), Poll::Tip(tip.clone()), "round {round}");
        }
        for followed in &followers {
            assert_eq!(followed.commit(&tip).unwrap().id, tip);
        }
        tip = server.repository.write("a", &round.to_string()).commit("next");
    }
}
