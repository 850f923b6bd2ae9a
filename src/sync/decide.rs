//! The pass itself.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Apply, ApplyOutcome, Git, News, Order, Pass, Seen, Tip, approval,
    inventory::{self, ALLOW_PRUNE, Prune},
    pass::entry,
    release::{self, Before, Newest},
    status::{self, Finding, State, Steps},
};
use crate::{
    api::{
        Run, condition, meta,
        rollout::{
            APPLIED, BOUND, InventoryEntry, OUTCOME_ACTIVE, OUTCOME_FAILED, OUTCOME_SUPERSEDED,
            RENDERED, Release, RolloutSpec, RolloutStatus, SOURCE_VERIFIED, SourceStatus, reason,
        },
        run::{INITIALIZED, RunSpec, STATE_INITIALIZE, STATE_RUN, STATE_STOP},
    },
    model::{CommitId, ObjectKey, SnapshotIndex},
    placement::snapshot::Group,
    release::{
        Bound, Content, Difference, bind,
        ledger::{STOPPED_BY, annotation, attempts, ledger},
        name::run_name,
        prove,
    },
    render::{
        Start, Wanted,
        object::{self, RunFor, STOPPED_FAILURE, STOPPED_SUSPEND},
    },
    rollout::{Phase, Progress},
};

/// Annotation on a Rollout on the hub: a tip that may be followed although history was rewritten.
pub const ACCEPT: &str = "gitops.tidegate.dev/accept";
/// Annotation on a Rollout on the hub: digest of its object in Git.
pub const SPEC_DIGEST: &str = "gitops.tidegate.dev/spec-digest";
/// After a captured snapshot turned out to hold other content, so long until the next attempt.
const CAPTURE_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// What is being scheduled or written is looked at again after so long, should no watch tell.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// Decides the next step for one Rollout.
///
/// Deterministic: equal arguments give equal passes. The status claims only what `seen` shows.
pub fn decide(seen: &Seen, now: Timestamp) -> Pass {
    let held = seen.rollout.as_ref().and_then(|rollout| rollout.status.clone());
    let mut desk = Desk {
        seen,
        now,
        status: held.unwrap_or_default(),
        steps: Steps::default(),
        orders: Vec::new(),
        current: None,
    };
    desk.rebuild_ledger();
    let finding = match &seen.git {
        Git::Unread(why) => {
            desk.steps.under_way(SOURCE_VERIFIED, reason::WAITING, why.clone());
            desk.follow(None);
            Finding::waits(reason::WAITING, why.clone())
        }
        Git::Tip(tip) => desk.tip(tip),
    };
    desk.finish(finding)
}

struct Desk<'a> {
    seen: &'a Seen,
    now: Timestamp,
    status: RolloutStatus,
    steps: Steps,
    orders: Vec<Order>,
    /// The run that rolls out now, or was the last to.
    current: Option<Arc<Run>>,
}

/// A step was ordered: the rest of the pass waits for it.
enum Halt {
    /// With these words.
    At(Finding),
}

type Flow<T> = Result<T, Halt>;

fn halt<T>(finding: Finding) -> Flow<T> {
    Err(Halt::At(finding))
}

impl Desk<'_> {
    fn spec(&self) -> RolloutSpec {
        self.seen.rollout.as_ref().map(|rollout| rollout.spec.clone()).unwrap_or_default()
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        let annotations = self.seen.rollout.as_ref()?.metadata.annotations.as_ref()?;
        annotations.get(key).map(String::as_str)
    }

    fn rebuild_ledger(&mut self) {
        let limit = self.spec().history.unwrap_or(10).clamp(1, 100) as usize;
        let ours: Vec<Arc<Run>> = release::ours(self.seen).cloned().collect();
        self.status.history = ledger(&self.status.history, &ours, limit, self.now);
        let newest = self.status.history.last().map(|release| release.run.clone());
        self.current = newest.and_then(|name| {
            ours.into_iter().find(|run| run.metadata.name.as_deref() == Some(name.as_str()))
        });
    }

    fn progress(&self) -> Option<Progress> {
        self.current.as_ref().map(|run| release::progress_of(run, self.now))
    }

    /// Keeps what depends on the run alone up to date: approvals and columns.
    fn follow(&mut self, next: Option<&CommitId>) {
        let mut records = std::mem::take(&mut self.status.approvals);
        let current = self.current.clone();
        let running = current.as_deref().filter(|run| !release::is_over(run));
        let suspended = self.spec().suspend == Some(true);
        if !suspended {
            let orders = approval::review(self.seen, &mut records, running, next, self.now);
            self.orders.extend(orders);
        }
        self.status.approvals = records;
        self.status.plan =
            current.as_deref().and_then(approval::plan).map(|digest| digest.to_string());
        if let Some(release) = self.status.history.last() {
            self.status.run = Some(release.run.clone());
        }
    }

    fn tip(&mut self, tip: &Tip) -> Finding {
        let flow = self.accept(tip).and_then(|()| {
            self.follow(Some(&tip.content_commit));
            let wanted = self.rendered(tip)?;
            self.write_rollout(wanted)?;
            self.suspend()?;
            let content = self.apply(tip, wanted)?;
            let bound = self.bind(wanted, &content)?;
            self.release(tip, wanted, &content, bound)
        });
        match flow {
            Ok(finding) | Err(Halt::At(finding)) => finding,
        }
    }

    /// Takes note of new commits, before anything is done about them.
    fn accept(&mut self, tip: &Tip) -> Flow<()> {
        if self.seen.rollout.is_none() {
            return Ok(());
        }
        let allowed = self.annotation(ACCEPT) == Some(tip.commit.as_str());
        let policy = self.status.source.as_ref().and_then(|source| source.policy_commit.clone());
        let policy = match &tip.news {
            News::Rewritten(why) if !allowed => {
                self.follow(None);
                self.steps.failed(SOURCE_VERIFIED, reason::HISTORY_REWRITTEN, why.clone());
                let namespace = &self.seen.namespace;
                return halt(Finding::stalled(
                    reason::HISTORY_REWRITTEN,
                    format!(
                        "{why}; nothing changes until somebody accepts it: kubectl annotate --overwrite rollout {} -n {namespace} {ACCEPT}={}",
                        self.seen.name.name, tip.commit
                    ),
                ));
            }
            News::First { policy_commit } => policy_commit.as_ref().map(ToString::to_string),
            News::Commits { approvals, policy_commit } => {
                approval::remember(&mut self.status.approvals, approvals);
                policy_commit.as_ref().map(ToString::to_string)
            }
            News::None | News::Rewritten(_) => policy,
        };
        let path = tip.path.clone().or_else(|| self.status.source.as_ref().map(|s| s.path.clone()));
        self.status.source = Some(SourceStatus {
            repository: tip.repository.clone(),
            reference: tip.reference.clone(),
            folder: tip.folder.clone(),
            path: path.unwrap_or_default(),
            commit: tip.commit.to_string(),
            policy_commit: policy,
        });
        let message = format!("{} at {}", tip.reference, tip.commit.short());
        match &tip.trouble {
            None => self.steps.done(SOURCE_VERIFIED, reason::ACCEPTED, message),
            Some(trouble) => self.steps.done(
                SOURCE_VERIFIED,
                reason::ACCEPTED,
                format!("{message}; since then it cannot be read: {trouble}"),
            ),
        }
        Ok(())
    }

    fn rendered<'t>(&mut self, tip: &'t Tip) -> Flow<&'t Wanted> {
        let faults = match &tip.wanted {
            Ok(wanted) => {
                let count = wanted.content.len();
                let text = format!("{count} objects in {}", shown(&wanted.content_path));
                self.steps.done(RENDERED, reason::DONE, text);
                return Ok(wanted);
            }
            Err(faults) => faults,
        };
        if self.seen.rollout.is_none() {
            // It has to be seen to be mended.
            if let Some(object) = &tip.object {
                self.orders.push(Order::WriteRollout(object.clone()));
            }
        }
        if tip.path.is_none() {
            let message = format!(
                "the Rollout is not in the repository at {}: nothing of it is changed or deleted; delete it here when it is no longer needed",
                tip.commit.short()
            );
            self.steps.failed(RENDERED, reason::NOT_IN_REPOSITORY, message.clone());
            return halt(Finding::stalled(reason::NOT_IN_REPOSITORY, message));
        }
        let texts: Vec<String> = faults.iter().take(5).map(ToString::to_string).collect();
        let more = faults.len().saturating_sub(texts.len());
        let mut message = texts.join("; ");
        if more > 0 {
            message.push_str(&format!("; and {more} more"));
        }
        self.steps.failed(RENDERED, reason::INVALID, message.clone());
        let running = self.progress().filter(|progress| !progress.is_over());
        let message = match (&self.status.run, running) {
            (Some(run), Some(_)) => format!("{message}; run {run} of an earlier commit goes on"),
            _ => message,
        };
        halt(Finding::stalled(reason::INVALID, format!("commit {}: {message}", tip.commit.short())))
    }

    fn write_rollout(&mut self, wanted: &Wanted) -> Flow<()> {
        let mut object = object::rollout(wanted, &self.seen.namespace);
        let digest = crate::model::Digest::of(object.to_string().as_bytes());
        if self.annotation(SPEC_DIGEST) == Some(digest.as_str()) {
            return Ok(());
        }
        object["metadata"]["annotations"][SPEC_DIGEST] = digest.as_str().into();
        self.orders.push(Order::WriteRollout(object));
        halt(Finding::waits(reason::PROGRESSING, "the Rollout is written to the hub"))
    }

    /// Stops the run of a suspended Rollout, and resumes it afterwards.
    fn suspend(&mut self) -> Flow<()> {
        let running = self.current.clone().filter(|run| !release::is_over(run));
        let ours = |run: &Run| annotation(run, STOPPED_BY) == Some(STOPPED_SUSPEND);
        if self.spec().suspend != Some(true) {
            if let Some(run) = running.filter(|run| ours(run)) {
                let name = run.metadata.name.clone().unwrap_or_default();
                self.orders.push(Order::SetRunState {
                    run: name,
                    state: STATE_RUN,
                    stopped_by: None,
                });
                return halt(Finding::waits(reason::ROLLING_OUT, "the run is resumed"));
            }
            return Ok(());
        }
        if let Some(run) = &running
            && release::state(run) == STATE_RUN
        {
            self.orders.push(Order::SetRunState {
                run: run.metadata.name.clone().unwrap_or_default(),
                state: STATE_STOP,
                stopped_by: Some(STOPPED_SUSPEND),
            });
        }
        let what = match &running {
            None => "no run is made".to_owned(),
            Some(run) if release::state(run) == STATE_INITIALIZE => {
                format!("run {} is not started", run.metadata.name.clone().unwrap_or_default())
            }
            Some(run) => {
                format!("run {} is stopped", run.metadata.name.clone().unwrap_or_default())
            }
        };
        halt(Finding::waits(
            reason::SUSPENDED,
            format!(
                "the Rollout is suspended: {what}, and new commits are not applied; set spec.suspend to false in {} to go on",
                self.status.source.as_ref().map(|s| s.path.clone()).unwrap_or_default()
            ),
        ))
    }

    fn apply(&mut self, tip: &Tip, wanted: &Wanted) -> Flow<Content> {
        let entries: Vec<InventoryEntry> = wanted.objects().map(|m| entry(&m.key)).collect();
        let prune = match inventory::prune(&self.status.inventory, &entries) {
            Prune::Delete(keys) => keys,
            Prune::Ask(keys) if self.annotation(ALLOW_PRUNE) == Some(tip.commit.as_str()) => keys,
            Prune::Ask(keys) => return self.ask(tip, &keys),
        };
        if self.queued(wanted) {
            let run = self.status.run.clone().unwrap_or_default();
            return halt(Finding::waits(
                reason::QUEUED,
                format!("commit {} waits until run {run} is over", tip.content_commit.short()),
            ));
        }
        let place = |manifest: &crate::manifest::Manifest| manifest.place.to_string();
        let apply = Apply {
            key: String::new(),
            content: wanted.content.iter().map(|m| (object::content(m), place(m))).collect(),
            prune,
            last: wanted
                .strategies()
                .map(|strategy| (object::strategy(wanted, strategy), place(strategy)))
                .chain(
                    object::placement(wanted, &tip.content_commit)
                        .zip(wanted.placement.as_ref().map(place)),
                )
                .collect(),
            namespace: wanted.scope.namespace().map(str::to_owned),
        }
        .keyed();
        match &self.seen.applied {
            Some((key, ApplyOutcome::Done(content)))
                if *key == apply.key && apply.prune.is_empty() =>
            {
                self.status.inventory = entries;
                let text = format!("{} objects", content.objects.len());
                self.steps.done(APPLIED, reason::DONE, text);
                Ok(content.clone())
            }
            Some((key, ApplyOutcome::Done(content))) if *key == apply.key => {
                // What was to go is gone: the next inventory says so.
                self.status.inventory = entries;
                self.steps.done(APPLIED, reason::DONE, "pruned");
                Ok(content.clone())
            }
            Some((key, ApplyOutcome::Failed { reason: why, message, applied, retried }))
                if *key == apply.key =>
            {
                self.remember_inventory(&entries);
                let message = format!("{message}; {applied} objects were applied before it");
                self.steps.failed(APPLIED, why, message.clone());
                if *retried {
                    return halt(Finding::waits(why, message).until(self.now + LOOK_AGAIN));
                }
                halt(Finding::stalled(why, message))
            }
            _ => {
                self.remember_inventory(&entries);
                self.steps.under_way(APPLIED, reason::APPLYING, "objects are applied");
                self.orders.push(Order::Apply(Box::new(apply)));
                halt(Finding::waits(
                    reason::APPLYING,
                    format!("commit {} is applied to the hub", tip.content_commit.short()),
                ))
            }
        }
    }

    /// Names every object in the inventory before it exists on the hub.
    fn remember_inventory(&mut self, wanted: &[InventoryEntry]) {
        for entry in wanted {
            if !self.status.inventory.contains(entry) {
                self.status.inventory.push(entry.clone());
            }
        }
    }

    fn ask(&mut self, tip: &Tip, keys: &[ObjectKey]) -> Flow<Content> {
        let names: Vec<String> = keys.iter().take(5).map(ToString::to_string).collect();
        let message = format!(
            "commit {} would delete {} of {} objects ({}{}); nothing is applied until somebody allows it: kubectl annotate --overwrite rollout {} -n {} {ALLOW_PRUNE}={}",
            tip.commit.short(),
            keys.len(),
            self.status.inventory.len(),
            names.join(", "),
            if keys.len() > names.len() { ", …" } else { "" },
            self.seen.name.name,
            self.seen.namespace,
            tip.commit,
        );
        self.steps.failed(APPLIED, reason::PRUNE_HELD, message.clone());
        halt(Finding::stalled(reason::PRUNE_HELD, message))
    }

    fn queued(&self, wanted: &Wanted) -> bool {
        let older = |run: &Arc<Run>| {
            !release::is_over(run)
                && release::state(run) != STATE_INITIALIZE
                && annotation(run, meta::CONTENT_DIGEST) != Some(wanted.digest.as_str())
        };
        wanted.intent.when_superseded == crate::render::WhenSuperseded::Queue
            && release::ours(self.seen).any(older)
    }

    /// Finds the index, or says what is missing. Nothing: the content has to be captured by a run.
    fn bind(
        &mut self,
        wanted: &Wanted,
        content: &Content,
    ) -> Flow<Option<(SnapshotIndex, String)>> {
        let groups = Group::all(&self.seen.snapshots);
        let newest = match bind(&groups, content) {
            Bound::Proved { index, hash } => {
                self.status.unbound_since = None;
                self.status.refused_index = None;
                let text = format!("index {index} holds the {} objects", content.objects.len());
                self.steps.done(BOUND, reason::PROVED, text);
                return Ok(Some((index, hash)));
            }
            Bound::Absent { newest, .. } => newest,
        };
        let since = match &self.status.unbound_since {
            Some(since) => since.0,
            None => {
                let now = condition::whole_seconds(self.now);
                self.status.unbound_since = Some(Time(now));
                self.now
            }
        };
        let difference = match &newest {
            None => "there is no snapshot yet".to_owned(),
            Some((index, difference)) => format!("index {index}: {difference}"),
        };
        let refused = self.status.refused_index.is_some();
        let patience = if refused { CAPTURE_AGAIN } else { self.seen.patience };
        let due = since + patience;
        // A run that is already capturing for this content is left to finish.
        let capturing = self.current.as_ref().is_some_and(|run| is_capture(run, wanted));
        if self.now < due && !capturing {
            let foreign = matches!(&newest, Some((_, Difference::Extra(_))));
            if refused || (foreign && self.now >= since + self.seen.patience) {
                let message = format!(
                    "no snapshot holds exactly the objects of the commit; {difference}; change the placement's selectors, or the objects on the hub"
                );
                self.steps.failed(BOUND, reason::CONTENT_DIFFERS, message.clone());
                return halt(Finding::stalled(reason::CONTENT_DIFFERS, message).until(due));
            }
            let message = format!("no snapshot holds the commit's objects yet; {difference}");
            self.steps.under_way(BOUND, reason::WAITING_FOR_SNAPSHOT, message.clone());
            return halt(Finding::waits(reason::WAITING_FOR_SNAPSHOT, message).until(due));
        }
        let message = format!("a run captures the content; {difference}");
        self.steps.under_way(BOUND, reason::WAITING_FOR_SNAPSHOT, message);
        Ok(None)
    }

    fn release(
        &mut self,
        tip: &Tip,
        wanted: &Wanted,
        content: &Content,
        bound: Option<(SnapshotIndex, String)>,
    ) -> Flow<Finding> {
        let index = bound.as_ref().map(|(index, _)| *index);
        let newest = self.status.history.last().cloned();
        self.status.content_digest = Some(wanted.digest.to_string());
        if release::newest(newest.as_ref(), wanted.digest.as_str(), index) == Newest::Same {
            let newest = newest.unwrap_or_default();
            self.show(&newest.commit, newest.index.clone());
            return self.drive(wanted, content, &newest);
        }
        let moving = release::ours(self.seen).any(|run| !release::is_over(run));
        if let (Some(index), false) = (index, moving)
            && release::is_everywhere(self.seen, index)
        {
            self.show(tip.content_commit.as_str(), Some(index.to_string()));
            return Ok(Finding::new(
                State::Ready,
                reason::NO_CHANGE,
                format!(
                    "nothing to roll out: every cluster has the content of {} (index {index}) already",
                    tip.content_commit.short()
                ),
            ));
        }
        match release::supersede(self.seen, None, wanted.intent.when_superseded, self.now) {
            Before::Orders(orders) => {
                self.orders.extend(orders);
                return halt(Finding::waits(
                    reason::SUPERSEDING,
                    format!("commit {} takes over", tip.content_commit.short()),
                ));
            }
            Before::Settling(run) => {
                return halt(
                    Finding::waits(
                        reason::SUPERSEDING,
                        format!(
                            "commit {} takes over as soon as the clusters in flight of run {run} have settled",
                            tip.content_commit.short()
                        ),
                    )
                    .until(self.now + LOOK_AGAIN),
                );
            }
            Before::Queued(run) => {
                return halt(Finding::waits(
                    reason::QUEUED,
                    format!("commit {} waits until run {run} is over", tip.content_commit.short()),
                ));
            }
            Before::Clear => {}
        }
        if let Some(run) = release::foreign(self.seen) {
            let name = run.metadata.name.clone().unwrap_or_default();
            return halt(Finding::waits(
                reason::PLACEMENT_BUSY,
                format!(
                    "run {name}, which was not made for this Rollout, moves clusters of placement {}; it must be over, stopped or deleted first",
                    wanted.intent.placement
                ),
            ));
        }
        self.create(tip, wanted, bound)
    }

    fn show(&mut self, commit: &str, index: Option<String>) {
        self.status.commit = Some(commit.to_owned());
        self.status.revision = Some(commit.chars().take(8).collect());
        self.status.index = index;
    }

    fn create(
        &mut self,
        tip: &Tip,
        wanted: &Wanted,
        bound: Option<(SnapshotIndex, String)>,
    ) -> Flow<Finding> {
        let commit = &tip.content_commit;
        let mut attempt = attempts(&self.status.history, &self.seen.runs, commit) + 1;
        let taken = |name: &str| {
            self.seen.runs.iter().any(|run| run.metadata.name.as_deref() == Some(name))
        };
        let mut name = run_name(&wanted.name.name, commit, attempt);
        while taken(&name) {
            attempt = attempt.saturating_add(1);
            name = run_name(&wanted.name.name, commit, attempt);
        }
        let (index, hash) = match &bound {
            Some((index, hash)) => (Some(*index), hash.as_str()),
            None => (None, ""),
        };
        let strategy = match release::is_rollback(&self.status.history, commit, &wanted.digest) {
            true => wanted.rollback_strategy_name(),
            false => wanted.strategy_name(),
        };
        let spec = RunSpec {
            placement_name: wanted.intent.placement.clone(),
            resource_snapshot_index: index.map(|index| index.to_string()),
            staged_rollout_strategy_name: strategy.to_owned(),
            state: None,
        };
        if let Err(obstacle) = release::rehearse(self.seen, &name, &spec) {
            let hint = obstacle.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            let message = format!("no run is made, for it would fail: {}{hint}", obstacle.detail);
            if obstacle.passing {
                let message = format!("{}{hint}", obstacle.detail);
                return halt(Finding::waits(reason::WAITING, message).until(self.now + LOOK_AGAIN));
            }
            return halt(Finding::stalled(reason::PREFLIGHT_FAILED, message));
        }
        let number = self
            .seen
            .runs
            .iter()
            .filter_map(|run| crate::release::release_of(run).map(|(number, _)| number))
            .max()
            .unwrap_or_default()
            .max(self.status.history.len() as u64)
            + 1;
        let run = object::run(
            wanted,
            &RunFor { name: &name, commit, digest: &wanted.digest, strategy, index, hash, number },
        );
        self.orders.push(Order::CreateRun(run));
        self.show(commit.as_str(), index.map(|index| index.to_string()));
        halt(Finding::waits(
            reason::ROLLING_OUT,
            format!("run {name} is made for commit {}", commit.short()),
        ))
    }

    /// Looks after the run that rolls this content out.
    fn drive(&mut self, wanted: &Wanted, content: &Content, newest: &Release) -> Flow<Finding> {
        let revision: String = newest.commit.chars().take(8).collect();
        let index = newest.index.clone().unwrap_or_else(|| "?".to_owned());
        let Some(run) = self.current.clone() else {
            // Tidied up by a person after it was over.
            return Ok(match newest.outcome.as_str() {
                OUTCOME_FAILED => Finding::stalled(
                    reason::RUN_FAILED,
                    format!("run {} of {revision} failed, and was deleted since", newest.run),
                ),
                _ => Finding::new(
                    State::Ready,
                    reason::SUCCEEDED,
                    format!("{revision} (index {index}) is rolled out"),
                ),
            });
        };
        let progress = release::progress_of(&run, self.now);
        let others = release::supersede(
            self.seen,
            run.metadata.name.as_deref(),
            wanted.intent.when_superseded,
            self.now,
        );
        if let Before::Orders(orders) = others {
            self.orders.extend(orders);
        }
        if release::state(&run) == STATE_INITIALIZE && !release::is_over(&run) {
            self.start(wanted, content, &run)?;
        }
        self.guard(wanted, &run, &progress);
        let text = status::describe(&newest.run, &revision, &index, &progress);
        Ok(match progress.phase {
            Phase::Succeeded => Finding::new(
                State::Ready,
                reason::SUCCEEDED,
                format!("{revision} (index {index}) is on all {} clusters", progress.total),
            ),
            Phase::Failed => Finding::stalled(
                reason::RUN_FAILED,
                format!(
                    "run {} of {revision} failed: {}; push a new commit, or delete the run to try again",
                    newest.run,
                    progress.failure.clone().unwrap_or_default()
                ),
            ),
            Phase::Stuck => Finding::waits(reason::STUCK, text),
            Phase::Stopped if annotation(&run, STOPPED_BY) == Some(STOPPED_FAILURE) => {
                Finding::stalled(
                    reason::FAILURE_POLICY,
                    format!("the failure policy stopped the run; {text}"),
                )
            }
            Phase::Stopped | Phase::Stopping => Finding::waits(reason::STOPPED, text),
            Phase::Initialized => Finding::waits(reason::WAITING_FOR_START, text),
            Phase::Waiting => Finding::waits(reason::WAITING_FOR_APPROVAL, text),
            Phase::Pending | Phase::Updating => Finding::waits(reason::ROLLING_OUT, text),
        })
    }

    /// Starts a run that has not begun: when its content is proved, and nobody wants to do it by hand.
    fn start(&mut self, wanted: &Wanted, content: &Content, run: &Run) -> Flow<()> {
        let name = run.metadata.name.clone().unwrap_or_default();
        let named = run.spec.resource_snapshot_index.as_deref().is_some_and(|i| !i.is_empty());
        if !named {
            let conditions = run.status.as_ref().map(|s| s.conditions.as_slice());
            if !condition::is_true(conditions.unwrap_or_default(), INITIALIZED) {
                return halt(
                    Finding::waits(
                        reason::WAITING_FOR_SNAPSHOT,
                        format!("run {name} captures the content"),
                    )
                    .until(self.now + LOOK_AGAIN),
                );
            }
            let used = run.status.as_ref().and_then(|s| s.resource_snapshot_index_used.clone());
            let groups = Group::all(&self.seen.snapshots);
            let group = groups.iter().find(|group| Some(group.index.to_string()) == used);
            let Some(group) = group else {
                return halt(
                    Finding::waits(
                        reason::WAITING_FOR_SNAPSHOT,
                        format!("the snapshot that run {name} took is not seen yet"),
                    )
                    .until(self.now + LOOK_AGAIN),
                );
            };
            if let Err(difference) = prove(group, &content.objects, &content.namespaces) {
                self.orders.push(Order::DeleteRun { run: name, uid: run.metadata.uid.clone() });
                self.status.refused_index = used;
                self.status.unbound_since = Some(Time(condition::whole_seconds(self.now)));
                let message =
                    format!("index {} was captured and is not run: {difference}", group.index);
                self.steps.failed(BOUND, reason::CONTENT_DIFFERS, message.clone());
                return halt(Finding::stalled(reason::CONTENT_DIFFERS, message));
            }
            let text = format!("index {} holds the {} objects", group.index, content.objects.len());
            self.steps.done(BOUND, reason::PROVED, text);
        }
        if wanted.intent.start == Start::Automatic {
            self.orders.push(Order::SetRunState { run: name, state: STATE_RUN, stopped_by: None });
        }
        Ok(())
    }

    /// Carries out the failure policy.
    fn guard(&mut self, wanted: &Wanted, run: &Run, progress: &Progress) {
        if release::state(run) != STATE_RUN
            || !matches!(progress.phase, Phase::Updating | Phase::Stuck)
        {
            return;
        }
        let clusters = || progress.stages.iter().flat_map(|stage| &stage.clusters);
        let stuck = clusters().filter(|cluster| cluster.phase == Phase::Stuck).count();
        let too_many = wanted.intent.max_stuck_clusters.is_some_and(|max| stuck > max as usize);
        let moved = clusters().filter_map(|cluster| cluster.since).max();
        let late = wanted.intent.progress_deadline.zip(moved).is_some_and(|(deadline, moved)| {
            self.now.duration_since(moved) > SignedDuration::from(deadline)
        });
        if too_many || late {
            self.orders.push(Order::SetRunState {
                run: run.metadata.name.clone().unwrap_or_default(),
                state: STATE_STOP,
                stopped_by: Some(STOPPED_FAILURE),
            });
        }
    }

    fn finish(mut self, finding: Finding) -> Pass {
        let progress = self.progress();
        let newest = self.status.history.last().cloned();
        if let Some(release) = newest.filter(|release| {
            [OUTCOME_ACTIVE, OUTCOME_SUPERSEDED].contains(&release.outcome.as_str())
                && self.status.commit.is_none()
        }) {
            self.show(&release.commit, release.index);
        }
        let generation = self
            .seen
            .rollout
            .as_ref()
            .and_then(|rollout| rollout.metadata.generation)
            .unwrap_or_default();
        status::record(
            &mut self.status,
            &finding,
            self.steps,
            progress.as_ref(),
            generation,
            self.now,
        );
        Pass { status: self.status, orders: self.orders, wake: finding.wake }
    }
}

/// Returns whether a run is there to capture this content.
fn is_capture(run: &Run, wanted: &Wanted) -> bool {
    !release::is_over(run)
        && run.spec.resource_snapshot_index.as_deref().is_none_or(str::is_empty)
        && annotation(run, meta::CONTENT_DIGEST) == Some(wanted.digest.as_str())
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the repository" } else { path }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        manifest::Limits,
        model::ObjectName,
        placement::{select::Selection, snapshot::pieces},
        release::{bind::applied, ledger::RELEASE},
        render::{File, Parsed, Repository, wanted},
    };

    const COMMIT: &str = "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4";
    const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    /// A Rollout whose objects are applied, with these lines in its spec.
    fn web(spec: &str) -> Seen {
        let rollout = format!(
            "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec:\n  manifests: ./manifests\n  placementName: web\n  strategyName: slow\n{spec}"
        );
        let files = [
            ("apps/web/manifests/ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"),
            ("apps/web/placement.yaml", "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterResourcePlacement\nmetadata: {name: web}\nspec:\n  resourceSelectors: [{group: '', version: v1, kind: Namespace, name: web}]\n  strategy: {type: External}\n"),
            ("apps/web/rollout.yaml", rollout.as_str()),
            ("strategies/slow.yaml", "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {name: slow}\nspec: {stages: [{name: all, labelSelector: {}}]}\n"),
        ]
        .map(|(path, text)| File { path: path.into(), bytes: text.as_bytes().into() });
        let limits = Limits::default();
        let survey = wanted(&Repository::of("", files.to_vec(), &limits, |file| {
            Arc::new(Parsed::of(file, &limits))
        }));
        let name = ObjectName { namespace: String::new(), name: "web".into() };
        let tip = Tip {
            repository: "https://git.example/web".into(),
            reference: "refs/heads/main".into(),
            folder: None,
            commit: COMMIT.parse().unwrap(),
            content_commit: COMMIT.parse().unwrap(),
            news: News::None,
            wanted: survey.rollouts[&name].clone(),
            path: Some("apps/web/rollout.yaml".into()),
            object: None,
            trouble: None,
        };
        let mut seen = Seen {
            name,
            namespace: "tidegate-system".into(),
            rollout: None,
            git: Git::Tip(Box::new(tip)),
            applied: None,
            placement: None,
            strategies: Vec::new(),
            policy_snapshots: Vec::new(),
            snapshots: Vec::new(),
            bindings: Vec::new(),
            runs: Vec::new(),
            requests: BTreeMap::new(),
            members: BTreeMap::new(),
            patience: SignedDuration::from_mins(1),
        };
        let first = pass(&seen).orders;
        let [Order::WriteRollout(object)] = first.as_slice() else { panic!("{first:?}") };
        seen.rollout = Some(Arc::new(serde_json::from_value(object.clone()).unwrap()));
        let second = pass(&seen).orders;
        if let [Order::Apply(apply)] = second.as_slice() {
            let content = Content {
                objects: vec![applied(apply.content[0].0.clone(), apply.content[0].0.clone())],
                namespaces: Vec::new(),
            };
            seen.applied = Some((apply.key.clone(), ApplyOutcome::Done(content)));
        }
        seen
    }

    /// The snapshot of index 0: of the commit's content, or with a label that the commit does not have.
    fn snapshot(mut seen: Seen, same: bool) -> Seen {
        let Some((_, ApplyOutcome::Done(content))) = &seen.applied else { panic!("not applied") };
        let mut object = content.objects[0].stored.clone();
        if !same {
            object["metadata"]["labels"]["by"] = "hand".into();
        }
        let placement = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1",
            "kind": "ClusterResourcePlacement", "metadata": {"name": "web", "uid": "u"},
            "spec": {"resourceSelectors": []}});
        let placement: crate::api::Placement = serde_json::from_value(placement).unwrap();
        let pieces = pieces(&placement, "0".parse().unwrap(), &Selection::of(vec![object]));
        seen.snapshots = pieces.into_iter().map(Arc::new).collect();
        seen
    }

    fn digest(seen: &Seen) -> String {
        let Git::Tip(tip) = &seen.git else { panic!("no tip") };
        tip.wanted.as_ref().unwrap().digest.to_string()
    }

    fn run(
        mut seen: Seen,
        content: &str,
        state: &str,
        more: Value,
        index: &str,
        status: Value,
    ) -> Seen {
        let mut annotations = json!({meta::ROLLOUT: "web", meta::COMMIT: COMMIT,
            meta::CONTENT_DIGEST: content, RELEASE: "1"});
        annotations.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let run = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterStagedUpdateRun",
            "metadata": {"name": "r", "uid": "u", "annotations": annotations},
            "spec": {"placementName": "web", "stagedRolloutStrategyName": "slow", "state": state,
                "resourceSnapshotIndex": index}, "status": status});
        seen.runs = vec![Arc::new(serde_json::from_value(run).unwrap())];
        seen
    }

    fn pass(seen: &Seen) -> Pass {
        decide(seen, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    /// The orders in short, and the word of the Ready condition.
    fn told(seen: &Seen) -> (String, String) {
        let pass = pass(seen);
        let orders: Vec<String> = pass
            .orders
            .iter()
            .map(|order| match order {
                Order::SetRunState { run, state, stopped_by } => {
                    format!("{run} {state} {}", stopped_by.unwrap_or("-"))
                }
                Order::DeleteRun { run, .. } => format!("{run} deleted"),
                Order::CreateRun(_) => "run made".into(),
                other => format!("{other:?}"),
            })
            .collect();
        let ready = condition::find(&pass.status.conditions, crate::api::rollout::READY).unwrap();
        (orders.join(", "), ready.reason.clone())
    }

    #[test]
    fn an_older_run_ends_first() {
        for (spec, state, orders, word) in [
            ("", STATE_RUN, "r Stop superseded", reason::SUPERSEDING),
            ("", STATE_INITIALIZE, "r deleted", reason::SUPERSEDING),
            ("  whenSuperseded: Queue\n", STATE_RUN, "", reason::QUEUED),
            ("  whenSuperseded: Queue\n", STATE_INITIALIZE, "r deleted", reason::SUPERSEDING),
        ] {
            let seen = run(snapshot(web(spec), true), OTHER, state, json!({}), "0", json!({}));
            assert_eq!(told(&seen), (orders.into(), word.into()), "{spec}{state}");
        }
    }

    #[test]
    fn the_run_of_the_same_content_is_started_once_and_only_when_automatic() {
        for (spec, state, orders) in [
            ("", STATE_INITIALIZE, "r Run -"),
            ("", STATE_RUN, ""),
            ("  start: Manual\n", STATE_INITIALIZE, ""),
        ] {
            let seen = snapshot(web(spec), true);
            let own = digest(&seen);
            let seen = run(seen, &own, state, json!({}), "0", json!({}));
            assert_eq!(told(&seen).0, orders, "{spec}{state}");
        }
    }

    #[test]
    fn content_that_no_snapshot_holds_is_never_run() {
        let word = reason::WAITING_FOR_SNAPSHOT;
        assert_eq!(told(&web("")), (String::new(), word.into()));
        assert_eq!(told(&snapshot(web(""), false)), (String::new(), word.into()));
        let captured = json!({"resourceSnapshotIndexUsed": "0", "conditions": [{"type": INITIALIZED,
            "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        for (status, orders, word) in
            [(json!({}), "", word), (captured, "r deleted", reason::CONTENT_DIFFERS)]
        {
            let seen = snapshot(web(""), false);
            let own = digest(&seen);
            let seen = run(seen, &own, STATE_INITIALIZE, json!({}), "", status);
            assert_eq!(told(&seen), (orders.into(), word.into()));
        }
    }

    #[test]
    fn a_suspended_rollout_stops_its_run_and_resumes_it_afterwards() {
        let seen = run(web("  suspend: true\n"), OTHER, STATE_RUN, json!({}), "0", json!({}));
        assert_eq!(told(&seen), ("r Stop suspend".into(), reason::SUSPENDED.into()));
        let by = |by: &str| json!({ STOPPED_BY: by });
        let seen = run(web(""), OTHER, STATE_STOP, by(STOPPED_SUSPEND), "0", json!({}));
        assert_eq!(told(&seen), ("r Run -".into(), reason::ROLLING_OUT.into()));
    }
}
