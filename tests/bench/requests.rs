//! Requests a second over TLS, as any Kubernetes client sends them, and the memory that serving them takes: the embedded
//! hub beside kube-apiserver and etcd, in turns.

use std::time::{Duration, Instant};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all},
    stream,
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace},
};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::{Value, json};

use crate::{
    median, report, resident_mb,
    support::{
        kubernetes::{self, Kubernetes, Plan},
        process::{self, Running},
    },
};

const OBJECTS: usize = 1_000;
const AT_ONCE: usize = 16;
const WATCHERS: usize = 100;
const CHANGES: usize = 100;
const ROUNDS: usize = 3;

/// What is asked of a server, how often, in an empty namespace of its own round.
type Work = for<'a> fn(&'a Client, &'a str) -> BoxFuture<'a, (usize, Duration)>;

/// In this order: each finds what the ones before it left.
const WORKS: [(&str, Work); 6] = [
    ("create, durable, 16 at once", |client, namespace| create(client, namespace).boxed()),
    ("get, 16 at once", |client, namespace| get(client, namespace).boxed()),
    ("list of 1,000", |client, namespace| list(client, namespace).boxed()),
    ("server-side apply, durable, 16 at once", |client, namespace| {
        apply(client, namespace).boxed()
    }),
    ("patch of a status, durable, 16 at once", |client, namespace| {
        patch_status(client, namespace).boxed()
    }),
    ("changes to 100 watchers: events", |client, namespace| fan_out(client, namespace).boxed()),
];

/// A server, and the processes that it is.
struct Side {
    client: Client,
    processes: Vec<u32>,
}

impl Side {
    fn resident(&self) -> u64 {
        self.processes.iter().map(|process| resident_mb(*process)).sum()
    }
}

pub async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, ours) = local(folder.path()).await;
    let real = Kubernetes::start("kube-apiserver beside the embedded hub", Plan::servers(["hub"]));
    let mut sides = vec![ours];
    if let Some(real) = &real {
        sides.push(Side { client: real.client("hub").await, processes: real.processes() });
    }
    resident(&sides, "idle");
    let mut took = vec![vec![Vec::new(); sides.len()]; WORKS.len()];
    let mut counts = [0; WORKS.len()];
    for round in 0..ROUNDS {
        let namespace = format!("round-{round}");
        for side in &sides {
            make_namespace(&side.client, &namespace).await;
        }
        for (number, (_, work)) in WORKS.iter().enumerate() {
            for (place, side) in sides.iter().enumerate() {
                let (count, time) = work(&side.client, &namespace).await;
                counts[number] = count;
                took[number][place].push(time);
            }
        }
    }
    for (number, (what, _)) in WORKS.iter().enumerate() {
        let rates: Vec<f64> = took[number]
            .iter()
            .map(|times| counts[number] as f64 / median(times.clone()).as_secs_f64())
            .collect();
        let beside = rates.get(1).map(|theirs| {
            format!("kube-apiserver + etcd: {theirs:.0}/s, {:.1} times", rates[0] / theirs)
        });
        report(what, &format!("{:.0}/s", rates[0]), &beside.unwrap_or_default());
    }
    resident(&sides, "after all this");
    drop(hub);
}

fn resident(sides: &[Side], when: &str) {
    let theirs = sides.get(1).map(|side| format!("kube-apiserver + etcd: {} MB", side.resident()));
    report(
        &format!("hub with its engine, {when}: resident"),
        &format!("{} MB", sides[0].resident()),
        &theirs.unwrap_or_default(),
    );
}

/// Starts `tidegate local` with a hub alone.
async fn local(folder: &std::path::Path) -> (Running, Side) {
    let kubeconfig = folder.join("kubeconfig");
    let mut command = process::tidegate(folder);
    command.args(["local", "--members", "0", "--data-dir"]).arg(folder.join("data"));
    command.arg("--kubeconfig").arg(&kubeconfig);
    let mut running = Running::start(command);
    running.wait_for("ready");
    let client = kubernetes::client(&kubeconfig, "hub").await;
    let side = Side { client, processes: vec![running.id()] };
    (running, side)
}

async fn make_namespace(client: &Client, name: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
}

fn maps(client: &Client, namespace: &str) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), namespace)
}

/// Does something for each number, some at once, and returns the time that all took.
async fn each<F: Future<Output = ()>>(
    count: usize,
    work: impl Fn(usize) -> F,
) -> (usize, Duration) {
    let started = Instant::now();
    stream::iter(0..count).for_each_concurrent(AT_ONCE, work).await;
    (count, started.elapsed())
}

async fn create(client: &Client, namespace: &str) -> (usize, Duration) {
    let (maps, post) = (maps(client, namespace), PostParams::default());
    let map = |number: usize| -> ConfigMap {
        let value = json!({"metadata": {"name": format!("cm-{number:05}")}, "data": {"key": "x".repeat(1024)}});
        serde_json::from_value(value).unwrap()
    };
    each(OBJECTS, async |n| drop(maps.create(&post, &map(n)).await.unwrap())).await
}

/// Sends a GET and reads the answer as text, so that the client's own parsing is not measured.
async fn fetch(client: &Client, path: String) -> String {
    client.request_text(http::Request::get(path).body(Vec::new()).unwrap()).await.unwrap()
}

async fn get(client: &Client, namespace: &str) -> (usize, Duration) {
    each(OBJECTS * 5, async |n| {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/cm-{:05}", n % OBJECTS);
        drop(fetch(client, path).await);
    })
    .await
}

async fn list(client: &Client, namespace: &str) -> (usize, Duration) {
    let started = Instant::now();
    for _ in 0..10 {
        let text = fetch(client, format!("/api/v1/namespaces/{namespace}/configmaps")).await;
        assert!(text.len() > OBJECTS * 1024);
    }
    (10, started.elapsed())
}

async fn apply(client: &Client, namespace: &str) -> (usize, Duration) {
    let (maps, apply) = (maps(client, namespace), PatchParams::apply("bench").force());
    each(OBJECTS, async |n| {
        let patch =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"other": n.to_string()}});
        maps.patch(&format!("cm-{n:05}"), &apply, &Patch::Apply(&patch)).await.unwrap();
    })
    .await
}

async fn patch_status(client: &Client, namespace: &str) -> (usize, Duration) {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    for n in 0..AT_ONCE {
        let labels = json!({"app": "bench"});
        let deployment: Value = json!({"metadata": {"name": format!("d-{n}")}, "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        let deployment = serde_json::from_value(deployment).unwrap();
        deployments.create(&PostParams::default(), &deployment).await.unwrap();
    }
    let merge = PatchParams::default();
    each(OBJECTS, async |n| {
        let patch = json!({"status": {"observedGeneration": n + 1}});
        let name = format!("d-{}", n % AT_ONCE);
        deployments.patch_status(&name, &merge, &Patch::Merge(&patch)).await.unwrap();
    })
    .await
}

/// From the first of many changes of one object until the last watcher has seen the last of them.
async fn fan_out(client: &Client, namespace: &str) -> (usize, Duration) {
    let maps = maps(client, namespace);
    let newest = maps.list(&ListParams::default().limit(1)).await.unwrap();
    let version = newest.metadata.resource_version.unwrap();
    let mut open = Vec::new();
    for _ in 0..WATCHERS {
        open.push(maps.watch(&WatchParams::default(), &version).await.unwrap().boxed());
    }
    let started = Instant::now();
    let seen = join_all(open.into_iter().map(|mut events| async move {
        let mut count = 0;
        while count < CHANGES {
            match events.next().await.unwrap().unwrap() {
                WatchEvent::Modified(_) => count += 1,
                WatchEvent::Bookmark(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }));
    let write = async {
        for n in 0..CHANGES {
            let patch = json!({"data": {"tick": n.to_string()}});
            maps.patch("cm-00000", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        }
    };
    futures::join!(seen, write);
    (CHANGES * WATCHERS, started.elapsed())
}
