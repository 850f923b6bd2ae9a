//! Anything may happen, in any order; what must hold holds, and when it is calm every run comes to its end.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate::{
    api::{
        self,
        binding::{ROLLOUT_STARTED, STATE_BOUND},
        condition::{Truth, fresh_truth, is_true, truth},
        run::{APPROVAL_REQUEST_APPROVED, INITIALIZED, SUCCEEDED},
    },
    model::{MaxConcurrency, Scope},
    rollout::{Wake, progress},
};

use super::world::{Agent, Fate, Faults, STRATEGY, World};

const CLUSTERS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// What people, members and the scheduler do.
#[derive(Clone, Debug)]
enum Event {
    Pass,
    Members,
    Tick(i64),
    Approve,
    ApproveWrongly,
    Disapprove,
    DeleteRequest,
    Stop,
    Go,
    Agent(usize, Agent),
    Bump(usize),
    Look,
}

fn event() -> impl Strategy<Value = Event> {
    let agent = prop_oneof![Just(Agent::Good), Just(Agent::Slow), Just(Agent::Broken)];
    prop_oneof![
        8 => Just(Event::Pass),
        4 => Just(Event::Members),
        2 => (0_i64..400).prop_map(Event::Tick),
        2 => Just(Event::Approve),
        1 => Just(Event::ApproveWrongly),
        1 => Just(Event::Disapprove),
        1 => Just(Event::DeleteRequest),
        1 => Just(Event::Stop),
        2 => Just(Event::Go),
        2 => (0..CLUSTERS.len(), agent).prop_map(|(at, agent)| Event::Agent(at, agent)),
        // The scheduler writes a binding that is not in flight.
        1 => (0..CLUSTERS.len()).prop_map(Event::Bump),
        1 => Just(Event::Look),
    ]
}

#[derive(Clone, Debug)]
struct Plan {
    /// The stage of each cluster, and its sorting number.
    clusters: Vec<(usize, i64)>,
    stages: Vec<(String, bool, bool, Option<u32>)>,
    /// Clusters that are no longer selected.
    dropped: usize,
    namespaced: bool,
    state: &'static str,
}

fn plan() -> impl Strategy<Value = Plan> {
    let stage = (
        prop_oneof![
            (1..5_u32).prop_map(|n| n.to_string()),
            (1..=100_u32).prop_map(|p| format!("{p}%"))
        ],
        any::<bool>(),
        any::<bool>(),
        proptest::option::of(1..600_u32),
    );
    (1..4_usize).prop_flat_map(move |stages| {
        (
            proptest::collection::vec((0..stages, -3..3_i64), 1..=CLUSTERS.len()),
            proptest::collection::vec(stage.clone(), stages),
            0..2_usize,
            any::<bool>(),
            prop_oneof![Just("Initialize"), Just("Run"), Just("Stop")],
        )
            .prop_map(|(clusters, stages, dropped, namespaced, state)| Plan {
                dropped: dropped.min(clusters.len() - 1),
                clusters,
                stages,
                namespaced,
                state,
            })
    })
}

fn stages_of(plan: &Plan) -> Value {
    let stages = plan.stages.iter().enumerate().map(|(at, (max, before, after, wait))| {
        let max = max.parse::<u32>().map_or_else(|_| json!(max), |count| json!(count));
        let mut stage = json!({
            "name": format!("s{at}"), "labelSelector": {"matchLabels": {"stage": at.to_string()}},
            "maxConcurrency": max, "sortingLabelKey": "order",
        });
        if *before {
            stage["beforeStageTasks"] = json!([{"type": "Approval"}]);
        }
        let mut tasks = Vec::new();
        if *after {
            tasks.push(json!({"type": "Approval"}));
        }
        if let Some(wait) = wait {
            tasks.push(json!({"type": "TimedWait", "waitTime": format!("{wait}s")}));
        }
        if !tasks.is_empty() {
            stage["afterStageTasks"] = json!(tasks);
        }
        stage
    });
    json!(stages.collect::<Vec<_>>())
}

fn world(plan: &Plan) -> World {
    let scope = if plan.namespaced { Scope::Namespace("team".to_owned()) } else { Scope::Cluster };
    let mut world = World::new(scope);
    for (name, (stage, order)) in CLUSTERS.iter().zip(&plan.clusters) {
        world.join(name, &[("stage", &stage.to_string()), ("order", &order.to_string())]);
    }
    world.set_strategy(STRATEGY, stages_of(plan));
    for name in CLUSTERS.iter().take(plan.dropped) {
        world.unschedule(name);
    }
    world.create_run("r", "1", plan.state);
    world
}

fn happen(world: &mut World, event: &Event) {
    let open: Vec<String> = world.approvals.keys().cloned().collect();
    match event {
        Event::Pass => drop(world.pass("r")),
        Event::Look => drop(progress(&world.run("r").into(), world.now)),
        Event::Members => drop(world.members_act()),
        Event::Tick(seconds) => world.now += jiff::SignedDuration::from_secs(*seconds),
        Event::Approve => open.iter().for_each(|name| world.approve(name, Truth::True, Some(1))),
        Event::ApproveWrongly => {
            open.iter().for_each(|name| world.approve(name, Truth::True, Some(2)))
        }
        Event::Disapprove => {
            open.iter().for_each(|name| world.approve(name, Truth::False, Some(1)))
        }
        Event::DeleteRequest => drop(open.first().map(|name| world.approvals.remove(name))),
        // Fleet's schema refuses a stop of a run that was never started.
        Event::Stop if world.run("r").spec.state.as_deref() == Some("Run") => {
            world.set_state("r", "Stop")
        }
        Event::Go if world.run("r").spec.state.as_deref() != Some("Run") => {
            world.set_state("r", "Run")
        }
        Event::Stop | Event::Go => {}
        Event::Agent(at, agent) => drop(world.agents.insert(CLUSTERS[*at].to_owned(), *agent)),
        Event::Bump(at) => bump_idle(world, CLUSTERS[*at]),
    }
}

fn bump_idle(world: &mut World, cluster: &str) {
    if let Some(binding) = world.bindings.get_mut(cluster)
        && binding.spec.state == "Scheduled"
    {
        super::world::bump(&mut binding.metadata);
    }
}

/// Stage order, concurrency and gates, as the members see them.
fn check_members(world: &World) {
    let Some(status) = &world.run("r").status else { return };
    let plans = status.staged_update_strategy_snapshot.iter().flat_map(|plans| &plans.stages);
    let mut ahead_done = true;
    for (stage, plan) in status.stages_status.iter().flatten().zip(plans) {
        let (mut touched, mut in_flight) = (0, 0);
        for cluster in &stage.clusters {
            let Some(binding) = world.bindings.get(&cluster.cluster_name) else { continue };
            let generation = binding.metadata.generation.unwrap_or_default();
            let held = binding.status.as_ref().map_or(&[][..], |status| &status.conditions);
            let fresh = |kind| fresh_truth(held, kind, generation) == Some(Truth::True);
            if binding.spec.state == STATE_BOUND {
                touched += 1;
                let done = world.served.contains(&(cluster.cluster_name.clone(), generation));
                in_flight += usize::from(!done && fresh(ROLLOUT_STARTED));
            }
        }
        let max = match plan.max_concurrency.as_ref().map(|max| serde_json::to_value(max).unwrap())
        {
            Some(Value::String(text)) => text.parse::<MaxConcurrency>().unwrap(),
            Some(Value::Number(count)) => MaxConcurrency::count(count.as_i64().unwrap()).unwrap(),
            _ => MaxConcurrency::ONE,
        };
        assert!(in_flight <= max.of(stage.clusters.len()), "stage {} is crowded", stage.stage_name);
        let gate = stage.before_stage_task_status.iter().flatten();
        let open =
            gate.into_iter().all(|task| is_true(&task.conditions, APPROVAL_REQUEST_APPROVED));
        assert!(touched == 0 || (ahead_done && open), "stage {} began too early", stage.stage_name);
        ahead_done &= is_true(&stage.conditions, SUCCEEDED);
    }
}

/// Nothing fails any more, everybody approves, time passes.
fn calm(world: &mut World) {
    world.faults = Faults::None;
    world.agents.clear();
    for _ in 0..100 {
        happen(world, &Event::Go);
        world.wait(1);
        happen(world, &Event::Approve);
        world.wait(600);
        if is_over(world.run("r")) {
            return;
        }
    }
    panic!("the run does not end: {}", progress(&world.run("r").into(), world.now));
}

fn is_over(run: &api::Run) -> bool {
    let held = run.status.as_ref().map_or(&[][..], |status| &status.conditions);
    truth(held, SUCCEEDED).is_some() || truth(held, INITIALIZED) == Some(Truth::False)
}

fn everything_is_done(world: &World) {
    let run = world.run("r");
    let progress = progress(&run.into(), world.now);
    assert_eq!(progress.failure, None);
    assert_eq!(progress.updated, progress.total);
    for binding in world.bindings.values() {
        let spec = &binding.spec;
        assert_eq!(
            (spec.state.as_str(), spec.resource_snapshot_name.as_str()),
            (STATE_BOUND, "web-1-snapshot")
        );
    }
}

/// A hundred worlds each, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 100, ..config },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn order_concurrency_and_gates_hold_whatever_happens(
        plan in plan(),
        events in proptest::collection::vec(event(), 0..120),
        seed in proptest::option::of(any::<u64>()),
    ) {
        let mut world = world(&plan);
        world.faults = seed.map_or(Faults::None, Faults::Some);
        for event in &events {
            happen(&mut world, event);
            check_members(&world);
        }
        calm(&mut world);
        everything_is_done(&world);
    }

    /// A scheduler, a second run, people who relabel: the run may end early, but it always ends, and says why.
    #[test]
    fn a_disturbed_run_ends_and_says_why(
        plan in plan(),
        events in proptest::collection::vec((event(), 0..40_u8), 0..80),
    ) {
        let mut world = world(&plan);
        for (event, disturbance) in &events {
            happen(&mut world, event);
            match disturbance {
                0 => world.create_run("other", "2", "Run"),
                1 => drop(world.members.get_mut("a").map(|labels| labels.insert("stage".to_owned(), "0".to_owned()))),
                2 if world.bindings.contains_key("b") => world.unschedule("b"),
                3 => world.set_policy("1", json!({"placementType": "PickAll"}), json!({})),
                4 => world.placement = None,
                _ => {}
            }
            if world.runs.contains_key("other") {
                world.pass("other");
            }
        }
        calm(&mut world);
        let progress = progress(&world.run("r").into(), world.now);
        prop_assert!(progress.is_over());
        prop_assert!(progress.failure.is_some() || progress.updated == progress.total);
    }
}

/// The waits that a world gives itself are honest: nothing happens before a wake, and something happens at it.
#[test]
fn a_wake_is_neither_early_nor_idle() {
    let mut world = world(&Plan {
        clusters: vec![(0, 0)],
        stages: vec![("1".to_owned(), false, false, Some(90))],
        dropped: 0,
        namespaced: false,
        state: "Run",
    });
    let due = world.settle().unwrap();
    assert_eq!(due, world.now + jiff::SignedDuration::from_secs(90));
    world.now = due - jiff::SignedDuration::from_secs(1);
    assert_eq!(world.pass("r"), (false, Wake::At(due)));
    world.now = due;
    assert!(world.pass("r").0);
}

/// Every write is lost once, or half done once: the run ends the same.
#[test]
fn a_run_survives_the_loss_of_any_one_write() {
    let plan = Plan {
        clusters: vec![(0, 0), (1, 1), (1, 0), (1, 2), (1, 3)],
        stages: vec![
            ("1".to_owned(), false, true, Some(60)),
            ("50%".to_owned(), true, false, None),
        ],
        dropped: 0,
        namespaced: false,
        state: "Run",
    };
    let play = |faults| {
        let mut world = world(&plan);
        world.unschedule("e");
        world.faults = faults;
        for _ in 0..4 {
            world.wait(60);
            check_members(&world);
            happen(&mut world, &Event::Approve);
        }
        world.wait(60);
        everything_is_done(&world);
        let mut status = serde_json::to_value(&world.run("r").status).unwrap();
        super::replay::blank_times(&mut status);
        (world.writes, status)
    };
    let (writes, calm) = play(Faults::None);
    assert!(writes > 15, "{writes} writes are too few to be the whole story");
    for nth in 0..writes {
        for fate in [Fate::Lost, Fate::Half] {
            let (_, shaken) = play(Faults::One(nth, fate));
            assert_eq!(shaken, calm, "after write {nth} was {fate:?}");
        }
    }
}

/// Two runs that want the same binding, and start at the same moment: one of them has it in the end.
#[test]
fn two_runs_do_not_chase_each_other_for_ever() {
    let mut world = world(&Plan {
        clusters: vec![(0, 0)],
        stages: vec![("1".to_owned(), false, false, None)],
        dropped: 0,
        namespaced: false,
        state: "Run",
    });
    world.create_run("other", "2", "Run");
    for _ in 0..5 {
        world.pass("r");
        world.pass("other");
    }
    world.settle();
    assert!(is_over(world.run("r")) && is_over(world.run("other")));
}
