//! How long until the embedded hub answers.

use std::time::Instant;

use tidegate::{
    apiserver::{ApiServer, Options},
    local::tutorial_members,
};

use crate::{fleet, median, report, seconds};

pub async fn measure() {
    let mut alone = Vec::new();
    for _ in 0..9 {
        let started = Instant::now();
        let server = ApiServer::open(Options::default()).await.unwrap();
        let client = kube::Client::new(server.clone(), "default");
        client.apiserver_version().await.unwrap();
        alone.push(started.elapsed());
        server.shutdown().await;
    }
    report("API server in memory: opened and answering", &seconds(median(alone)), "");
    let mut whole = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        let fleet = fleet::in_memory(tutorial_members(3).len(), 1).await;
        whole.push(started.elapsed());
        fleet.shut_down().await;
    }
    let beside = "four kube-apiservers on one etcd: 7 s (recorded)";
    report("hub, 3 members, engine: every member joined", &seconds(median(whole)), beside);
}
