//! A hub, a scheduler and member agents in memory, with a clock that is set by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tidegate::{
    api::{
        self, ApprovalRequest, Binding, Placement, PolicySnapshot, ResourceSnapshot, Strategy,
        approval::APPROVAL_ACCEPTED,
        binding::{
            APPLIED, AVAILABLE, OVERRIDDEN, ROLLOUT_STARTED, STATE_BOUND, STATE_UNSCHEDULED,
            WORK_SYNCHRONIZED,
        },
        condition::{self, Claim, Truth, fresh_truth},
        meta,
    },
    model::Scope,
    rollout::{Captured, Order, Run, Seen, Step, Transition, Wake, advance, transitions},
};

pub const PLACEMENT: &str = "web";
pub const STRATEGY: &str = "plan";

/// What a member's agent makes of a binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Agent {
    /// Applies at once, and is available at once.
    #[default]
    Good,
    /// Is applying, for ever.
    Slow,
    /// Fails to apply.
    Broken,
    /// Does nothing, not even let a binding go.
    Gone,
}

#[derive(Clone, Debug)]
pub struct World {
    pub now: Timestamp,
    pub scope: Scope,
    pub placement: Option<Placement>,
    pub strategies: BTreeMap<String, Strategy>,
    pub policies: Vec<PolicySnapshot>,
    /// By cluster.
    pub bindings: BTreeMap<String, Binding>,
    pub members: BTreeMap<String, BTreeMap<String, String>>,
    pub snapshots: Vec<ResourceSnapshot>,
    pub approvals: BTreeMap<String, ApprovalRequest>,
    pub runs: BTreeMap<String, api::Run>,
    pub agents: BTreeMap<String, Agent>,
    /// What a run with an empty index captures.
    pub content: Captured,
    /// What was ordered since the log was read.
    pub log: Vec<String>,
    /// What happened since it was told.
    pub told: Vec<Transition>,
    /// Clusters, and the generations of their bindings, that were available once.
    pub served: BTreeSet<(String, i64)>,
    /// What goes wrong.
    pub faults: Faults,
    /// How many writes there were.
    pub writes: usize,
}

/// What goes wrong with writes to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    None,
    /// This write, counted from 0, has this fate.
    One(usize, Fate),
    /// Three writes in ten, chosen by this seed.
    Some(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Done,
    /// Never reaches the hub.
    Lost,
    /// A binding's spec is written, its status is not. Other writes are done.
    Half,
}

impl Faults {
    fn fate(self, nth: usize) -> Fate {
        match self {
            Self::None => Fate::Done,
            Self::One(at, fate) if at == nth => fate,
            Self::One(..) => Fate::Done,
            Self::Some(seed) => {
                // SplitMix64.
                let mut z = seed.wrapping_add((nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                match (z ^ (z >> 31)) % 10 {
                    0 | 1 => Fate::Lost,
                    2 => Fate::Half,
                    _ => Fate::Done,
                }
            }
        }
    }
}

pub fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

impl World {
    pub fn new(scope: Scope) -> Self {
        let mut world = Self {
            now: start(),
            scope,
            placement: None,
            strategies: BTreeMap::new(),
            policies: Vec::new(),
            bindings: BTreeMap::new(),
            members: BTreeMap::new(),
            snapshots: Vec::new(),
            approvals: BTreeMap::new(),
            runs: BTreeMap::new(),
            agents: BTreeMap::new(),
            content: Captured::Group { index: "1".to_owned() },
            log: Vec::new(),
            told: Vec::new(),
            served: BTreeSet::new(),
            faults: Faults::None,
            writes: 0,
        };
        world.placement = Some(object(json!({
            "metadata": world.metadata(PLACEMENT),
            "spec": {"resourceSelectors": [], "strategy": {"type": "External"}},
        })));
        world.set_policy("0", json!({"placementType": "PickAll"}), json!({}));
        for index in ["0", "1", "2"] {
            world.snapshots.push(object(json!({
                "metadata": {
                    "name": format!("{PLACEMENT}-{index}-snapshot"),
                    "labels": {meta::RESOURCE_INDEX: index, meta::PARENT_PLACEMENT: PLACEMENT},
                    "annotations": {meta::RESOURCE_HASH: index},
                },
                "spec": {},
            })));
        }
        world
    }

    pub fn metadata(&self, name: &str) -> Value {
        json!({"name": name, "namespace": self.scope.namespace(), "generation": 1})
    }

    /// Makes `policy` the latest one, fulfilled, and schedules every binding by it.
    pub fn set_policy(&mut self, index: &str, policy: Value, annotations: Value) {
        for old in &mut self.policies {
            old.metadata
                .labels
                .as_mut()
                .unwrap()
                .insert(meta::IS_LATEST_SNAPSHOT.to_owned(), "false".to_owned());
        }
        let name = format!("{PLACEMENT}-{index}");
        self.policies.push(object(json!({
            "metadata": {
                "name": name, "generation": 1, "annotations": annotations,
                "labels": {meta::IS_LATEST_SNAPSHOT: "true", meta::POLICY_INDEX: index},
            },
            "spec": {"policy": policy, "policyHash": ""},
            "status": {"observedCRPGeneration": 1, "conditions": [{
                "type": "Scheduled", "status": "True", "reason": "SchedulingPolicyFulfilled", "message": "",
                "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        })));
        for binding in self.bindings.values_mut() {
            if binding.spec.state != STATE_UNSCHEDULED {
                binding.spec.scheduling_policy_snapshot_name = name.clone();
                bump(&mut binding.metadata);
            }
        }
    }

    /// Adds a member, and schedules the placement to it.
    pub fn join(&mut self, cluster: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.members.insert(cluster.to_owned(), labels.collect());
        let policy = self.policies.last().unwrap().metadata.name.clone();
        let binding = object(json!({
            "metadata": {
                "name": format!("{PLACEMENT}-{cluster}"), "namespace": self.scope.namespace(), "generation": 1,
                "labels": {meta::PARENT_PLACEMENT: PLACEMENT},
                "finalizers": [meta::BINDING_FINALIZER],
            },
            "spec": {
                "state": "Scheduled", "resourceSnapshotName": "", "schedulingPolicySnapshotName": policy,
                "targetCluster": cluster, "clusterDecision": {"clusterName": cluster, "selected": true, "reason": ""},
            },
        }));
        self.bindings.insert(cluster.to_owned(), binding);
    }

    /// The scheduler no longer picks the cluster.
    pub fn unschedule(&mut self, cluster: &str) {
        let binding = self.bindings.get_mut(cluster).unwrap();
        STATE_UNSCHEDULED.clone_into(&mut binding.spec.state);
        bump(&mut binding.metadata);
    }

    pub fn set_strategy(&mut self, name: &str, stages: Value) {
        let strategy = object(json!({"metadata": self.metadata(name), "spec": {"stages": stages}}));
        self.strategies.insert(name.to_owned(), strategy);
    }

    pub fn create_run(&mut self, name: &str, index: &str, state: &str) {
        let mut metadata = self.metadata(name);
        metadata["creationTimestamp"] = json!(self.now);
        let run = object(json!({"metadata": metadata, "spec": {
            "placementName": PLACEMENT, "resourceSnapshotIndex": index,
            "stagedRolloutStrategyName": STRATEGY, "state": state,
        }}));
        self.runs.insert(name.to_owned(), run);
    }

    pub fn set_state(&mut self, run: &str, state: &str) {
        let run = self.runs.get_mut(run).unwrap();
        run.spec.state = Some(state.to_owned());
        bump(&mut run.metadata);
    }

    pub fn delete_run(&mut self, run: &str) {
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.now);
        let Some(held) = self.runs.get_mut(run) else { return };
        held.metadata.deletion_timestamp = Some(now);
        if held.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
            self.runs.remove(run);
        }
    }

    pub fn approve(&mut self, request: &str, truth: Truth, generation: Option<i64>) {
        let now = self.now;
        let Some(request) = self.approvals.get_mut(request) else { return };
        // As a merge patch of the status does: the whole list is replaced.
        let mut conditions = Vec::new();
        condition::set(&mut conditions, Claim::new("Approved", truth, "lgtm", "lgtm"), 1, now);
        conditions[0].observed_generation = generation;
        request.status.get_or_insert_default().conditions = conditions;
    }

    pub fn run(&self, name: &str) -> &api::Run {
        &self.runs[name]
    }

    pub fn seen(&self, run: &api::Run) -> Seen {
        let arcs = |bindings: &BTreeMap<String, Binding>| {
            bindings.values().cloned().map(Arc::new).collect()
        };
        Seen {
            placement: self
                .placement
                .clone()
                .filter(|placement| {
                    placement.metadata.name.as_deref() == Some(&run.spec.placement_name)
                })
                .map(Arc::new),
            strategy: self
                .strategies
                .get(&run.spec.staged_rollout_strategy_name)
                .cloned()
                .map(Arc::new),
            policy_snapshots: self.policies.iter().cloned().map(Arc::new).collect(),
            bindings: arcs(&self.bindings),
            members: self.members.clone(),
            snapshots: self.snapshots.iter().cloned().map(Arc::new).collect(),
            approvals: self
                .approvals
                .iter()
                .map(|(k, v)| (k.clone(), Arc::new(v.clone())))
                .collect(),
            ..Seen::default()
        }
    }

    /// Decides, without carrying anything out.
    pub fn look(&self, name: &str) -> Step {
        let run = self.run(name);
        // Nothing survives a pass but what the hub holds.
        let run: api::Run = object(serde_json::to_value(run).unwrap());
        let mut seen = self.seen(&run);
        let mut step = advance(&Run::from(&run), &seen, self.now);
        if step.orders == [Order::CaptureSnapshot] {
            seen.captured = Some(self.content.clone());
            step = advance(&Run::from(&run), &seen, self.now);
        }
        step
    }

    /// Looks again after a pass that gave orders, as the controller does: a run that wrote a binding finds it written
    /// before another run can take it away.
    pub fn reconcile(&mut self, name: &str) -> (bool, Wake) {
        let log = self.log.len();
        let (changed, wake) = self.pass(name);
        if self.log.len() == log { (changed, wake) } else { (true, self.pass(name).1) }
    }

    /// One pass of one run. Returns whether anything came of it, and when to look again.
    pub fn pass(&mut self, name: &str) -> (bool, Wake) {
        if !self.runs.contains_key(name) {
            return (false, Wake::OnChange);
        }
        let step = self.look(name);
        tidegate::rollout::invariant::check_step(&Run::from(self.run(name)), &step)
            .unwrap_or_else(|broken| panic!("{name}: {broken:?}"));
        let changed = step.status.is_some() || !step.orders.is_empty();
        for order in &step.orders {
            match self.fate() {
                Fate::Lost => {
                    self.log.push(format!("{name}: lost: {}", words(order)));
                    if *order == Order::DeleteApprovals {
                        break;
                    }
                }
                fate => {
                    self.log.push(format!("{name}: {}", words(order)));
                    self.carry_out(name, order, fate);
                }
            }
        }
        if let Some(status) = step.status
            && self.runs.contains_key(name)
            && self.fate() != Fate::Lost
        {
            let run = self.runs.get_mut(name).unwrap();
            self.told.extend(transitions(run.status.as_ref(), &status));
            run.status = Some(status);
        }
        (changed, step.wake)
    }

    fn fate(&mut self) -> Fate {
        self.writes += 1;
        self.faults.fate(self.writes - 1)
    }

    fn carry_out(&mut self, name: &str, order: &Order, fate: Fate) {
        let now = self.now;
        match order {
            Order::AddFinalizer => {
                let run = self.runs.get_mut(name).unwrap();
                run.metadata.finalizers = Some(vec![meta::RUN_FINALIZER.to_owned()]);
            }
            Order::RemoveFinalizer => drop(self.runs.remove(name)),
            Order::CaptureSnapshot => {}
            Order::Bind(bind) => {
                let binding = self.binding(&bind.binding);
                STATE_BOUND.clone_into(&mut binding.spec.state);
                binding.spec.resource_snapshot_name.clone_from(&bind.snapshot);
                binding.spec.apply_strategy.clone_from(&bind.apply_strategy);
                binding.spec.resource_override_snapshots.clone_from(&bind.resource_overrides);
                binding
                    .spec
                    .cluster_resource_override_snapshots
                    .clone_from(&bind.cluster_overrides);
                bump(&mut binding.metadata);
                if fate == Fate::Done {
                    announce(binding, &bind.message, now);
                }
            }
            Order::MarkRolloutStarted { binding, message } => {
                announce(self.binding(binding), message, now);
            }
            Order::DeleteBinding { binding } => {
                let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now);
                self.binding(binding).metadata.deletion_timestamp.get_or_insert(time);
            }
            Order::CreateApproval { name: request, stage, .. } => {
                let metadata = self.metadata(request);
                self.approvals.entry(request.clone()).or_insert_with(|| {
                    object(json!({"metadata": metadata, "spec": {"parentStageRollout": name, "targetStage": stage}}))
                });
            }
            Order::AcceptApproval { name: request, generation } => {
                if let Some(request) = self.approvals.get_mut(request) {
                    let status = request.status.get_or_insert_default();
                    let claim = Claim::new(
                        APPROVAL_ACCEPTED,
                        Truth::True,
                        "ApprovalRequestApprovalAccepted",
                        "",
                    );
                    condition::set(&mut status.conditions, claim, *generation, now);
                }
            }
            Order::DeleteApprovals => {
                self.approvals.retain(|_, request| request.spec.parent_stage_rollout != name);
            }
        }
    }

    fn binding(&mut self, name: &str) -> &mut Binding {
        self.bindings
            .values_mut()
            .find(|binding| binding.metadata.name.as_deref() == Some(name))
            .expect("orders name bindings that exist")
    }

    /// Members do their part. Returns whether anything changed.
    pub fn members_act(&mut self) -> bool {
        let now = self.now;
        let agents = self.agents.clone();
        let agent = |cluster: &str| agents.get(cluster).copied().unwrap_or_default();
        let before = self.bindings.len();
        self.bindings.retain(|cluster, binding| {
            binding.metadata.deletion_timestamp.is_none() || agent(cluster) == Agent::Gone
        });
        let mut changed = self.bindings.len() != before;
        for (cluster, binding) in &mut self.bindings {
            let generation = binding.metadata.generation.unwrap_or_default();
            let status = binding.status.get_or_insert_default();
            let started = fresh_truth(&status.conditions, ROLLOUT_STARTED, generation);
            if binding.spec.state != STATE_BOUND || started != Some(Truth::True) {
                continue;
            }
            let (truth, reason) = match agent(cluster) {
                Agent::Good => (Truth::True, "AllWorkHaveBeenApplied"),
                Agent::Slow => (Truth::False, "ApplyInProgress"),
                Agent::Broken => (Truth::False, "NotAllWorkHaveBeenApplied"),
                Agent::Gone => continue,
            };
            let old = status.conditions.clone();
            let mut set = |kind, truth, reason: &str| {
                condition::set(
                    &mut status.conditions,
                    Claim::new(kind, truth, reason, ""),
                    generation,
                    now,
                );
            };
            set(OVERRIDDEN, Truth::True, "NoOverrideSpecified");
            set(WORK_SYNCHRONIZED, Truth::True, "AllWorkSynced");
            set(APPLIED, truth, reason);
            if truth == Truth::True {
                set(AVAILABLE, Truth::True, "AllWorkAreAvailable");
                self.served.insert((cluster.clone(), generation));
            } else {
                condition::remove(&mut status.conditions, AVAILABLE);
            }
            changed |= status.conditions != old;
        }
        changed
    }

    /// Runs and members act until nothing changes. Returns the next time at which something will.
    pub fn settle(&mut self) -> Option<Timestamp> {
        for _ in 0..1_000 {
            let mut changed = false;
            let mut next = None;
            for name in self.runs.keys().cloned().collect::<Vec<_>>() {
                let (did, wake) = self.reconcile(&name);
                changed |= did;
                if let Wake::At(time) = wake {
                    next = next.into_iter().chain([time]).min();
                }
            }
            changed |= self.members_act();
            if !changed {
                return next;
            }
        }
        panic!("the world does not come to rest: {:#?}", self.log);
    }

    /// Lets time pass, and looks whenever a run asked for it.
    pub fn wait(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        while let Some(next) = self.settle().filter(|next| *next <= end) {
            assert!(next > self.now, "a wake in the past");
            self.now = next;
        }
        self.now = end;
        self.settle();
    }
}

pub fn bump(metadata: &mut kube::core::ObjectMeta) {
    metadata.generation = Some(metadata.generation.unwrap_or_default() + 1);
}

fn announce(binding: &mut Binding, message: &str, now: Timestamp) {
    let generation = binding.metadata.generation.unwrap_or_default();
    let status = binding.status.get_or_insert_default();
    condition::remove(&mut status.conditions, ROLLOUT_STARTED);
    let claim = Claim::new(ROLLOUT_STARTED, Truth::True, ROLLOUT_STARTED, message);
    condition::set(&mut status.conditions, claim, generation, now);
}

/// Writes an order in few words.
pub fn words(order: &Order) -> String {
    match order {
        Order::AddFinalizer => "add finalizer".to_owned(),
        Order::RemoveFinalizer => "remove finalizer".to_owned(),
        Order::CaptureSnapshot => "capture".to_owned(),
        Order::Bind(bind) => format!("bind {} to {}", bind.cluster, bind.snapshot),
        Order::MarkRolloutStarted { binding, .. } => format!("announce {binding}"),
        Order::DeleteBinding { binding } => format!("delete {binding}"),
        Order::CreateApproval { name, .. } => format!("request {name}"),
        Order::AcceptApproval { name, .. } => format!("accept {name}"),
        Order::DeleteApprovals => "delete requests".to_owned(),
    }
}
