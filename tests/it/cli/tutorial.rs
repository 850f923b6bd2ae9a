//! The tutorial that the product implements, typed with the real kubectl against `tidegate local`.

use std::path::Path;

use crate::support::{
    process::{Running, kubectl, tidegate},
    transcript,
};

const TABS: [&str; 2] = ["tutorial-cluster.txt", "tutorial-namespace.txt"];

/// Each tab has a fleet of its own: most of the time goes by in the minutes that the tutorial waits.
#[test]
fn both_tabs_of_the_tutorial() {
    let Some(kubectl) = kubectl("the tutorial on `tidegate local`") else { return };
    std::thread::scope(|threads| {
        for tab in TABS {
            threads.spawn(|| play(tab, &kubectl));
        }
    });
}

fn play(tab: &str, kubectl: &Path) {
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = home.path().join("kubeconfig");
    let mut command = tidegate(home.path());
    command.args(["local", "--data-dir"]).arg(home.path().join("data"));
    command.arg("--kubeconfig").arg(&kubeconfig);
    let mut local = Running::start(command);
    local.wait_for("ready");
    transcript::run(tab, home.path(), kubectl, &kubeconfig);
    local.signal("TERM");
    assert!(local.wait().success(), "ends cleanly:\n{}", local.everything());
}
