//! Starting the programs, and waiting until they are ready.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{ADMIN, Assets, Kubernetes, Plan, Server};
use crate::support::{
    process::PATIENCE,
    watchdog::{SweptFolder, Watched},
};

/// How long between two looks at a program that starts.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How often a program is started again when another one took its port in between.
const ATTEMPTS: usize = 3;

pub(super) fn start(assets: &Assets, plan: &Plan) -> Kubernetes {
    let folder = SweptFolder::new();
    let mut tokens = vec![(ADMIN.to_owned(), new_token())];
    tokens.extend(plan.users.iter().map(|user| (user.name.clone(), new_token())));
    write_shared_files(folder.path(), plan, &tokens);
    let (etcd, address) = start_etcd(assets, folder.path());
    let mut programs = vec![etcd];
    let mut servers = Vec::new();
    // All start at the same time; each is then waited for.
    let starting: Vec<_> = plan
        .servers
        .iter()
        .map(|name| start_apiserver(assets, folder.path(), plan, name, &address))
        .collect();
    for (mut program, port) in starting {
        let name = program.name().to_owned();
        let mut port = port;
        for attempt in 1.. {
            match wait_ready(&mut program, folder.path(), port, &tokens[0].1) {
                Ok(server) => {
                    servers.push(server);
                    break;
                }
                Err(why) if attempt == ATTEMPTS => panic!("{name}: {why}"),
                Err(_) => {
                    (program, port) = start_apiserver(assets, folder.path(), plan, &name, &address);
                }
            }
        }
        programs.push(program);
    }
    let kubeconfig = folder.path().join("kubeconfig");
    write_kubeconfig(&kubeconfig, &servers, &tokens[0].1);
    for server in servers.iter().filter(|server| plan.controlled.contains(&server.name)) {
        programs.push(start_controllers(assets, folder.path(), server, &tokens[0].1));
    }
    // The servers end before etcd does, which they would wait for.
    programs.reverse();
    Kubernetes { programs, folder, etcd: address, servers, tokens }
}

fn new_token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// What all servers read: tokens, the key of service accounts, the audit policy.
fn write_shared_files(folder: &Path, plan: &Plan, tokens: &[(String, String)]) {
    let mut rows = format!("{},{ADMIN},{ADMIN},\"system:masters\"\n", tokens[0].1);
    for (user, (_, token)) in plan.users.iter().zip(&tokens[1..]) {
        let groups = user.groups.join(",");
        rows.push_str(&format!("{token},{0},{0},\"{groups}\"\n", user.name));
    }
    fs::write(folder.join("tokens.csv"), rows).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(folder.join("accounts.key"), key.serialize_pem()).unwrap();
    fs::write(folder.join("accounts.pub"), key.public_key_pem()).unwrap();
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
        "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}],
    });
    fs::write(folder.join("audit-policy.yaml"), policy.to_string()).unwrap();
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start_etcd(assets: &Assets, folder: &Path) -> (Watched, String) {
    for attempt in 1.. {
        let (own, peers) = (
            format!("http://127.0.0.1:{}", free_port()),
            format!("http://127.0.0.1:{}", free_port()),
        );
        let arguments = [
            format!("--data-dir={}", folder.join("etcd").display()),
            "--unsafe-no-fsync".to_owned(),
            format!("--listen-client-urls={own}"),
            format!("--advertise-client-urls={own}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
            "--log-level=warn".to_owned(),
        ];
        let mut etcd = Watched::start(&assets.etcd, &arguments, folder, "etcd");
        let http = reqwest::blocking::Client::new();
        let healthy = wait(&mut etcd, || {
            let answer = http.get(format!("{own}/health")).send().and_then(|a| a.text());
            answer.ok().filter(|text| text.contains("true"))
        });
        match healthy {
            Ok(_) => return (etcd, own),
            Err(why) => assert!(attempt < ATTEMPTS, "etcd: {why}"),
        }
        drop(etcd);
        let _ = fs::remove_dir_all(folder.join("etcd"));
    }
    unreachable!("returns or gives up")
}

fn start_apiserver(
    assets: &Assets,
    folder: &Path,
    plan: &Plan,
    name: &str,
    etcd: &str,
) -> (Watched, u16) {
    let port = free_port();
    let file = |name: &str| folder.join(name).display().to_string();
    let mut arguments = vec![
        format!("--etcd-servers={etcd}"),
        format!("--etcd-prefix=/{name}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--cert-dir={}", certificates(folder, name).display()),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ];
    if plan.audit {
        arguments.push(format!("--audit-policy-file={}", file("audit-policy.yaml")));
        arguments.push(format!("--audit-log-path={}", file(&format!("{name}-audit.log"))));
    }
    arguments.extend(plan.flags.iter().cloned());
    (Watched::start(&assets.apiserver, &arguments, folder, name), port)
}

fn certificates(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}-certificates"))
}

fn start_controllers(assets: &Assets, folder: &Path, server: &Server, token: &str) -> Watched {
    let kubeconfig = folder.join(format!("{}-controllers.kubeconfig", server.name));
    write_kubeconfig(&kubeconfig, std::slice::from_ref(server), token);
    let arguments = [
        format!("--kubeconfig={}", kubeconfig.display()),
        "--controllers=namespace-controller,garbage-collector-controller,resourcequota-controller"
            .to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--concurrent-namespace-syncs=4".to_owned(),
    ];
    let program = assets.controller_manager.as_deref().expect("looked for at the start");
    Watched::start(program, &arguments, folder, &format!("{}-controllers", server.name))
}

/// Waits until `look` finds something, the program ends, or patience does.
fn wait<T>(program: &mut Watched, mut look: impl FnMut() -> Option<T>) -> Result<T, String> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if let Some(status) = program.ended() {
            return Err(format!("ended ({status}):\n{}", program.last_words()));
        }
        if Instant::now() > until {
            return Err(format!("is never ready; it said:\n{}", program.last_words()));
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn wait_ready(
    program: &mut Watched,
    folder: &Path,
    port: u16,
    token: &str,
) -> Result<Server, String> {
    let name = program.name().to_owned();
    let address = format!("https://127.0.0.1:{port}");
    // The server signs its own certificate when it starts.
    let authority = certificates(folder, &name).join("apiserver.crt");
    wait(program, || {
        let authority = fs::read_to_string(&authority).ok()?;
        let roots = reqwest::Certificate::from_pem_bundle(authority.as_bytes()).ok()?;
        let http = reqwest::blocking::Client::builder()
            .tls_certs_only(roots)
            .timeout(Duration::from_secs(5))
            .build()
            .ok()?;
        let ready = http.get(format!("{address}/readyz")).bearer_auth(token).send().ok()?;
        let server = || Server { name: name.clone(), address: address.clone(), authority };
        ready.status().is_success().then(server)
    })
}

pub(super) fn write_kubeconfig(path: &Path, servers: &[Server], token: &str) {
    let all =
        |make: &dyn Fn(&Server) -> Value| -> Vec<Value> { servers.iter().map(make).collect() };
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": servers[0].name,
        "clusters": all(&|server| json!({"name": server.name, "cluster": {
            "server": server.address,
            "certificate-authority-data": STANDARD.encode(&server.authority),
        }})),
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": all(&|server| json!({
            "name": server.name, "context": {"cluster": server.name, "user": "user"},
        })),
    });
    fs::write(path, kubeconfig.to_string()).unwrap();
}
