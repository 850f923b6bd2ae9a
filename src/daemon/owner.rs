//! Whose a Rollout is, and what of the things that it wants: as the hub shows it.

use std::sync::Arc;

use super::{
    checkout::Checkout,
    follow::Followed,
    gather::{is_of, is_of_branch},
    reconcile::Daemon,
};
use crate::{
    api::{Rollout, rollout::SourceStatus},
    engine::Key,
    git,
    model::ObjectName,
    render::{Fault, Wanted},
    sync::owner::{Other, TAKE_OVER, hand_over, named, refused},
};

impl Daemon {
    /// Returns what a Rollout wants and must not have, for it is another's.
    pub(super) fn not_ours(
        &self,
        wanted: &Wanted,
        source: &Followed,
        checkout: &Checkout,
        own: Option<&Rollout>,
    ) -> Vec<Fault> {
        let contests = checkout.survey.contests.get(&wanted.name).map(Vec::as_slice);
        let contests = contests.unwrap_or_default();
        let survey = &checkout.survey;
        let all_known = survey.unreadable.is_empty() && survey.rollouts.values().all(Result::is_ok);
        let rollouts = self.world.rollouts.all();
        let own_key = self.hub_key(&wanted.name);
        let others = rollouts.iter().filter_map(|rollout| {
            let recorded = rollout.status.as_ref()?.source.as_ref()?;
            let is_here = is_of(recorded, source);
            if is_here && all_known && contests.is_empty() {
                return None;
            }
            if Key::of(&rollout.metadata) == own_key {
                return None;
            }
            let name = self.git_name(rollout);
            let other = match is_here {
                true => here(&name, recorded, checkout)?,
                false => self.elsewhere(&name, recorded)?,
            };
            Some((name, &**rollout, other))
        });
        let others: Vec<_> = others.collect();
        let faults = refused(wanted, contests, own, &others);
        self.world.contend(&wanted.name, !faults.is_empty());
        faults
    }

    /// Returns where a Rollout of another source comes from; nothing when we know that it is no longer there.
    fn elsewhere(&self, name: &ObjectName, recorded: &SourceStatus) -> Option<Other> {
        let left = self.sources.iter().filter(|source| is_of(recorded, source)).any(|source| {
            source.checkout().is_some_and(|checkout| !may_have(name, recorded, &checkout))
        });
        (!left).then(|| Other::Elsewhere(named(&recorded.into())))
    }

    /// Returns whether a status may tell of this source by another spelling: a path of this machine has as many as there are
    /// places to stand. Whether the history is the same one, the commits tell.
    pub(super) fn is_respelled(&self, recorded: &SourceStatus, source: &Followed) -> bool {
        let is_local = source.source.is_local() && !recorded.repository.contains("://");
        let respelled = SourceStatus { repository: source.source.display(), ..recorded.clone() };
        is_local
            && is_of(&respelled, source)
            && !self.sources.iter().any(|followed| is_of(recorded, followed))
    }

    /// Returns the source of a Rollout, if it may work on it: one that the hub has may belong to another. That is told.
    pub(super) async fn own_source(
        &self,
        name: &ObjectName,
        rollout: Option<&Rollout>,
    ) -> Option<&Arc<Followed>> {
        let source = self.source(name, rollout);
        let owner = match (source, rollout) {
            (Some(source), Some(rollout)) => self.other_owner(name, source, rollout).await,
            _ => None,
        };
        let key = self.hub_key(name).to_string();
        for followed in &self.sources {
            let is_refused = source.is_some_and(|source| Arc::ptr_eq(source, followed));
            followed.report.refuse(&key, owner.as_deref().filter(|_| is_refused));
        }
        source.filter(|_| owner.is_none())
    }

    /// Returns whose a Rollout that the hub has is, if it is not this source's, and says once in the log what to do then.
    async fn other_owner(
        &self,
        name: &ObjectName,
        source: &Arc<Followed>,
        rollout: &Rollout,
    ) -> Option<String> {
        let recorded = rollout.status.as_ref().and_then(|status| status.source.as_ref());
        let given = rollout
            .metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(TAKE_OVER));
        let own = named(&source.source.spec());
        let is_ours = match (given, recorded) {
            (Some(given), _) => *given == own,
            (None, None) => true,
            (None, Some(recorded)) => {
                is_of(recorded, source)
                    || self.is_respelled(recorded, source)
                    || self.elsewhere(name, recorded).is_none()
                    || (is_of_branch(recorded, source) && source.has_lost(&recorded.path).await)
            }
        };
        let is_news = self.refuse(name, !is_ours);
        if is_ours {
            return None;
        }
        let owner = given
            .cloned()
            .or_else(|| recorded.map(|recorded| named(&recorded.into())))
            .unwrap_or_default();
        if is_news {
            let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
            tracing::warn!(
                rollout = %name,
                %owner,
                "the Rollout is left alone, for it belongs to another source; to hand it over to this one: {}",
                hand_over(&name.name, namespace, &own)
            );
        }
        Some(owner)
    }
}

impl Followed {
    /// Returns whether a file of the repository is gone at the tip: then whoever follows another folder of it has lost what
    /// stood there. What cannot be read is not gone.
    async fn has_lost(self: &Arc<Self>, path: &str) -> bool {
        let Some(checkout) = self.checkout() else { return false };
        let (held, path) = (self.clone(), path.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let (tip, limits) = (&checkout.tip, git::Limits::default());
            matches!(held.source.repository.file(tip, "", &path, limits), Ok(None))
        });
        work.await.unwrap_or(false)
    }
}

/// Returns what Git says of another Rollout of the same source; nothing when it is no longer there, and has let go.
fn here(name: &ObjectName, recorded: &SourceStatus, checkout: &Checkout) -> Option<Other> {
    match checkout.survey.rollouts.get(name) {
        Some(Ok(_)) => Some(Other::Known),
        _ => may_have(name, recorded, checkout).then(|| Other::Unreadable(recorded.path.clone())),
    }
}

/// Returns whether a Rollout is in a commit, or may be: its file cannot be read.
fn may_have(name: &ObjectName, recorded: &SourceStatus, checkout: &Checkout) -> bool {
    let survey = &checkout.survey;
    survey.places.contains_key(name)
        || survey.unreadable.iter().any(|fault| fault.place.path == recorded.path)
}
