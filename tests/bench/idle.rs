//! What a daemon costs that has nothing to do.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use tidegate::api::{Run, kind};

use crate::{
    anonymous_mb, report, resident_mb,
    support::{
        git_server::GitServer,
        kubernetes,
        process::{self, Running},
    },
};

/// Polls that are looked at, ten a second.
const POLLS: usize = 100;

/// Returns the CPU time that a process has used.
fn used(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
    let ticks = |at: usize| {
        after
            .split_whitespace()
            .nth(at)
            .and_then(|ticks| ticks.parse::<u64>().ok())
            .unwrap_or_default()
    };
    // User and system time, in hundredths of a second wherever Linux runs.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

pub async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("data/kubeconfig");
    let mut fleet = process::tidegate(folder.path());
    fleet.args(["local", "--data-dir"]).arg(folder.path().join("data"));
    let mut fleet = Running::start(fleet);
    fleet.wait_for("ready");
    let server = GitServer::start().await;
    server.repository.copy("examples-repo/cluster-scoped").commit("first");
    let mut daemon = process::tidegate(folder.path());
    daemon.args(["run", "--engine", "none", "--interval", "100ms", "--repository", &server.url]);
    daemon
        .arg("--token-file")
        .arg(server.file("token"))
        .arg("--ca-file")
        .arg(server.file("ca.pem"));
    daemon.arg("--kubeconfig").arg(&kubeconfig);
    let daemon = Running::start(daemon);
    let hub = kubernetes::client(&kubeconfig, "hub").await;
    let runs: Api<Run> = Api::all_with(hub, &kind::CLUSTER_STAGED_UPDATE_RUN.resource());
    let mut runs = watcher(runs, watcher::Config::default()).applied_objects().boxed();
    runs.try_next().await.unwrap().unwrap();
    let (asked, before) = (polls_of(&server, 20).await, used(daemon.id()));
    let started = Instant::now();
    let after = polls_of(&server, POLLS).await;
    let spent = used(daemon.id()) - before;
    // Each is one request.
    let polls = after - asked;
    let each = spent.as_secs_f64() * 1_000.0 / polls as f64;
    let rate = polls as f64 / started.elapsed().as_secs_f64();
    let what = format!("an idle poll over TLS, {rate:.0} a second: CPU");
    report(&what, &format!("{each:.2} ms"), "Flux: 10 ms (recorded), target: 1 ms");
    let beside = "Flux: 255 MB (recorded), target: 30 MB";
    report(
        "a daemon with nothing to do: resident",
        &format!("{} MB", resident_mb(daemon.id())),
        beside,
    );
    let what = "  of that, not the program's own file";
    report(what, &format!("{} MB", anonymous_mb(daemon.id())), "");
}

/// Waits for some more polls, and returns how many requests the server has had.
async fn polls_of(server: &GitServer, polls: usize) -> usize {
    let until = server.asked() + polls;
    while server.asked() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.asked()
}
