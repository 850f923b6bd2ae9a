//! Requests a second over TLS, as any Kubernetes client sends them, and the memory that serving them takes.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use crate::{report, resident_mb};

const OBJECTS: usize = 1_000;
const AT_ONCE: usize = 16;
const WATCHERS: usize = 100;

struct Local {
    child: Child,
    folder: tempfile::TempDir,
}

impl Local {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["local", "--data-dir"])
            .arg(folder.path().join("data"))
            .arg("--kubeconfig")
            .arg(folder.path().join("kubeconfig"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines.map_while(Result::ok).any(|line| line.contains("ready")),
            "local does not start"
        );
        Self { child, folder }
    }

    async fn client(&self) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = Kubeconfig::read_from(self.folder.path().join("kubeconfig")).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        Client::try_from(config).unwrap()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rate(count: usize, took: Duration) -> String {
    format!("{:.0}/s", count as f64 / took.as_secs_f64())
}

fn map(number: usize) -> ConfigMap {
    let value =
        json!({"metadata": {"name": format!("cm-{number:05}")}, "data": {"key": "x".repeat(1024)}});
    serde_json::from_value(value).unwrap()
}

pub async fn measure() {
    let local = Local::start();
    let client = local.client().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    report(
        "local (hub, 3 members, engine), idle: resident",
        &format!("{} MB", resident_mb(local.child.id())),
        "kube-apiserver 500 MB + etcd 147 MB (recorded)",
    );

    let post = PostParams::default();
    let started = Instant::now();
    stream::iter(0..OBJECTS)
        .for_each_concurrent(AT_ONCE, |n| {
            let (maps, post) = (&maps, &post);
            async move {
                maps.create(post, &map(n)).await.unwrap();
            }
        })
        .await;
    report("create, durable, 16 at once", &rate(OBJECTS, started.elapsed()), "");

    let started = Instant::now();
    stream::iter(0..OBJECTS * 5)
        .for_each_concurrent(AT_ONCE, |n| {
            let maps = &maps;
            async move {
                maps.get(&format!("cm-{:05}", n % OBJECTS)).await.unwrap();
            }
        })
        .await;
    report("get, 16 at once", &rate(OBJECTS * 5, started.elapsed()), "");

    let started = Instant::now();
    for _ in 0..10 {
        assert_eq!(maps.list(&ListParams::default()).await.unwrap().items.len(), OBJECTS);
    }
    report("list of 1,000", &rate(10, started.elapsed()), "");

    let apply = PatchParams::apply("bench").force();
    let started = Instant::now();
    stream::iter(0..OBJECTS)
        .for_each_concurrent(AT_ONCE, |n| {
            let (maps, apply) = (&maps, &apply);
            let patch =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"other": n.to_string()}});
            async move {
                maps.patch(&format!("cm-{n:05}"), apply, &Patch::Apply(&patch)).await.unwrap();
            }
        })
        .await;
    report("server-side apply, durable, 16 at once", &rate(OBJECTS, started.elapsed()), "");
    watchers(&maps).await;
    report(
        "the same process, after all this: resident",
        &format!("{} MB", resident_mb(local.child.id())),
        "",
    );
}

/// One hundred watchers, and how long until the last of them has seen the last of 100 changes.
async fn watchers(maps: &Api<ConfigMap>) {
    let version = maps
        .list(&ListParams::default().limit(1))
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let changes = 100;
    let mut open = Vec::new();
    for _ in 0..WATCHERS {
        open.push(maps.watch(&WatchParams::default(), &version).await.unwrap().boxed());
    }
    let started = Instant::now();
    let seen = join_all(open.into_iter().map(|mut events| async move {
        let mut count = 0;
        while count < changes {
            match events.next().await.unwrap().unwrap() {
                WatchEvent::Modified(_) => count += 1,
                WatchEvent::Bookmark(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }));
    let write = async {
        for n in 0..changes {
            let patch = json!({"data": {"tick": n.to_string()}});
            maps.patch("cm-00000", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        }
    };
    futures::join!(seen, write);
    report("100 changes to 100 watchers: events", &rate(changes * WATCHERS, started.elapsed()), "");
}
