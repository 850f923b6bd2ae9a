//! What is too old: the real server's etcd is compacted all the while, the embedded one remembers little.

use std::time::Duration;

use futures::future::join;
use tidegate::apiserver::{ApiServer, Options};

use super::{
    play::{play, report},
    script::{Case, step},
    target::Target,
};
use crate::support::kubernetes::{Kubernetes, Plan};

const STEPS: &[&str] = &[
    "post $maps {metadata: {name: a}}",
    "post $maps {metadata: {name: b}}",
    "post $maps {metadata: {name: c}}",
    "first = get $maps?limit=1",
    "merge $maps/a {data: {k: one}}",
    "merge $maps/a {data: {k: two}}",
    "merge $maps/b {data: {k: one}}",
    "merge $maps/b {data: {k: two}}",
    "merge $maps/c {data: {k: one}}",
    "merge $maps/c {data: {k: two}}",
    "late = until 410 get $maps?limit=1&continue=${first.metadata.continue}",
    "get $maps?continue=${late.metadata.continue}",
    "until 410 get $maps?resourceVersion=${first.metadata.resourceVersion}&resourceVersionMatch=Exact",
];

/// etcd is told again and again: kube-apiserver learns of it when it asks.
const COMPACT_EVERY: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_is_said_in_the_same_words() {
    let mut plan = Plan::servers(["hub"]);
    // Its caches would go on answering for minutes.
    plan.flags.push("--watch-cache=false".to_owned());
    let Some(kubernetes) = Kubernetes::start("answers after compaction", plan) else { return };
    let real = Target::real(&kubernetes, "hub");
    let options = Options { watch_history: 3, ..Options::default() };
    let embedded = Target::Embedded(ApiServer::open(options).await.unwrap());
    let case = Case {
        id: "expired-1".to_owned(),
        title: "pages and versions that are too old".to_owned(),
        steps: STEPS.iter().map(|line| step(line, "")).collect(),
        known: None,
        ignored: Vec::new(),
    };
    let compacting = async {
        loop {
            kubernetes.forget_history();
            tokio::time::sleep(COMPACT_EVERY).await;
        }
    };
    let both = join(play(&case, &real), play(&case, &embedded));
    let (real, embedded) = tokio::select! {
        stories = both => stories,
        () = compacting => unreachable!("it goes on for ever"),
    };
    assert_eq!(real[10]["code"], 410, "{:#}", real[10]);
    assert_eq!(real[12]["code"], 410, "{:#}", real[12]);
    assert_eq!(report(&case, &real, &embedded), None);
}
