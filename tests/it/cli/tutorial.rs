//! The tutorial that the product implements, typed with the real kubectl against `tidegate local`.

use std::{path::Path, time::Duration};

use crate::support::{
    process::{Running, kubectl, say_skipped, tidegate},
    transcript,
};

/// Above the one-minute wait that the page asks for.
const PATIENCE: Duration = Duration::from_secs(90);

fn play(transcript: &str) {
    let Some(kubectl) = kubectl() else {
        say_skipped(transcript, "no kubectl in KUBEBUILDER_ASSETS or PATH; .ci/run provides one");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = home.path().join("kubeconfig");
    let mut command = tidegate(home.path());
    command
        .args(["local", "--data-dir"])
        .arg(home.path().join("data"))
        .arg("--kubeconfig")
        .arg(&kubeconfig);
    let mut local = Running::start(command);
    local.wait_for("ready");

    let path = std::env::join_paths(
        std::iter::once(kubectl.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let environment = [
        ("KUBECONFIG", kubeconfig.to_string_lossy().into_owned()),
        ("PATH", path.unwrap().to_string_lossy().into_owned()),
    ];
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(transcript);
    transcript::run(&file, home.path(), &environment, PATIENCE);

    local.signal("TERM");
    assert!(local.wait().success(), "ends cleanly:\n{}", local.everything());
}

#[test]
fn the_tutorials_cluster_scoped_tab() {
    play("tutorial-cluster.txt");
}

#[test]
fn the_tutorials_namespace_scoped_tab() {
    play("tutorial-namespace.txt");
}
