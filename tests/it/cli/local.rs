//! `tidegate local`: what it says, what it refuses, what survives.

use std::{net::TcpListener, path::Path};

use serde_json::Value;
use tidegate::hub::Hub;

use super::crash::client;
use crate::support::{
    hub::{key, patch, until},
    process::{Running, tidegate},
};

fn local(home: &Path, more: &[&str]) -> Running {
    let mut command = tidegate(home);
    command.args(["local", "--data-dir"]).arg(home.join("data")).args(more);
    Running::start(command)
}

#[test]
fn it_says_how_to_reach_the_fleet_and_ends_cleanly() {
    for signal in ["TERM", "INT"] {
        let home = tempfile::tempdir().unwrap();
        let mut fleet = local(home.path(), &["--members", "2"]);
        fleet.wait_for("2 members are ready");
        fleet.wait_for("export KUBECONFIG=");
        let line = fleet.wait_for("member1");
        assert!(
            line.contains("https://127.0.0.1:") && line.contains("environment=canary,order=2"),
            "{line}"
        );
        fleet.wait_for("Press Ctrl-C");
        fleet.signal(signal);
        assert!(fleet.wait().success(), "{signal}: {}", fleet.everything());
    }
}

/// Clusters without an engine are there for somebody else's: no member is made, and another engine finds nobody working.
#[tokio::test(flavor = "multi_thread")]
async fn clusters_alone_leave_everything_to_others() {
    let home = tempfile::tempdir().unwrap();
    let mut clusters = local(home.path(), &["--members", "1", "--engine", "none"]);
    clusters.wait_for("1 member");
    clusters.wait_for("Press Ctrl-C");
    let kubeconfig = home.path().join("data/kubeconfig");
    let hub = Hub::new(client(&kubeconfig).await);
    let members = hub.locate_any("cluster.kubernetes-fleet.io", "MemberCluster").await.unwrap();
    assert_eq!(hub.list_objects(&members, None, None).await.unwrap(), Vec::<Value>::new());
    let mut command = tidegate(home.path());
    command.args(["run", "--engine", "builtin", "--kubeconfig"]).arg(&kubeconfig);
    let mut engine = Running::start(command);
    engine.wait_for("this engine executes runs");
    let mut join = tidegate(home.path());
    join.args(["join", "member1", "--context", "hub", "--member-context", "member1"]);
    let joined = join.env("KUBECONFIG", &kubeconfig).output().unwrap();
    assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    let member = key("cluster.kubernetes-fleet.io", "MemberCluster", "", "member1");
    let found = async || hub.get_object(&member).await.unwrap();
    until(&member, "joined", found, |member| {
        let conditions = member["status"]["conditions"].as_array();
        conditions.is_some_and(|all| {
            all.iter().any(|held| held["type"] == "Joined" && held["status"] == "True")
        })
    })
    .await;
}

#[test]
fn a_data_directory_in_use_is_refused_with_a_hint() {
    let home = tempfile::tempdir().unwrap();
    let mut first = local(home.path(), &["--members", "1"]);
    first.wait_for("ready");
    let second = tidegate(home.path())
        .args(["local", "--data-dir"])
        .arg(home.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains("error: cannot start the fleet") && said.contains("in use"), "{said}");
    assert!(said.contains("hint: ") && said.contains("--data-dir"), "{said}");
}

#[test]
fn a_port_in_use_is_refused_with_a_hint() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = tempfile::tempdir().unwrap();
    let refused = tidegate(home.path())
        .args(["local", "--port", &port, "--data-dir"])
        .arg(home.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port} for `hub`")), "{said}");
    assert!(said.contains("hint: ") && said.contains("--port"), "{said}");
}

/// Kill -9 is no way to end; all the same ports, token, certificates and members come back, and the old kubeconfig works.
#[test]
fn the_same_directory_brings_everything_back() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let kubeconfig = || std::fs::read_to_string(data.join("kubeconfig")).unwrap();
    let mut first = local(home.path(), &["--members", "2"]);
    first.wait_for("2 members are ready");
    let before = kubeconfig();
    std::fs::copy(data.join("kubeconfig"), home.path().join("held")).unwrap();
    first.signal("KILL");
    first.wait();

    let mut fewer = local(home.path(), &["--members", "1"]);
    fewer.wait_for("1 member are ready");
    fewer.signal("TERM");
    fewer.wait();
    let said = fewer.everything();
    assert!(said.contains("member2 is known to the hub and left out now"), "{said}");

    let mut again = local(home.path(), &[]);
    again.wait_for("2 members are ready");
    assert_eq!(kubeconfig(), before);
    let status = tidegate(home.path())
        .args(["status", "-A", "--kubeconfig", "held"])
        .current_dir(home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&status.stderr);
    assert!(
        said.contains("there are no Rollouts on this hub"),
        "the held token and certificate work: {said}"
    );
    again.signal("TERM");
    again.wait();

    let mut more = local(home.path(), &["--members", "3"]);
    more.wait_for("3 members are ready");
    more.wait_for("member3");
}

#[test]
fn a_repository_that_can_never_be_followed_is_refused_before_anything_starts() {
    let home = tempfile::tempdir().unwrap();
    for (address, why) in [
        ("ssh://git@example.com/fleet.git", "only paths, file:// and https:// are supported"),
        ("https://alice:secret@example.com/fleet.git", "credentials do not belong into a URL"),
        ("http://example.com/fleet.git", "clear text"),
    ] {
        let refused = tidegate(home.path())
            .args(["local", address, "--data-dir"])
            .arg(home.path().join("data"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{address}");
        assert!(
            said.starts_with("error: cannot follow the repository") && said.contains(why),
            "{said}"
        );
        assert!(
            said.contains("hint: ") && !said.contains("secret") && refused.stdout.is_empty(),
            "{said}"
        );
    }
}

#[test]
fn a_kubeconfig_of_other_clusters_is_not_written_over() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    let held = r#"{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "prod", "cluster": {"server": "https://prod.example.com"}}], "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "me"}}], "users": [{"name": "me", "user": {}}]}"#;
    std::fs::write(&file, held).unwrap();
    let mut command = tidegate(home.path());
    command.args(["local", "--members", "0", "--data-dir"]).arg(home.path().join("data"));
    let refused = command.arg("--kubeconfig").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("has contexts of other clusters: prod; they would be lost"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), held);
}

/// What may come true later is no reason to end: the hub stays up, and the log says what to do.
#[test]
fn a_repository_that_is_not_there_yet_is_told_with_a_hint() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_string_lossy().into_owned();
    for (name, branch) in [("empty", "main"), ("trunk", "trunk")] {
        let made = std::process::Command::new("git")
            .args(["init", "--quiet", "--initial-branch", branch])
            .arg(path(name))
            .status();
        assert!(made.unwrap().success());
    }
    let mut commit = std::process::Command::new("git");
    crate::support::process::isolate(&mut commit, home.path());
    let identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
    let commit = commit.arg("-C").arg(path("trunk")).args(identity).args([
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "x",
    ]);
    assert!(commit.status().unwrap().success());
    std::fs::create_dir(path("folder")).unwrap();
    for (name, said) in [
        ("nowhere", &["there is nothing at that path", "check the path or URL"][..]),
        (
            "folder",
            &["does not appear to be a git repository", "name the folder that holds `.git`"],
        ),
        ("empty", &["has no commits yet", "push a first commit"]),
        ("trunk", &["has no branch `main`", "there is trunk"]),
    ] {
        let mut fleet = local(home.path(), &["--members", "0", &path(name)]);
        let line = fleet.wait_for("the repository cannot be read");
        assert!(said.iter().all(|said| line.contains(said)), "{name}: {line}");
        fleet.signal("TERM");
        assert!(fleet.wait().success(), "{name}: {}", fleet.everything());
    }
}

#[test]
fn run_ends_cleanly_when_asked() {
    let home = tempfile::tempdir().unwrap();
    let mut fleet = local(home.path(), &["--members", "0"]);
    fleet.wait_for("ready");
    for signal in ["INT", "TERM"] {
        let mut run = tidegate(home.path());
        run.args(["run", "--engine", "none", "--repository", "nowhere", "--kubeconfig"]);
        run.arg(home.path().join("data/kubeconfig")).current_dir(home.path());
        let mut run = Running::start(run);
        run.wait_for("the repository cannot be read");
        run.signal(signal);
        assert!(run.wait().success(), "{signal}: {}", run.everything());
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_the_kubeconfig() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let mut fleet = local(home.path(), &["--members", "1"]);
    fleet.wait_for("ready");
    let mode = std::fs::metadata(home.path().join("data/kubeconfig")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn labels_that_a_user_gave_a_member_are_told_and_kept() {
    use tidegate::{
        engine::Options,
        hub::Hub,
        local::{Fleet, Storage, tutorial_members},
    };
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let storage = Storage::Folder(folder.path().to_owned());
        Fleet::start(storage, tutorial_members(1), Some(Options::default())).await.unwrap()
    };
    let fleet = start().await;
    assert_eq!(fleet.members()[0].labels["environment"], "canary");
    let member = key("cluster.kubernetes-fleet.io", "MemberCluster", "", "member1");
    let labels = serde_json::json!({"metadata": {"labels": {"environment": "production"}}});
    patch(&Hub::new(fleet.hub()), &member, &labels).await;
    fleet.shut_down().await;
    let fleet = start().await;
    assert_eq!(fleet.members()[0].labels["environment"], "production");
    assert_eq!(fleet.members()[0].labels["order"], "2");
    fleet.shut_down().await;
}
