//! Real API servers in tests: they work, and they never outlive the tests.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
    runtime::wait::{await_condition, conditions},
};
use serde_json::json;

use crate::support::{
    kubernetes::{Kubernetes, Plan, User, client},
    process::PATIENCE,
};

const CHILD: &str = "TIDEGATE_TEST_HOLDS_KUBERNETES";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_apart_know_users_and_end_namespaces() {
    let user = User::service_account("shop", "seller");
    let plan = Plan::servers(["hub", "member"])
        .with_controllers("hub")
        .with_user(user.clone())
        .with_audit();
    let Some(real) = Kubernetes::start("the harness of real API servers", plan) else { return };
    let (hub, member) = (real.client("hub").await, real.client("member").await);
    let shop = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    let namespaces: Api<Namespace> = Api::all(hub.clone());
    let made = namespaces.create(&PostParams::default(), &shop).await.unwrap();
    assert!(Api::<Namespace>::all(member).get_opt("shop").await.unwrap().is_none());

    let seller = client(&real.kubeconfig_of(&user.name), "hub").await;
    let maps: Api<ConfigMap> = Api::namespaced(seller, "shop");
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(refused.to_string().contains(&user.name), "{refused}");
    let lists = |code| {
        move |asked: &&crate::support::kubernetes::Audited| {
            asked.verb == "list" && asked.resource == "configmaps" && asked.code == code
        }
    };
    let audited = real.audited("hub");
    let asked: Vec<_> = audited.iter().filter(lists(403)).collect();
    assert_eq!(asked.len(), 1, "{audited:?}");
    assert_eq!((&*asked[0].user, &*asked[0].namespace), (&*user.name, "shop"));

    namespaces.delete("shop", &DeleteParams::default()).await.unwrap();
    let uid = made.metadata.uid.unwrap();
    let gone = await_condition(namespaces, "shop", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("the namespace ends").unwrap();
}

/// The process that is killed.
#[test]
fn holds_servers_until_killed() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let Some(real) = Kubernetes::start("ending what was started", Plan::servers(["hub"])) else {
        println!("\nmissing");
        return;
    };
    let address = real.servers()[0].address.trim_start_matches("https://").to_owned();
    println!("\nholding {address} {}", real.folder().display());
    thread::sleep(PATIENCE * 10);
}

/// SIGKILL to the process; and what Ctrl-C and `timeout` do: a signal to everybody in its group.
#[test]
fn nothing_outlives_a_killed_test() {
    for (signal, whole_group) in [("KILL", false), ("INT", true), ("TERM", true)] {
        nothing_outlives(signal, whole_group);
    }
}

fn nothing_outlives(signal: &str, whole_group: bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "conformance::harness::holds_servers_until_killed", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let words = lines
        .filter(|line| line.starts_with("holding ") || line == "missing")
        .map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .next();
    let words = words.expect("the child says what it holds");
    let target = format!("{}{}", if whole_group { "-" } else { "" }, child.id());
    let sent = Command::new("kill").args([format!("-{signal}"), "--".to_owned(), target]).status();
    assert!(sent.unwrap().success());
    child.wait().unwrap();
    let [_, address, folder] = words.as_slice() else { return };
    let folder = PathBuf::from(folder);
    let until = Instant::now() + PATIENCE;
    while folder.exists() || TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < until, "{address} or {} outlives its test", folder.display());
        thread::sleep(Duration::from_millis(20));
    }
}
