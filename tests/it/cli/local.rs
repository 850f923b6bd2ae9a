//! `tidegate local`: what it says, what it refuses, what survives.

use std::{net::TcpListener, path::Path};

use crate::support::process::{Running, tidegate};

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

#[test]
fn the_same_directory_brings_the_same_ports_and_token_back() {
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = || std::fs::read_to_string(home.path().join("data/kubeconfig")).unwrap();
    let mut first = local(home.path(), &["--members", "1"]);
    first.wait_for("ready");
    let before = kubeconfig();
    first.signal("TERM");
    first.wait();
    let mut second = local(home.path(), &["--members", "1"]);
    second.wait_for("ready");
    assert_eq!(kubeconfig(), before);
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
