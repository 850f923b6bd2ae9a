//! One Rollout: gather, decide, record, carry out, and again until there is nothing to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tracing::Instrument as _;

use super::{
    Options,
    apply::Brought,
    checkout::Checkout,
    follow::{Accepted, Followed},
    marks::Marks,
    world::World,
};
use crate::{
    api::{
        Rollout, kind, meta,
        rollout::{ApprovalRecord, RolloutStatus, SourceStatus},
    },
    engine::{Again, EngineError, Key},
    hub::Hub,
    model::{CommitId, ObjectName, Scope},
    sync::{ApplyOutcome, Git, Order, Seen, Tip, decide, news},
};

/// What all reconciliations share.
pub(super) struct Daemon {
    pub(super) hub: Hub,
    pub(super) world: Arc<World>,
    pub(super) marks: Arc<Marks>,
    pub(super) options: Options,
    /// Namespace of Rollouts that have none in Git.
    pub(super) namespace: String,
    sources: Vec<Arc<Followed>>,
    applied: Mutex<BTreeMap<ObjectName, Outcome>>,
}

/// What became of applying.
pub(super) struct Outcome {
    pub(super) key: String,
    pub(super) outcome: ApplyOutcome,
    /// A failed one is not tried again before.
    until: Timestamp,
}

/// A failed apply is tried again after so long …
const RETRY: SignedDuration = SignedDuration::from_secs(5);
/// … and one that somebody has to mend after so long.
const RETRY_STALLED: SignedDuration = SignedDuration::from_secs(60);
/// Steps in one go; more means that something goes in circles.
const ROUNDS: usize = 32;
/// A deletion takes effect by a watch; should it not tell, look again.
const AFTER_DELETION: Duration = Duration::from_millis(500);

impl Daemon {
    pub(super) fn new(
        hub: Hub,
        world: Arc<World>,
        marks: Arc<Marks>,
        sources: Vec<Arc<Followed>>,
        options: Options,
    ) -> Self {
        let namespace = hub.client().default_namespace().to_owned();
        Self { hub, world, marks, options, namespace, sources, applied: Mutex::default() }
    }

    /// Returns every Rollout that a source or the hub has.
    pub(super) fn names(&self) -> BTreeSet<ObjectName> {
        let mut names = BTreeSet::new();
        for source in &self.sources {
            if let Some(checkout) = source.checkout() {
                names.extend(checkout.survey.places.keys().cloned());
            }
        }
        for rollout in self.world.rollouts.all() {
            names.insert(self.git_name(&rollout));
        }
        names
    }

    /// Returns a Rollout's name in Git: without the namespace that it is kept in for want of one.
    fn git_name(&self, rollout: &Rollout) -> ObjectName {
        let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
        let name = rollout.metadata.name.clone().unwrap_or_default();
        let own = ObjectName { namespace: namespace.clone(), name: name.clone() };
        let marked = rollout.metadata.annotations.as_ref().and_then(|a| a.get(meta::ROLLOUT));
        let cluster = match marked {
            Some(key) => !key.contains('/'),
            // Not ours yet: whoever made it by hand had no other place for one of the cluster.
            None => namespace == self.namespace && !self.in_git(&own),
        };
        if cluster { ObjectName { namespace: String::new(), name } } else { own }
    }

    fn in_git(&self, name: &ObjectName) -> bool {
        self.sources.iter().any(|source| {
            source.checkout().is_some_and(|checkout| checkout.survey.places.contains_key(name))
        })
    }

    /// Returns where a Rollout is kept on the hub.
    pub(super) fn hub_key(&self, name: &ObjectName) -> Key {
        let namespace = if name.namespace.is_empty() { &self.namespace } else { &name.namespace };
        Key::new(Scope::Namespace(namespace.clone()), &name.name)
    }

    fn outcomes(&self) -> MutexGuard<'_, BTreeMap<ObjectName, Outcome>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember(&self, name: &ObjectName, key: String, brought: Brought) {
        let wait = match &brought.outcome {
            ApplyOutcome::Done(_) => SignedDuration::ZERO,
            ApplyOutcome::Failed { retried: true, .. } => RETRY,
            ApplyOutcome::Failed { retried: false, .. } => RETRY_STALLED,
        };
        let until = brought.until.unwrap_or(self.options.clock.now() + wait);
        self.outcomes().insert(name.clone(), Outcome { key, outcome: brought.outcome, until });
    }

    /// Returns what became of applying last, and forgets it: it is being applied again.
    pub(super) fn take_outcome(&self, name: &ObjectName) -> Option<Outcome> {
        self.outcomes().remove(name)
    }

    /// Returns what became of applying, if that is still so.
    fn applied(&self, name: &ObjectName, now: Timestamp) -> Option<(String, ApplyOutcome)> {
        let applied = self.outcomes();
        let held = applied.get(name)?;
        let kept = match &held.outcome {
            ApplyOutcome::Done(_) => !self.marks.any_drift(name),
            ApplyOutcome::Failed { .. } => now < held.until,
        };
        kept.then(|| (held.key.clone(), held.outcome.clone()))
    }

    /// Returns when a failed apply is tried again although nothing else happens: when there is hope.
    fn retry_at(&self, name: &ObjectName) -> Option<Timestamp> {
        let applied = self.outcomes();
        let held = applied.get(name)?;
        let failed = matches!(held.outcome, ApplyOutcome::Failed { .. });
        let hope = self.marks.is_stirred(name) || self.marks.any_drift(name);
        (failed && hope).then_some(held.until)
    }

    fn forget(&self, name: &ObjectName) {
        self.outcomes().remove(name);
        self.marks.forget(name);
    }

    /// Returns the source that a Rollout comes from.
    fn source(&self, name: &ObjectName, rollout: Option<&Rollout>) -> Option<&Arc<Followed>> {
        let has = |source: &&Arc<Followed>| {
            source.checkout().is_some_and(|c| c.survey.places.contains_key(name))
        };
        let recorded = rollout.and_then(|r| r.status.as_ref()?.source.as_ref());
        let same = |source: &&Arc<Followed>| recorded.is_some_and(|held| is_of(held, source));
        // One that was not read yet has it still, for all that is known: another that has one of that name must not take over.
        let may_have = |source: &&Arc<Followed>| has(source) || source.checkout().is_none();
        self.sources
            .iter()
            .find(|s| may_have(s) && same(s))
            .or_else(|| self.sources.iter().find(has).or_else(|| self.sources.iter().find(same)))
            .or_else(|| {
                // Its folder is not followed any more.
                let branch =
                    |s: &&Arc<Followed>| recorded.is_some_and(|held| is_of_branch(held, s));
                self.sources.iter().find(branch)
            })
    }

    async fn gather(&self, name: &ObjectName, now: Timestamp) -> Option<Seen> {
        let hub_key = self.hub_key(name);
        let rollout = self.world.rollouts.get(&hub_key);
        // A Rollout of the cluster is kept in our namespace; it has no second life as one of that namespace.
        if rollout.as_ref().is_some_and(|rollout| self.git_name(rollout) != *name) {
            return None;
        }
        let source = self.source(name, rollout.as_deref())?;
        let checkout = source.checkout();
        let git = self.git(name, source, checkout.as_deref(), rollout.as_deref(), now).await;
        if rollout.is_none() && !matches!(&git, Git::Tip(tip) if tip.path.is_some()) {
            return None;
        }
        let scope = Scope::of(Some(&name.namespace));
        let wanted = match &git {
            Git::Tip(tip) => tip.wanted.as_ref().ok(),
            Git::Unread(_) => None,
        };
        let (placement, strategies) = match (wanted, &rollout) {
            (Some(wanted), _) => (
                wanted.intent.placement.clone(),
                vec![wanted.strategy_name().to_owned(), wanted.rollback_strategy_name().to_owned()],
            ),
            (None, Some(rollout)) => (
                rollout.spec.placement_name.clone(),
                vec![rollout.spec.strategy_name.clone().unwrap_or_else(|| name.name.clone())],
            ),
            (None, None) => (String::new(), Vec::new()),
        };
        let placement = Key::new(scope.clone(), placement);
        let strategies: Vec<Key> =
            strategies.into_iter().map(|strategy| Key::new(scope.clone(), strategy)).collect();
        self.world.looks_at(name, placement.clone(), &strategies);
        let runs = self.world.runs.of(&placement);
        let requests = runs
            .iter()
            .flat_map(|run| self.world.requests.of(&Key::of(&run.metadata)))
            .map(|request| (request.metadata.name.clone().unwrap_or_default(), request))
            .collect();
        let members = self.world.clusters.all().into_iter().map(|cluster| {
            let labels = cluster.metadata.labels.clone().unwrap_or_default();
            (cluster.metadata.name.clone().unwrap_or_default(), labels)
        });
        Some(Seen {
            name: name.clone(),
            namespace: hub_key.scope.namespace().unwrap_or_default().to_owned(),
            rollout,
            git,
            applied: self.applied(name, now),
            placement: self.world.placements.get(&placement),
            strategies: strategies
                .iter()
                .filter_map(|strategy| self.world.strategies.get(strategy))
                .collect(),
            policy_snapshots: self.world.policies.of(&placement),
            snapshots: self.world.snapshots.of(&placement),
            bindings: self.world.bindings.of(&placement),
            runs,
            requests,
            members: members.collect(),
            patience: self.options.patience,
        })
    }

    /// Returns how far the Rollouts of a source have read it.
    fn accepted_of(&self, followed: &Followed) -> BTreeSet<Accepted> {
        let rollouts = self.world.rollouts.all();
        let sources =
            rollouts.iter().filter_map(|rollout| rollout.status.as_ref()?.source.as_ref());
        sources.filter(|source| is_of(source, followed)).filter_map(Accepted::of).collect()
    }

    async fn git(
        &self,
        name: &ObjectName,
        source: &Arc<Followed>,
        checkout: Option<&Checkout>,
        rollout: Option<&Rollout>,
        now: Timestamp,
    ) -> Git {
        let repository = source.source.display();
        let unread = |why: String| Git::Unread(format!("{repository} cannot be read: {why}"));
        let Some(checkout) = checkout else {
            return match source.trouble() {
                Some(why) => unread(why),
                None => Git::Unread(format!("{repository} is being read")),
            };
        };
        let status = rollout.and_then(|rollout| rollout.status.as_ref());
        let accepted = status.and_then(|status| Accepted::of(status.source.as_ref()?));
        let others = match accepted {
            None => self.accepted_of(source),
            Some(_) => BTreeSet::new(),
        };
        let key = name.to_string();
        let known =
            |rollout: &str| checkout.survey.places.keys().any(|known| known.to_string() == rollout);
        let current = status.and_then(|status| status.commit.as_deref());
        let concerns = |record: &ApprovalRecord| news::concerns(record, &key, known, current);
        let news = match source.news(accepted, others, &checkout.tip, concerns, now).await {
            Ok(news) => news,
            Err(why) => return unread(why),
        };
        let place = checkout.survey.places.get(name);
        let wanted = match checkout.survey.rollouts.get(name) {
            Some(wanted) => wanted.clone(),
            None => Err(checkout.survey.unreadable.iter().take(3).cloned().collect()),
        };
        let recorded = status.and_then(|status| status.source.as_ref()).map(|s| s.path.as_str());
        let broken = checkout
            .survey
            .unreadable
            .iter()
            .find(|fault| recorded == Some(fault.place.path.as_str()));
        let (wanted, path) = match (place, broken) {
            (Some(place), _) => (wanted, Some(place.path.clone())),
            // Its own file cannot be read: it is there, whatever it says.
            (None, Some(fault)) => (Err(vec![fault.clone()]), recorded.map(str::to_owned)),
            (None, None) => (wanted, None),
        };
        let back = status.and_then(|status| status.pinned.as_ref()?.to.parse::<CommitId>().ok());
        let earlier = match &back {
            None => None,
            Some(commit) => {
                let wanted = source.earlier(name, commit, checkout).await;
                Some((commit.clone(), wanted))
            }
        };
        let read =
            status.and_then(|status| status.source.as_ref()?.commit.parse::<CommitId>().ok());
        let returned = match read.filter(|read| back.is_some() && *read != checkout.tip) {
            None => false,
            Some(read) => source.came_back(name, &read, checkout).await,
        };
        let object = wanted.is_err().then(|| self.stub(name, checkout)).flatten();
        Git::Tip(Box::new(Tip {
            repository: source.source.display(),
            reference: source.source.repository.branch().to_owned(),
            folder: Some(source.source.folder.clone()).filter(|folder| !folder.is_empty()),
            commit: checkout.tip.clone(),
            content_commit: checkout.content_commits.get(name).unwrap_or(&checkout.tip).clone(),
            news,
            wanted,
            path,
            object,
            earlier,
            returned,
            trouble: source.trouble(),
        }))
    }

    /// Returns a Rollout with only the fields that any hub takes, for one whose spec has faults.
    fn stub(&self, name: &ObjectName, checkout: &Checkout) -> Option<serde_json::Value> {
        let place = checkout.survey.places.get(name)?;
        let mut objects = checkout.repository.objects();
        let (manifest, _) = objects.find(|(manifest, _)| manifest.place == *place)?;
        let text = |field: &str| {
            let value = manifest.object.pointer(&format!("/spec/{field}"))?.as_str()?;
            Some(value.chars().take(253).collect::<String>()).filter(|text| !text.is_empty())
        };
        let key = self.hub_key(name);
        let spec = json!({
            "manifests": text("manifests").unwrap_or_else(|| ".".to_owned()),
            "placementName": text("placementName").unwrap_or_else(|| "unknown".to_owned()),
        });
        Some(json!({
            "apiVersion": kind::ROLLOUT.api_version(),
            "kind": kind::ROLLOUT.name,
            "metadata": {
                "name": name.name,
                "namespace": key.scope.namespace(),
                "annotations": {meta::ROLLOUT: name.to_string()},
            },
            "spec": spec,
        }))
    }

    /// Writes the status, if it changed.
    async fn record(
        &self,
        name: &ObjectName,
        seen: &Seen,
        status: &RolloutStatus,
    ) -> Result<(), EngineError> {
        let Some(rollout) = &seen.rollout else { return Ok(()) };
        if rollout.status.as_ref() == Some(status) {
            return Ok(());
        }
        let mut next = Rollout::clone(rollout);
        next.status = Some(status.clone());
        let key = self.hub_key(name);
        let written =
            self.hub.replace_status(kind::ROLLOUT, &key.scope, &next, meta::GITOPS_MANAGER).await;
        match written {
            Ok(rollout) => {
                self.world.rollouts.absorb(rollout);
                Ok(())
            }
            Err(error) => {
                if let Ok(Some(fresh)) =
                    self.hub.find::<Rollout>(kind::ROLLOUT, &key.scope, &key.name).await
                {
                    self.world.rollouts.absorb(fresh);
                }
                Err(error.into())
            }
        }
    }

    async fn look(&self, name: &ObjectName) -> Result<Again, EngineError> {
        for _ in 0..ROUNDS {
            let now = self.options.clock.now();
            let Some(seen) = self.gather(name, now).await else {
                self.forget(name);
                return Ok(Again::No);
            };
            let pass = decide(&seen, now);
            tell(&seen, &pass.status);
            self.record(name, &seen, &pass.status).await?;
            if pass.orders.is_empty() {
                let wake = pass.wake.into_iter().chain(self.retry_at(name)).min();
                return Ok(match wake {
                    None => Again::No,
                    Some(at) => {
                        let wait = at.duration_since(self.options.clock.now());
                        let wait = Duration::try_from(wait).unwrap_or_default();
                        Again::After(wait.max(Duration::from_millis(20)))
                    }
                });
            }
            let deletes = pass.orders.iter().any(|o| matches!(o, Order::DeleteRun { .. }));
            for order in pass.orders {
                self.carry_out(name, &seen, order).await?;
            }
            if deletes {
                return Ok(Again::After(AFTER_DELETION));
            }
        }
        tracing::warn!("too many steps at once; it is looked at again later");
        Ok(Again::After(Duration::from_secs(5)))
    }
}

/// Returns whether a status tells of this source.
fn is_of(recorded: &SourceStatus, followed: &Followed) -> bool {
    is_of_branch(recorded, followed)
        && recorded.folder.as_deref().unwrap_or_default() == followed.source.folder
}

fn is_of_branch(recorded: &SourceStatus, followed: &Followed) -> bool {
    recorded.repository == followed.source.display()
        && recorded.reference == followed.source.repository.branch()
}

/// Says when something turned.
fn tell(seen: &Seen, status: &RolloutStatus) {
    let held = seen.rollout.as_ref().and_then(|rollout| rollout.status.as_ref());
    let message = status.message.as_deref().unwrap_or_default();
    if held.and_then(|held| held.message.as_deref()) != Some(message) {
        let revision = status.revision.as_deref().unwrap_or_default();
        let index = status.index.as_deref().unwrap_or_default();
        tracing::info!(revision, index, state = message, "rollout");
    }
}

/// Looks after one Rollout.
pub(super) async fn reconcile(daemon: Arc<Daemon>, name: ObjectName) -> Result<Again, EngineError> {
    let span = tracing::info_span!("rollout", rollout = %name);
    async move { daemon.look(&name).await }.instrument(span).await
}
