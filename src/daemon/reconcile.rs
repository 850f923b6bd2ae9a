//! One Rollout: gather, decide, record, carry out, and again until there is nothing to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tracing::Instrument as _;

use super::{Options, apply::Brought, follow::Followed, marks::Marks, world::World};
use crate::{
    api::{Rollout, kind, meta, rollout::RolloutStatus},
    engine::{Again, EngineError, Key},
    hub::Hub,
    model::{ObjectName, Scope},
    sync::{ApplyOutcome, Order, Seen, decide},
};

/// What all reconciliations share.
pub(super) struct Daemon {
    pub(super) hub: Hub,
    pub(super) world: Arc<World>,
    pub(super) marks: Arc<Marks>,
    pub(super) options: Options,
    /// Namespace of Rollouts that have none in Git.
    pub(super) namespace: String,
    pub(super) sources: Vec<Arc<Followed>>,
    applied: Mutex<BTreeMap<ObjectName, Outcome>>,
    /// Rollouts that belong to others, as far as that was said.
    refused: Mutex<BTreeSet<ObjectName>>,
}

/// What became of applying.
pub(super) struct Outcome {
    pub(super) key: String,
    pub(super) outcome: ApplyOutcome,
    /// When that was.
    since: Timestamp,
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
        Self {
            hub,
            world,
            marks,
            options,
            namespace,
            sources,
            applied: Mutex::default(),
            refused: Mutex::default(),
        }
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
    pub(super) fn git_name(&self, rollout: &Rollout) -> ObjectName {
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

    /// Notes whether a Rollout is another's. Returns whether that is news.
    pub(super) fn refuse(&self, name: &ObjectName, is_refused: bool) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match is_refused {
            true => refused.insert(name.clone()),
            false => {
                refused.remove(name);
                false
            }
        }
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
        let since = self.options.clock.now();
        let until = brought.until.unwrap_or(since + wait);
        let outcome = Outcome { key, outcome: brought.outcome, since, until };
        self.outcomes().insert(name.clone(), outcome);
    }

    /// Returns what became of applying last, and forgets it: it is being applied again.
    pub(super) fn take_outcome(&self, name: &ObjectName) -> Option<Outcome> {
        self.outcomes().remove(name)
    }

    /// Returns what became of applying, if that is still so.
    pub(super) fn applied(
        &self,
        name: &ObjectName,
        now: Timestamp,
    ) -> Option<(String, ApplyOutcome)> {
        let applied = self.outcomes();
        let held = applied.get(name)?;
        let kept = match &held.outcome {
            ApplyOutcome::Done(_) => !self.marks.any_drift(name),
            ApplyOutcome::Failed { .. } => now < self.again_at(name, held),
        };
        kept.then(|| (held.key.clone(), held.outcome.clone()))
    }

    /// Returns whether nothing of a Rollout was applied by this process.
    pub(super) fn is_fresh(&self, name: &ObjectName) -> bool {
        !self.outcomes().contains_key(name)
    }

    /// Returns when a failed apply is tried again although nothing else happens: when there is hope.
    fn retry_at(&self, name: &ObjectName) -> Option<Timestamp> {
        let applied = self.outcomes();
        let held = applied.get(name)?;
        let failed = matches!(held.outcome, ApplyOutcome::Failed { .. });
        let hope = self.marks.is_stirred(name) || self.marks.any_drift(name);
        (failed && hope).then(|| self.again_at(name, held))
    }

    /// Returns when a failed apply is tried again: sooner when others changed what they claim, for they may have let go.
    fn again_at(&self, name: &ObjectName, failed: &Outcome) -> Timestamp {
        match self.marks.is_stirred(name) {
            true => failed.until.min(failed.since + RETRY),
            false => failed.until,
        }
    }

    fn forget(&self, name: &ObjectName) {
        self.outcomes().remove(name);
        self.marks.forget(name);
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
