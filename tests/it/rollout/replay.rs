//! Tells the story that was recorded on real KubeFleet (`tests/golden/fleet-trace`) to our state machine, with the
//! recorded placement, policy, strategies, bindings and runs, and compares every recorded status with ours.

use std::{fs, path::Path};

use serde_json::Value;
use tidegate::{api::condition::Truth, model::Scope, rollout::Captured};

use super::world::{Agent, World, object};

/// Replaces every time by a word.
pub fn blank_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if matches!(name.as_str(), "lastTransitionTime" | "startTime" | "endTime") {
                    *value = Value::from("then");
                } else {
                    blank_times(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blank_times),
        _ => {}
    }
}

/// One dump of a hub.
struct Dump(Vec<Value>);

impl Dump {
    fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fleet-trace");
        let text = fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        let documents: Vec<Value> = serde_yaml::from_multiple(&text).unwrap();
        let items = documents.into_iter().flat_map(|document| match document.get("items") {
            Some(Value::Array(items)) => items.clone(),
            _ => vec![document],
        });
        Self(items.collect())
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| {
            object["kind"].as_str().unwrap().trim_start_matches("Cluster") == kind
        })
    }

    fn run(&self, name: &str) -> &Value {
        self.of("StagedUpdateRun").find(|run| run["metadata"]["name"] == *name).unwrap()
    }
}

/// A world that holds what was recorded, without runs.
fn world(scope: Scope, dump: &Dump) -> World {
    let mut world = World::new(scope);
    world.placement =
        dump.of("ResourcePlacement").next().map(|placement| object(placement.clone()));
    world.policies = dump.of("SchedulingPolicySnapshot").cloned().map(object).collect();
    world.bindings = dump
        .of("ResourceBinding")
        .map(|binding| {
            let cluster = binding["spec"]["targetCluster"].as_str().unwrap();
            (cluster.to_owned(), object(binding.clone()))
        })
        .collect();
    world.snapshots.clear();
    for (name, environment, order) in
        [("member1", "canary", "2"), ("member2", "staging", "0"), ("member3", "canary", "1")]
    {
        let labels = [("environment", environment), ("order", order)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        world.members.insert(name.to_owned(), labels.into());
    }
    learn(&mut world, dump);
    world
}

/// Takes over the strategies and snapshots of a dump.
fn learn(world: &mut World, dump: &Dump) {
    for strategy in dump.of("StagedUpdateStrategy") {
        let name = strategy["metadata"]["name"].as_str().unwrap().to_owned();
        world.strategies.insert(name, object(strategy.clone()));
    }
    world.snapshots = dump.of("ResourceSnapshot").cloned().map(object).collect();
}

/// Creates the run that was recorded, as it was created.
fn create(world: &mut World, dump: &Dump, name: &str, state: &str) {
    let mut run = dump.run(name).clone();
    run["status"] = Value::Null;
    run["metadata"]["creationTimestamp"] = serde_json::to_value(world.now).unwrap();
    run["metadata"]["generation"] = Value::from(1);
    run["spec"]["state"] = Value::from(state);
    world.runs.insert(name.to_owned(), object(run));
}

/// Compares our status of a run with the recorded one, all but times.
fn compare(world: &World, dump: &str, name: &str) {
    let mut want = Dump::read(dump).run(name)["status"].clone();
    let mut is = serde_json::to_value(&world.run(name).status).unwrap();
    for status in [&mut want, &mut is] {
        blank_times(status);
    }
    assert_eq!(is, want, "{name} at {dump}");
}

fn agents(world: &mut World, agents: &[(&str, Agent)]) {
    for (cluster, agent) in agents {
        world.agents.insert((*cluster).to_owned(), *agent);
    }
    world.settle();
}

#[test]
fn every_recorded_status_is_ours_from_placement_to_success() {
    let mut world = world(Scope::Cluster, &Dump::read("01-placed"));
    world.content = Captured::Group { index: "0".to_owned() };
    create(&mut world, &Dump::read("02-initialized"), "first", "Initialize");
    world.settle();
    compare(&world, "02-initialized", "first");

    world.set_state("first", "Run");
    agents(&mut world, &[("member2", Agent::Slow)]);
    compare(&world, "03-first-cluster-updating", "first");
    agents(&mut world, &[("member2", Agent::Good)]);
    compare(&world, "04-in-timed-wait", "first");
    world.wait(20);
    compare(&world, "05-waiting-before-canary", "first");
    world.set_state("first", "Stop");
    world.settle();
    compare(&world, "06-stopped-at-gate", "first");

    world.set_state("first", "Run");
    world.approve("first-before-canary", Truth::True, Some(1));
    agents(&mut world, &[("member3", Agent::Slow)]);
    compare(&world, "07-canary-first-cluster", "first");
    world.set_state("first", "Stop");
    agents(&mut world, &[("member3", Agent::Good)]);
    compare(&world, "08-stopping", "first");
    compare(&world, "09-stopped", "first");
    world.set_state("first", "Run");
    agents(&mut world, &[("member1", Agent::Slow)]);
    agents(&mut world, &[("member1", Agent::Good)]);
    compare(&world, "10-succeeded", "first");
}

#[test]
fn every_recorded_user_error_is_ours() {
    let dump = Dump::read("11-user-errors");
    let mut world = world(Scope::Cluster, &dump);
    let names = [
        "bad-strategy",
        "bad-placement",
        "bad-index",
        "bad-overlapping",
        "bad-leaves-one-out",
        "bad-sorted-by-missing-label",
    ];
    for name in names {
        let state = dump.run(name)["spec"]["state"].as_str().unwrap().to_owned();
        create(&mut world, &dump, name, &state);
    }
    world.wait(3);
    for name in names {
        // Fleet names whichever cluster its cache lists first; we name the first in order.
        let mut run = world.run(name).clone();
        for condition in &mut run.status.as_mut().unwrap().conditions {
            condition.message = condition
                .message
                .replace("order-x:` on cluster `member1`", "order-x:` on cluster `member3`");
        }
        world.runs.insert(name.to_owned(), run);
        compare(&world, "11-user-errors", name);
    }
}

#[test]
fn the_recorded_take_over_is_ours() {
    let (before, after) = (Dump::read("11-user-errors"), Dump::read("13-after"));
    let mut world = world(Scope::Cluster, &before);
    learn(&mut world, &after);
    world.content = Captured::Group { index: "1".to_owned() };
    let slow = ["member1", "member2", "member3"].map(|cluster| (cluster, Agent::Slow));
    create(&mut world, &after, "all-new", "Run");
    agents(&mut world, &slow);
    create(&mut world, &after, "preempting", "Run");
    world.settle();
    agents(&mut world, &slow.map(|(cluster, _)| (cluster, Agent::Good)));
    compare(&world, "13-after", "all-new");
    compare(&world, "13-after", "preempting");
}

#[test]
fn the_recorded_edit_of_a_strategy_changes_nothing() {
    let dump = Dump::read("15-strategy-edited-mid-run");
    let mut world = world(Scope::Cluster, &dump);
    learn(&mut world, &Dump::read("13-after"));
    create(&mut world, &dump, "rollback2", "Run");
    world.settle();
    learn(&mut world, &dump);
    world.wait(10);
    compare(&world, "15-strategy-edited-mid-run", "rollback2");
}

#[test]
fn the_recorded_abort_by_a_label_is_ours() {
    let dump = Dump::read("14-label-changed-mid-run");
    let mut world = world(Scope::Cluster, &dump);
    create(&mut world, &dump, "rollback", "Run");
    world.settle();
    world.members.get_mut("member3").unwrap().insert("environment".to_owned(), "other".to_owned());
    world.settle();
    // Fleet polls: its first stage had not noticed yet that it was done.
    let want = &dump.run("rollback")["status"];
    let mut want = want["conditions"].clone();
    let mut is =
        serde_json::to_value(&world.run("rollback").status.as_ref().unwrap().conditions).unwrap();
    blank_times(&mut want);
    blank_times(&mut is);
    assert_eq!(is, want);
}

#[test]
fn every_recorded_status_of_a_namespaced_run_is_ours() {
    let scope = Scope::Namespace("test-namespace".to_owned());
    let mut world = world(scope, &Dump::read("20-ns-placed"));
    world.content = Captured::Group { index: "0".to_owned() };
    create(&mut world, &Dump::read("21-ns-waiting"), "example-run", "Run");
    // Fleet writes an index of "" into the spec, which makes another generation.
    world.set_state("example-run", "Run");
    for member in ["member2", "member3", "member1"] {
        agents(
            &mut world,
            &[("member1", Agent::Slow), ("member2", Agent::Slow), ("member3", Agent::Slow)],
        );
        agents(&mut world, &[(member, Agent::Good)]);
        world.wait(10);
    }
    compare(&world, "21-ns-waiting", "example-run");
    world.approve("example-run-after-canary", Truth::True, Some(1));
    world.settle();
    compare(&world, "22-ns-succeeded", "example-run");
}

/// Whatever a hub at rest recorded is at rest for us, too: nothing is written, nothing is ordered.
#[test]
fn what_rests_on_a_real_hub_rests_here() {
    for (name, run) in [
        ("02-initialized", "first"),
        ("04-in-timed-wait", "first"),
        ("05-waiting-before-canary", "first"),
        ("06-stopped-at-gate", "first"),
        ("09-stopped", "first"),
        ("10-succeeded", "first"),
        ("13-after", "all-new"),
        ("13-after", "preempting"),
        ("15-strategy-edited-mid-run", "rollback2"),
        ("21-ns-waiting", "example-run"),
        ("22-ns-succeeded", "example-run"),
    ] {
        let dump = Dump::read(name);
        let namespace = dump.run(run)["metadata"]["namespace"].as_str();
        let mut world = world(Scope::of(namespace), &dump);
        world.approvals = dump
            .of("ApprovalRequest")
            .map(|request| {
                let name = request["metadata"]["name"].as_str().unwrap().to_owned();
                (name, object(request.clone()))
            })
            .collect();
        let recorded: tidegate::api::Run = object(dump.run(run).clone());
        let progressing = recorded.status.as_ref().unwrap().conditions.last().unwrap();
        world.now = progressing.last_transition_time.0;
        world.runs.insert(run.to_owned(), recorded);
        let step = world.look(run);
        assert_eq!((step.status, step.orders), (None, Vec::new()), "{run} at {name}");
    }
}
