//! Random sequences of writes, the same on both servers; what differs is made as short as it can be before it is shown.
//!
//! `CONFORMANCE_SEQUENCES` in the environment is how many there are of each kind, `CONFORMANCE_SEED` where they begin.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};
use serde_json::{Value, json};
use tokio::{runtime::Handle, task::spawn_blocking};

use super::{
    chapters::{embedded, real},
    play::compare,
    script::{Case, step},
    target::Target,
};

/// How many sequences of each kind a run of the suite plays.
const SEQUENCES: u32 = 40;
/// Most steps of a sequence.
const STEPS: usize = 8;

/// Parts of an object: what may be said in a body, where `null` takes away.
type Part = BoxedStrategy<Value>;

/// Which objects are written, and how.
struct Kind {
    /// Name in paths.
    path: &'static str,
    api_version: &'static str,
    kind: &'static str,
    /// What every object must have.
    least: Value,
    /// Everything else that may be said.
    body: Part,
    /// Status, if it has any.
    status: Option<Part>,
    /// Pointers for JSON patches, and what to put there.
    pointers: &'static [(&'static str, &'static str)],
    has_strategic: bool,
}

/// An object with some of these fields.
fn some(fields: Vec<(&'static str, Part)>) -> Part {
    let all: Vec<BoxedStrategy<Option<(&'static str, Value)>>> = fields
        .into_iter()
        .map(|(name, value)| {
            prop_oneof![3 => Just(None), 2 => value.prop_map(move |value| Some((name, value)))]
                .boxed()
        })
        .collect();
    all.prop_map(|fields| {
        fields.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect()
    })
    .boxed()
}

/// One of these.
fn of(values: &[Value]) -> Part {
    select(values.to_vec()).boxed()
}

fn text() -> Part {
    of(&[json!("x"), json!("y"), json!("zz")])
}

/// A map of text.
fn map() -> Part {
    some(vec![("a", text()), ("b", text()), ("c.d/e", text())])
}

fn list(item: Part, most: usize) -> Part {
    proptest::collection::vec(item, 0..=most).prop_map(Value::Array).boxed()
}

/// A list in which each item has another value of these keys.
fn keyed(keys: &'static [&'static str], item: Part, most: usize) -> Part {
    proptest::collection::vec(item, 0..=most)
        .prop_map(move |items| {
            let key = |item: &Value| keys.iter().map(|k| item[k].to_string()).collect::<String>();
            let mut kept: Vec<Value> = Vec::new();
            for item in items {
                if kept.iter().all(|held| key(held) != key(&item)) {
                    kept.push(item);
                }
            }
            Value::Array(kept)
        })
        .boxed()
}

/// `body` with a field that must be there.
fn with(name: &'static str, value: Part, body: Part) -> Part {
    (value, body)
        .prop_map(move |(value, mut body)| {
            body[name] = value;
            body
        })
        .boxed()
}

/// An empty map of labels is a known difference, and would be found all the time.
fn metadata() -> Part {
    let filled = || with("b", text(), map());
    some(vec![("labels", filled()), ("annotations", filled())])
}

fn widgets() -> Kind {
    let port = with(
        "port",
        of(&[json!(1), json!(2)]),
        some(vec![
            ("protocol", of(&[json!("TCP"), json!("UDP")])),
            ("name", text()),
            ("tags", list(text(), 2)),
        ]),
    );
    let condition = with(
        "type",
        of(&[json!("A"), json!("B")]),
        with("status", of(&[json!("True"), json!("False")]), some(vec![("reason", text())])),
    );
    let spec = some(vec![
        ("size", of(&[json!(1), json!(2), json!(50), json!(13), json!("2")])),
        ("color", of(&[json!("red"), json!("green"), json!("pink")])),
        ("name", of(&[json!("ab"), json!("abc")])),
        ("nothing", of(&[json!(null), json!("x")])),
        ("port", of(&[json!(80), json!("http")])),
        ("atomic", list(text(), 2)),
        ("plain", list(text(), 2)),
        ("set", list(text(), 2)),
        ("ports", keyed(&["port", "protocol"], port, 3)),
        ("labels", map()),
        ("numbers", some(vec![("a", of(&[json!(1), json!(2)])), ("b", of(&[json!(3)]))])),
        ("whole", some(vec![("a", text()), ("b", text())])),
        (
            "part",
            some(vec![
                ("a", text()),
                ("b", text()),
                ("c", some(vec![("d", of(&[json!(4), json!(5)]))])),
            ]),
        ),
        ("made", some(vec![("a", text()), ("b", text())])),
        ("free", some(vec![("a", map()), ("b", list(map(), 2)), ("c", text())])),
        ("needs", some(vec![("a", text()), ("b", text())])),
    ]);
    let status = with(
        "phase",
        text(),
        some(vec![
            ("size", of(&[json!(1), json!(2)])),
            ("conditions", keyed(&["type"], condition, 2)),
        ]),
    );
    Kind {
        path: "$widgets",
        api_version: "example.com/v1",
        kind: "Widget",
        least: json!({}),
        body: some(vec![("metadata", metadata()), ("spec", spec)]),
        status: Some(status),
        pointers: &[
            ("/spec", "{}"),
            ("/spec/color", "\"blue\""),
            ("/spec/plain/-", "\"z\""),
            ("/spec/plain/0", "\"z\""),
            ("/spec/set/-", "\"zz\""),
            ("/spec/labels/a", "\"z\""),
            ("/spec/labels/c.d~1e", "\"z\""),
            ("/spec/ports/0", r#"{"port": 2}"#),
            ("/spec/ports/0/name", "\"z\""),
            ("/spec/free", r#"{"a": [1, {"b": null}]}"#),
            ("/metadata/labels", r#"{"a": "z"}"#),
        ],
        has_strategic: false,
    }
}

fn maps() -> Kind {
    Kind {
        path: "$maps",
        api_version: "v1",
        kind: "ConfigMap",
        least: json!({}),
        body: some(vec![
            ("metadata", metadata()),
            ("data", some(vec![("a", text()), ("b", text()), ("c", text())])),
            (
                "binaryData",
                some(vec![("d", of(&[json!("eA=="), json!("eQ==")])), ("a", of(&[json!("eA==")]))]),
            ),
            ("immutable", of(&[json!(false)])),
        ]),
        status: None,
        pointers: &[
            ("/data", "{}"),
            ("/data/a", "\"z\""),
            ("/data/b", "\"z\""),
            ("/binaryData/d", "\"eg==\""),
            ("/metadata/annotations/a", "\"z\""),
            ("/metadata/labels", r#"{"a": "z"}"#),
        ],
        has_strategic: true,
    }
}

fn services() -> Kind {
    let port = with(
        "port",
        of(&[json!(80), json!(443)]),
        with(
            "name",
            text(),
            some(vec![
                ("protocol", of(&[json!("TCP"), json!("UDP")])),
                ("targetPort", of(&[json!(8080), json!("http")])),
                ("$patch", of(&[json!("delete"), json!("replace")])),
            ]),
        ),
    );
    let spec = some(vec![
        ("ports", keyed(&["port", "protocol"], port, 2)),
        ("selector", map()),
        ("clusterIP", of(&[json!("None")])),
        ("sessionAffinity", of(&[json!("None"), json!("ClientIP")])),
        ("publishNotReadyAddresses", of(&[json!(true), json!(false)])),
    ]);
    Kind {
        path: "$services",
        api_version: "v1",
        kind: "Service",
        least: json!({"spec": {"clusterIP": "None"}}),
        body: some(vec![("metadata", metadata()), ("spec", spec)]),
        status: None,
        pointers: &[
            ("/spec/ports", r#"[{"port": 80}]"#),
            ("/spec/ports/0/port", "81"),
            ("/spec/selector", r#"{"a": "z"}"#),
            ("/spec/sessionAffinity", "\"ClientIP\""),
            ("/metadata/labels", r#"{"a": "z"}"#),
        ],
        has_strategic: true,
    }
}

fn deployments() -> Kind {
    let directive = || of(&[json!("delete"), json!("replace"), json!("merge")]);
    let environment = with("name", text(), some(vec![("value", text()), ("$patch", directive())]));
    let port = with(
        "containerPort",
        of(&[json!(80), json!(81)]),
        with("protocol", of(&[json!("TCP"), json!("UDP")]), some(vec![("name", text())])),
    );
    let container = with(
        "name",
        text(),
        with(
            "image",
            of(&[json!("i:1"), json!("i:2")]),
            some(vec![
                ("env", keyed(&["name"], environment, 2)),
                ("ports", keyed(&["containerPort", "protocol"], port, 2)),
                ("args", list(text(), 2)),
                (
                    "resources",
                    some(vec![(
                        "limits",
                        some(vec![("cpu", of(&[json!("1"), json!("1000m"), json!(2)]))]),
                    )]),
                ),
                ("$patch", directive()),
            ]),
        ),
    );
    // The same port of two containers is warned of, which is a known difference.
    let container = container
        .prop_map(|mut container| {
            let more = match container["name"].as_str() {
                Some("x") => 0,
                Some("y") => 10,
                _ => 20,
            };
            for port in container["ports"].as_array_mut().into_iter().flatten() {
                port["containerPort"] = (port["containerPort"].as_i64().unwrap() + more).into();
            }
            container
        })
        .boxed();
    let volume = with(
        "name",
        text(),
        some(vec![
            ("emptyDir", of(&[json!({}), json!({"medium": "Memory"})])),
            ("$retainKeys", of(&[json!(["name", "emptyDir"])])),
        ]),
    );
    let pod = some(vec![
        ("containers", keyed(&["name"], container, 3)),
        ("volumes", keyed(&["name"], volume, 2)),
        ("nodeSelector", map()),
        ("terminationGracePeriodSeconds", of(&[json!(1), json!(30)])),
    ]);
    let spec = some(vec![
        ("replicas", of(&[json!(0), json!(1), json!(3)])),
        ("paused", of(&[json!(true), json!(false)])),
        (
            "strategy",
            of(&[
                json!({"type": "Recreate"}),
                json!({"type": "RollingUpdate"}),
                json!({"rollingUpdate": {"maxSurge": 1}}),
                json!({"$retainKeys": ["type"], "type": "Recreate"}),
            ]),
        ),
        ("template", some(vec![("metadata", some(vec![("annotations", map())])), ("spec", pod)])),
    ]);
    Kind {
        path: "$deployments",
        api_version: "apps/v1",
        kind: "Deployment",
        least: json!({"spec": {"selector": {"matchLabels": {"x": "y"}},
            "template": {"metadata": {"labels": {"x": "y"}}, "spec": {"containers": [{"name": "x", "image": "i:1"}]}}}}),
        body: some(vec![("metadata", metadata()), ("spec", spec)]),
        status: Some(some(vec![
            ("replicas", of(&[json!(1), json!(2)])),
            ("observedGeneration", of(&[json!(1)])),
        ])),
        pointers: &[
            ("/spec/replicas", "5"),
            ("/spec/template/spec/containers/0/image", "\"i:3\""),
            ("/spec/template/spec/containers/-", r#"{"name": "new", "image": "i"}"#),
            ("/spec/template/spec/containers/0/env", r#"[{"name": "x", "value": "1"}]"#),
            ("/spec/strategy/rollingUpdate", "null"),
            ("/metadata/labels", r#"{"a": "z"}"#),
        ],
        has_strategic: true,
    }
}

/// Of what stands in the spec of a Pod only what may change: all else is refused with the difference, in Go's form.
fn pods() -> Kind {
    let image = of(&[json!("i:1"), json!("i:2"), json!("")]);
    let container = image.prop_map(|image| json!({"name": "x", "image": image}));
    let toleration = with(
        "key",
        text(),
        some(vec![
            ("operator", of(&[json!("Exists"), json!("Equal")])),
            ("effect", of(&[json!("NoExecute"), json!("NoSchedule")])),
            ("tolerationSeconds", of(&[json!(1), json!(2)])),
        ]),
    );
    let condition = with(
        "type",
        of(&[json!("Ready"), json!("PodScheduled"), json!("example.com/a")]),
        with("status", of(&[json!("True"), json!("False")]), some(vec![("reason", text())])),
    );
    let state = || {
        of(&[
            json!({"running": {}}),
            json!({"waiting": {"reason": "Later"}}),
            json!({"terminated": {"exitCode": 1}}),
        ])
    };
    let ran = with(
        "state",
        state(),
        some(vec![
            ("lastState", state()),
            ("ready", of(&[json!(true), json!(false)])),
            ("restartCount", of(&[json!(1), json!(2)])),
        ]),
    );
    let ran = ran.prop_map(|status| {
        merged(
            json!({"name": "x", "image": "i", "imageID": "", "ready": false, "restartCount": 0}),
            status,
        )
    });
    let spec = some(vec![
        ("containers", container.prop_map(|container| json!([container])).boxed()),
        ("tolerations", list(toleration, 2)),
        ("activeDeadlineSeconds", of(&[json!(100), json!(50)])),
    ]);
    Kind {
        path: "$pods",
        api_version: "v1",
        kind: "Pod",
        least: json!({"spec": {"containers": [{"name": "x", "image": "i:1"}]}}),
        body: some(vec![("metadata", metadata()), ("spec", spec)]),
        status: Some(some(vec![
            ("phase", of(&[json!("Running"), json!("Failed"), json!("Pending")])),
            ("podIP", of(&[json!("10.0.0.1"), json!("10.0.0.2")])),
            ("conditions", keyed(&["type"], condition, 2)),
            ("containerStatuses", list(ran.boxed(), 1)),
        ])),
        pointers: &[
            ("/spec/containers/0/image", "\"i:3\""),
            ("/spec/tolerations/-", r#"{"key": "new", "operator": "Exists"}"#),
            ("/spec/tolerations/0/tolerationSeconds", "9"),
            ("/spec/activeDeadlineSeconds", "40"),
            ("/metadata/labels", r#"{"a": "z"}"#),
        ],
        has_strategic: true,
    }
}

/// A list with at least one item: kube-apiserver keeps apart who emptied a list and who left it out, as nobody sees.
fn filled(list: Part, item: Value) -> Part {
    list.prop_map(move |list| if list == json!([]) { json!([item]) } else { list }).boxed()
}

fn slices() -> Kind {
    let address = || of(&[json!(["10.0.0.1"]), json!(["10.0.0.2", "10.0.0.3"]), json!([])]);
    let endpoint = with(
        "addresses",
        address(),
        some(vec![
            ("conditions", some(vec![("ready", of(&[json!(true), json!(false)]))])),
            ("nodeName", text()),
            ("targetRef", some(vec![("kind", of(&[json!("Pod")])), ("name", text())])),
        ]),
    );
    let port = with("name", text(), some(vec![("port", of(&[json!(80), json!(81)]))]));
    Kind {
        path: "/apis/discovery.k8s.io/v1/namespaces/$ns/endpointslices",
        api_version: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        least: json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.4"]}]}),
        body: some(vec![
            ("metadata", metadata()),
            ("addressType", of(&[json!("IPv4"), json!("FQDN")])),
            ("endpoints", filled(list(endpoint, 2), json!({"addresses": ["10.0.0.4"]}))),
            ("ports", filled(keyed(&["name"], port, 2), json!({"name": "x", "port": 7}))),
        ]),
        status: None,
        pointers: &[
            ("/endpoints/-", r#"{"addresses": ["10.0.0.9"]}"#),
            ("/endpoints/0/conditions", r#"{"ready": true}"#),
            ("/ports/-", r#"{"name": "new", "port": 1}"#),
            ("/ports", "null"),
            ("/metadata/labels", r#"{"a": "z"}"#),
        ],
        has_strategic: true,
    }
}

/// `over` laid over `under`; lists are replaced.
fn merged(mut under: Value, over: Value) -> Value {
    match (under.as_object_mut(), over) {
        (Some(fields), Value::Object(over)) => {
            for (name, value) in over {
                let held = fields.remove(&name).unwrap_or_default();
                fields.insert(name, merged(held, value));
            }
            under
        }
        (_, over) => over,
    }
}

/// What only patches may say goes.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, _)| !name.starts_with('$'));
            kept.map(|(name, value)| (name, plain(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        other => other,
    }
}

/// Some fields of a body become null, by the bits of a number.
fn nulled(value: Value, bits: &mut u64) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                *bits = bits.rotate_right(3);
                let value = if *bits & 7 == 0 { Value::Null } else { nulled(value, bits) };
                (name, value)
            })
            .collect(),
        other => other,
    }
}

/// A line of a case: one write.
fn line(kind: &Kind) -> BoxedStrategy<String> {
    let Kind { path, api_version, least, body, .. } = kind;
    let (path, api_version, kind_name, least) = (*path, *api_version, kind.kind, least.clone());
    let manager = || select(vec!["one", "two", "three"]);
    let whole = {
        let least = least.clone();
        move |body: Value, is_complete: bool| {
            let body = plain(body);
            let mut body = if is_complete { merged(least.clone(), body) } else { body };
            body["apiVersion"] = api_version.into();
            body["kind"] = kind_name.into();
            body["metadata"]["name"] = "a".into();
            body
        }
    };
    let (put, applied, said) = (whole.clone(), whole.clone(), whole);
    let mut ways: Vec<(u32, BoxedStrategy<String>)> = vec![
        (
            2,
            (manager(), body.clone())
                .prop_map(move |(manager, body)| {
                    format!("put {path}/a?fieldManager={manager} {}", put(body, true))
                })
                .boxed(),
        ),
        (
            8,
            (manager(), body.clone(), any::<bool>(), prop::bool::weighted(0.7))
                .prop_map(move |(manager, body, force, is_complete)| {
                    let force = if force { "&force=true" } else { "" };
                    format!(
                        "apply {path}/a?fieldManager={manager}{force} {}",
                        applied(body, is_complete)
                    )
                })
                .boxed(),
        ),
        (
            3,
            (manager(), body.clone(), any::<u64>())
                .prop_map(move |(manager, body, mut bits)| {
                    format!(
                        "merge {path}/a?fieldManager={manager} {}",
                        nulled(plain(body), &mut bits)
                    )
                })
                .boxed(),
        ),
        (
            2,
            (manager(), json_patch(kind.pointers))
                .prop_map(move |(manager, patch)| {
                    format!("json {path}/a?fieldManager={manager} {patch}")
                })
                .boxed(),
        ),
    ];
    if kind.has_strategic {
        ways.push((
            4,
            (manager(), body.clone(), any::<u64>())
                .prop_map(move |(manager, body, mut bits)| {
                    format!("strategic {path}/a?fieldManager={manager} {}", nulled(body, &mut bits))
                })
                .boxed(),
        ));
    }
    if let Some(status) = &kind.status {
        ways.push((
            1,
            (manager(), status.clone(), any::<u64>())
                .prop_map(move |(manager, status, mut bits)| {
                    format!(
                        "merge {path}/a/status?fieldManager={manager} {}",
                        nulled(json!({"status": status}), &mut bits)
                    )
                })
                .boxed(),
        ));
        ways.push((
            2,
            (manager(), status.clone())
                .prop_map(move |(manager, status)| {
                    let body = said(json!({"status": status}), false);
                    format!("apply {path}/a/status?fieldManager={manager} {body}")
                })
                .boxed(),
        ));
    }
    proptest::strategy::Union::new_weighted(ways).boxed()
}

fn json_patch(pointers: &'static [(&'static str, &'static str)]) -> Part {
    let operation = (
        select(vec!["add", "add", "replace", "remove", "test", "copy", "move"]),
        select(pointers),
        select(pointers),
    )
        .prop_map(|(op, (path, value), (from, _))| match op {
            "remove" => json!({"op": op, "path": path}),
            "copy" | "move" => json!({"op": op, "path": path, "from": from}),
            _ => json!({"op": op, "path": path, "value": serde_json::from_str::<Value>(value).unwrap()}),
        });
    proptest::collection::vec(operation, 1..=2).prop_map(Value::Array).boxed()
}

fn sequence(kind: &Kind) -> BoxedStrategy<Vec<String>> {
    proptest::collection::vec(line(kind), 1..=STEPS).boxed()
}

/// Each try has a namespace of its own.
static TRY: AtomicUsize = AtomicUsize::new(0);

fn differs(
    lines: &[String],
    kind: &Kind,
    servers: &(Target, Target),
    runtime: &Handle,
) -> Option<String> {
    let number = TRY.fetch_add(1, Ordering::Relaxed);
    let steps = lines.iter().map(|line| step(line, "")).collect();
    let case = Case {
        id: format!("generated-{number}"),
        title: format!("a generated sequence of {}", kind.kind),
        steps,
        known: None,
        ignored: Vec::new(),
    };
    runtime.block_on(compare(&case, &servers.0, &servers.1))
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays sequences of one kind. Returns the shortest that differs, and how.
fn search(kind: &Kind, servers: &(Target, Target), runtime: &Handle) -> Option<String> {
    let cases =
        number_of("CONFORMANCE_SEQUENCES").map_or(SEQUENCES, |many| u32::try_from(many).unwrap());
    let seed = number_of("CONFORMANCE_SEED").unwrap_or(1);
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let found =
        runner.run(&sequence(kind), |lines| match differs(&lines, kind, servers, runtime) {
            None => Ok(()),
            Some(report) => Err(TestCaseError::fail(report)),
        });
    match found {
        Ok(()) => None,
        Err(TestError::Fail(report, lines)) => {
            Some(format!("{report}\n  whole sequence:\n    {}\n", lines.join("\n    ")))
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences() {
    let Some(real) = real().await else { return };
    let embedded = embedded().await;
    let kinds = [maps as fn() -> Kind, services, deployments, pods, slices, widgets];
    let searches = kinds.map(|kind| {
        let (servers, runtime) = ((real.clone(), embedded.clone()), Handle::current());
        spawn_blocking(move || search(&kind(), &servers, &runtime))
    });
    let mut found = Vec::new();
    for search in searches {
        found.extend(search.await.unwrap());
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
