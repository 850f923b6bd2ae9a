//! What flags and files set is what is done.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::{
    process::{Running, tidegate},
    repository::TestRepository,
};

/// Returns a port that is free now, and so is the next.
fn two_free_ports() -> u16 {
    let mut tries = std::iter::repeat_with(|| {
        let first = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let next = first.checked_add(1)?;
        TcpListener::bind(("127.0.0.1", next)).ok().map(|_| first)
    });
    tries.find_map(|found| found).unwrap()
}

#[test]
fn a_fleet_is_on_the_ports_that_were_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let port = two_free_ports();
    let mut command = tidegate(home.path());
    command.args(["local", "--members", "1", "--port", &port.to_string(), "--data-dir"]);
    let mut fleet = Running::start({
        command.arg(home.path().join("data"));
        command
    });
    for (context, port) in [("hub", port), ("member1", port + 1)] {
        let line = fleet.wait_for(&format!("https://127.0.0.1:{port}"));
        assert!(line.starts_with(context), "{line}");
    }
}

/// A branch that is not main, and a folder that is hidden.
#[test]
fn the_branch_and_the_folder_that_were_named_are_followed() {
    let repository = TestRepository::new();
    repository.copy("examples-repo/cluster-scoped").move_all_to(".fleet");
    repository.replace(".fleet/strategies/example-strategy.yaml", "waitTime: 1m", "waitTime: 1s");
    repository.git(&["switch", "--quiet", "--orphan", "live"]);
    let commit = repository.commit("the fleet");
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = home.path().join("data/kubeconfig");
    let mut command = tidegate(home.path());
    command.arg("local").arg(repository.path()).args(["--ref", "live", "--path", "./.fleet/"]);
    command.arg("--data-dir").arg(home.path().join("data"));
    let mut fleet = Running::start(command);
    let said = fleet.wait_for("Following branch live");
    assert!(said.contains("Who may approve is what policy/allowed_signers says"), "{said}");
    let mut watch = tidegate(home.path());
    watch.args(["watch", "web", "--until-asked", "--kubeconfig"]).arg(&kubeconfig);
    let watch = watch.output().unwrap();
    assert!(watch.status.success(), "{}", String::from_utf8_lossy(&watch.stderr));
    let mut status = tidegate(home.path());
    status.args(["status", "web", "-o", "json", "--kubeconfig"]).arg(&kubeconfig);
    let status: Value = serde_json::from_slice(&status.output().unwrap().stdout).unwrap();
    let source = &status["status"]["source"];
    assert_eq!(source["ref"], "live");
    assert_eq!(source["folder"], ".fleet");
    assert_eq!(source["commit"], commit.as_str());
}

#[test]
fn flags_win_over_the_file() {
    let home = tempfile::tempdir().unwrap();
    let mut command = tidegate(home.path());
    command.args(["local", "--members", "0", "--data-dir"]).arg(home.path().join("data"));
    let mut fleet = Running::start(command);
    fleet.wait_for("ready");
    let config = home.path().join("config.yaml");
    std::fs::write(&config, "kubeconfig: nothing\ncontext: nobody\nengine: fleet\nrepositories:\n- url: ./of-the-file\n").unwrap();
    let with = |more: &[&str]| {
        let mut command = tidegate(home.path());
        command.current_dir(home.path()).arg("run").arg("--config").arg(&config).args(more);
        command
    };
    for (more, said) in [
        (&[][..], "nothing"),
        (&["--kubeconfig", "data/kubeconfig"], "has no context `nobody`"),
        (&["--kubeconfig", "data/kubeconfig", "--context", "hub"], "of-the-file"),
        (
            &[
                "--kubeconfig",
                "data/kubeconfig",
                "--context",
                "hub",
                "--repository",
                "./of-the-flag",
            ],
            "of-the-flag",
        ),
        (
            &[
                "--kubeconfig",
                "data/kubeconfig",
                "--context",
                "hub",
                "--repository",
                "./of-the-flag",
                "--engine",
                "builtin",
            ],
            "standing by: `tidegate-local` executes runs",
        ),
    ] {
        let mut run = Running::start(with(more));
        run.wait_for(said);
        assert!(
            !run.everything().contains("of-the-file") || said == "of-the-file",
            "{}",
            run.everything()
        );
    }
}
