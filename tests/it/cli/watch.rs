//! `tidegate watch` over a hub that dies and comes back.

use std::path::Path;

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
