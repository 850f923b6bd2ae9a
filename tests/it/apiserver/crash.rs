//! The durable store, whatever happens to the process.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tidegate::apiserver::{ApiServer, OpenError, Options, StoreError, StoreKind};

use crate::support::watchdog::watched;

const CHILD: &str = "TIDEGATE_TEST_CRASH_STORE";
const WRITERS: usize = 16;

async fn open(path: &Path) -> ApiServer {
    let options = Options { store: StoreKind::File(path.to_owned()), ..Options::default() };
    ApiServer::open(options).await.unwrap()
}

/// The process that is killed: sixteen writers, each telling what was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_until_killed() {
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let client = Client::new(open(&path).await, "default");
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let write = |writer: usize| {
        let api = api.clone();
        async move {
            let name = format!("writer-{writer}");
            for count in 1_u64.. {
                let text = count.to_string().repeat(50);
                let data = json!({"count": count.to_string(), "text": text});
                if count == 1 {
                    let object = json!({"metadata": {"name": name}, "data": data});
                    let object = serde_json::from_value(object).unwrap();
                    let _ = api.create(&PostParams::default(), &object).await;
                }
                let patch = Patch::Merge(json!({"data": data}));
                let patched = api.patch(&name, &PatchParams::default(), &patch).await.unwrap();
                println!("\nanswered {writer} {count} {}", patched.resource_version().unwrap());
            }
        }
    };
    join_all((0..WRITERS).map(write)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.redb");
    let mut before = BTreeMap::new();
    for round in 0..3_usize {
        let answered = tokio::task::spawn_blocking({
            let path = path.clone();
            move || run_and_kill(&path, 150 + 97 * round)
        })
        .await
        .unwrap();
        let server = open(&path).await;
        let api: Api<ConfigMap> = Api::default_namespaced(Client::new(server.clone(), "default"));
        let list = api.list(&ListParams::default()).await.unwrap();
        // The next round's process can only open what this one has closed.
        server.shutdown().await;
        let newest: u64 = list.metadata.resource_version.as_ref().unwrap().parse().unwrap();
        for object in &list.items {
            let data = object.data.as_ref().unwrap();
            assert_eq!(data["text"], data["count"].repeat(50), "half a write in round {round}");
            let revision: u64 = object.resource_version().unwrap().parse().unwrap();
            assert!(revision <= newest);
        }
        for (writer, (count, revision)) in &answered {
            let object =
                list.items.iter().find(|o| o.name_any() == format!("writer-{writer}")).unwrap();
            let kept: u64 = object.data.as_ref().unwrap()["count"].parse().unwrap();
            let at: u64 = object.resource_version().unwrap().parse().unwrap();
            assert!(
                kept >= *count && at >= *revision,
                "round {round}: {writer} had {count}, has {kept}"
            );
        }
        assert!(newest > before.values().copied().max().unwrap_or(0), "revisions go on");
        before = answered.into_iter().map(|(writer, (_, revision))| (writer, revision)).collect();
    }
}

/// Runs the writing process, kills it in the middle, and answers what each writer was last told: count and revision.
fn run_and_kill(path: &Path, after: usize) -> BTreeMap<usize, (u64, u64)> {
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut child = watched(&std::env::current_exe().unwrap())
        .args([
            "--exact",
            "apiserver::crash::writes_until_killed",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::from(said.reopen().unwrap()))
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut answered = BTreeMap::new();
    let mut count = 0;
    let note = |line: &str, answered: &mut BTreeMap<usize, (u64, u64)>| {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["answered", writer, count, revision] = words.as_slice()
            && let (Ok(count), Ok(revision)) = (count.parse(), revision.parse())
        {
            answered.insert(writer.parse().unwrap(), (count, revision));
        }
    };
    for line in lines.by_ref() {
        note(&line, &mut answered);
        count += usize::from(line.starts_with("answered"));
        if count >= after {
            break;
        }
    }
    assert!(
        count >= after,
        "the writing process ended after {count} answers: {}",
        std::fs::read_to_string(said.path()).unwrap()
    );
    child.kill().unwrap();
    // What it was told before the kill is in the pipe; its last line may be cut.
    let rest: Vec<String> = lines.collect();
    for line in rest.iter().rev().skip(1) {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["answered", writer, seen, _] = words.as_slice() {
            let writer: usize = writer.parse().unwrap();
            let seen: u64 = seen.parse().unwrap();
            if answered.get(&writer).is_none_or(|(count, _)| *count < seen) {
                note(line, &mut answered);
            }
        }
    }
    child.wait().unwrap();
    answered
}

#[tokio::test]
async fn everything_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/hub.redb");
    let server = open(&path).await;
    let client = Client::new(server.clone(), "default");
    let definitions: Api<kube::api::DynamicObject> = Api::all_with(
        client.clone(),
        &kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
        )),
    );
    let definition = serde_json::from_value(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    }))
    .unwrap();
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    let kind = kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk(
        "example.com",
        "v1",
        "Thing",
    ));
    let things: Api<kube::api::DynamicObject> = Api::all_with(client.clone(), &kind);
    let mut thing = kube::api::DynamicObject::new("t", &kind);
    thing.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    let made = things.create(&PostParams::default(), &thing).await.unwrap();
    things.delete("t", &DeleteParams::default()).await.unwrap();
    let revision = |list: &kube::core::ObjectList<Namespace>| -> u64 {
        list.metadata.resource_version.as_ref().unwrap().parse().unwrap()
    };
    let namespaces: Api<Namespace> = Api::all(client);
    let last = revision(&namespaces.list(&ListParams::default()).await.unwrap());

    let in_use =
        ApiServer::open(Options { store: StoreKind::File(path.clone()), ..Options::default() })
            .await;
    let Err(OpenError::Store(StoreError::InUse(locked))) = &in_use else { panic!("{in_use:?}") };
    assert_eq!(*locked, path);
    assert!(
        in_use.unwrap_err().to_string().starts_with("data directory is in use by another process")
    );

    server.shutdown().await;
    drop((definitions, things, namespaces));
    let client = Client::new(open(&path).await, "default");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    assert_eq!(revision(&namespaces.list(&ListParams::default()).await.unwrap()), last);
    let things: Api<kube::api::DynamicObject> = Api::all_with(client, &kind);
    let back = things.get("t").await.unwrap();
    assert_eq!(back.uid(), made.uid());
    assert!(back.metadata.deletion_timestamp.is_some());
    things
        .patch(
            "t",
            &PatchParams::default(),
            &Patch::Merge(json!({"metadata": {"finalizers": null}})),
        )
        .await
        .unwrap();
    assert!(things.get_opt("t").await.unwrap().is_none());
}
