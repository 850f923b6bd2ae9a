//! `tidegate watch` over a hub that dies and comes back.

use std::path::Path;

use tidegate::model::CommitId;

use crate::support::{
    process::{Running, tidegate},
    repository::TestRepository,
};

fn local(home: &Path, repository: &TestRepository) -> Running {
    let mut command = tidegate(home);
    command.arg("local").arg(repository.path()).arg("--data-dir").arg(home.join("data"));
    let mut local = Running::start(command);
    local.wait_for("ready");
    local
}

#[test]
fn watching_goes_on_when_the_hub_does() {
    let repository = TestRepository::new();
    repository.copy("examples-repo/cluster-scoped");
    repository.replace("strategies/example-strategy.yaml", "waitTime: 1m", "waitTime: 1s");
    let commit = repository.commit("the fleet");
    let home = tempfile::tempdir().unwrap();
    let with_hub = |arguments: &[&str]| {
        let mut command = tidegate(home.path());
        command.args(arguments).arg("--kubeconfig").arg(home.path().join("data/kubeconfig"));
        command
    };

    let mut first = local(home.path(), &repository);
    let mut watch = Running::start(with_hub(&["watch", "web", "--commit", commit.as_str()]));
    watch.wait_for("canary: waits for approval");
    first.signal("KILL");
    first.wait();
    watch.wait_for("the hub does not answer; still trying");

    let _second = local(home.path(), &repository);
    let approved = with_hub(&["approve", "web", "--patch"]).output().unwrap();
    assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
    watch.wait_for("is on all 3 clusters");
    assert!(watch.wait().success(), "{}", watch.everything());
}

/// Somebody who may wait for so long, and no longer: also when nobody answers.
#[test]
fn a_hub_that_does_not_answer_takes_no_more_time_than_given() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let home = tempfile::tempdir().unwrap();
    let server = format!("https://{}", silent.local_addr().unwrap());
    let kubeconfig = home.path().join("config");
    let text = format!(
        r#"{{"apiVersion": "v1", "kind": "Config", "current-context": "hub",
        "clusters": [{{"name": "hub", "cluster": {{"server": "{server}"}}}}],
        "contexts": [{{"name": "hub", "context": {{"cluster": "hub", "user": "me"}}}}],
        "users": [{{"name": "me", "user": {{"token": "x"}}}}]}}"#
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let mut command = tidegate(home.path());
    command.args(["watch", "web", "--timeout", "200ms", "--kubeconfig"]).arg(&kubeconfig);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("still no answer from the hub"), "{said}");
}

/// Nobody reads, or nothing can be written: `watch` ends, and does not fall over.
#[cfg(target_os = "linux")]
#[test]
fn watching_ends_when_nobody_can_read_it() {
    let repository = TestRepository::new();
    repository.copy("examples-repo/cluster-scoped");
    repository.commit("the fleet");
    let home = tempfile::tempdir().unwrap();
    let _fleet = local(home.path(), &repository);
    let watch = || {
        let mut command = tidegate(home.path());
        command.args(["watch", "web", "--kubeconfig"]).arg(home.path().join("data/kubeconfig"));
        command.stderr(std::process::Stdio::piped());
        command
    };
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = watch().stdout(full).spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: cannot write to stdout"), "{said}");

    let mut reader = watch().stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(reader.stdout.take());
    assert!(reader.wait().unwrap().success());
}

/// A commit that the daemon does not know: whoever waits for it is told how far the branch is read.
#[test]
fn a_commit_that_never_comes_is_waited_for_with_a_word() {
    let repository = TestRepository::new();
    repository.copy("examples-repo/cluster-scoped");
    let tip = repository.commit("the fleet");
    let home = tempfile::tempdir().unwrap();
    let _fleet = local(home.path(), &repository);
    let mut command = tidegate(home.path());
    command.args(["watch", "web", "--commit", "0123456789abcdef", "--kubeconfig"]);
    command.arg(home.path().join("data/kubeconfig"));
    let mut watch = Running::start(command);
    let said = watch.wait_for("still waiting for commit");
    let told = format!(
        "is read up to {}, and it is not among the newest commits there; is it pushed?",
        tip.short()
    );
    assert!(said.contains(&told), "{said}");
}

/// A pipeline asks after every push, also after one that changes nothing for the Rollout: it is told so, and how the Rollout
/// stands then.
#[test]
fn a_commit_that_changes_nothing_is_not_waited_for() {
    let repository = TestRepository::new();
    repository.copy("examples-repo/cluster-scoped");
    repository.replace("strategies/example-strategy.yaml", "waitTime: 1m", "waitTime: 1s");
    let first = repository.commit("the fleet");
    let home = tempfile::tempdir().unwrap();
    let _fleet = local(home.path(), &repository);
    let with_hub = |arguments: &[&str]| {
        let mut command = tidegate(home.path());
        command.args(arguments).arg("--kubeconfig").arg(home.path().join("data/kubeconfig"));
        let output = command.output().unwrap();
        let [out, said] = [output.stdout, output.stderr].map(|b| String::from_utf8(b).unwrap());
        (output.status.code(), out, said)
    };
    let watch = |commit: &str, more: &[&str]| {
        let asked = ["watch", "web", "--timeout", "1m", "--commit", commit];
        with_hub(&[&asked[..], more].concat())
    };
    let nothing =
        |commit: &CommitId| format!("commit {} changes nothing of default/web\n", commit.short());
    assert_eq!(watch(first.as_str(), &["--until-asked"]).0, Some(0));
    assert_eq!(with_hub(&["approve", "web", "--patch"]).0, Some(0));
    assert_eq!(watch(first.as_str(), &[]).0, Some(0));

    // Everything is as it wants.
    let words = repository.write("README.md", "words\n").commit("words");
    let (code, out, said) = watch(&words.as_str()[..10], &[]);
    assert_eq!((code, said), (Some(0), nothing(&words)), "{out}");
    assert!(out.contains(&format!("{}  ", first.short())), "{out}");
    assert!(out.contains("is on all 3 clusters"), "{out}");

    // What it wants is on its way: that is followed.
    repository.replace("apps/web/manifests/configmap.yaml", "value1", "value2");
    let second = repository.commit("value2");
    assert_eq!(watch(second.as_str(), &["--until-asked"]).0, Some(0));
    let more = repository.write("README.md", "more words\n").commit("more words");
    let (code, out, said) = watch(more.as_str(), &["--until-asked"]);
    assert_eq!(code, Some(0), "{out}{said}");
    assert!(said.starts_with(&nothing(&more)), "{said}");
    assert!(said.ends_with("approve it with: tidegate approve default/web\n"), "{said}");
    assert!(out.contains(&format!("{}  ", second.short())), "{out}");
    let (_, page, _) = with_hub(&["status", "web"]);
    assert!(page.contains(&format!("up to {}\n", more.short())), "{page}");

    // Somebody has to accept rewritten history first.
    repository.git(&["reset", "--quiet", "--hard", first.as_str()]);
    let rewritten = repository.write("README.md", "other words\n").commit("other words");
    let (code, out, said) = watch(rewritten.as_str(), &[]);
    assert_eq!(code, Some(1), "{out}{said}");
    assert!(said.contains("nothing changes until somebody accepts it"), "{out}{said}");
}
