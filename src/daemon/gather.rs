//! One reading of the world, for one Rollout: what Git says, and what the hub has.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde_json::json;

use super::{
    checkout::Checkout,
    follow::{Accepted, Followed, Turn},
    reconcile::Daemon,
};
use crate::{
    api::{
        Rollout, kind, meta,
        rollout::{ApprovalRecord, RolloutStatus, SourceStatus},
    },
    engine::Key,
    model::{CommitId, ObjectName, Scope},
    render::{Fault, Wanted},
    sync::{Git, Seen, Tip, news},
};

impl Daemon {
    /// Returns the source that a Rollout comes from.
    pub(super) fn source(
        &self,
        name: &ObjectName,
        rollout: Option<&Rollout>,
    ) -> Option<&Arc<Followed>> {
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

    /// Reads everything that a decision about a Rollout needs, once. Nothing when there is no such Rollout.
    pub(super) async fn gather(&self, name: &ObjectName, now: Timestamp) -> Option<Seen> {
        let hub_key = self.hub_key(name);
        let rollout = self.world.rollouts.get(&hub_key);
        // A Rollout of the cluster is kept in our namespace; it has no second life as one of that namespace.
        if rollout.as_ref().is_some_and(|rollout| self.git_name(rollout) != *name) {
            return None;
        }
        let source = self.own_source(name, rollout.as_deref()).await?;
        let checkout = source.checkout();
        let git = self.git(name, source, checkout.as_deref(), rollout.as_deref(), now).await;
        if rollout.is_none() && !matches!(&git, Git::Tip(tip) if tip.path.is_some()) {
            return None;
        }
        let scope = Scope::of(Some(&name.namespace));
        let wanted = match &git {
            Git::Tip(tip) => tip.wanted.as_ref().ok(),
            Git::Pending(_) | Git::Unread(_) => None,
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
            is_fresh: self.is_fresh(name),
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

    /// Notes on the hub what a look at a source found, and returns the Rollouts that have to be looked at.
    pub(super) fn turned(&self, source: &Followed, turn: Turn) -> BTreeSet<ObjectName> {
        let key = |name: &ObjectName| self.hub_key(name).to_string();
        if let Some(read) = &turn.read {
            let rollouts = turn.concerned.as_ref().map(|names| names.iter().map(key).collect());
            let accepted = || {
                let rollouts = self.world.rollouts.all();
                let accepted = rollouts.iter().filter_map(|rollout| {
                    let recorded = rollout.status.as_ref()?.source.as_ref()?;
                    let key = Key::of(&rollout.metadata).to_string();
                    is_of(recorded, source).then(|| (key, recorded.commit.clone()))
                });
                accepted.collect()
            };
            source.report.read(read, rollouts, accepted, self.options.clock.now());
        }
        turn.concerned.unwrap_or_else(|| {
            let names = self.names();
            let keys: BTreeSet<String> = names.iter().map(key).collect();
            source.report.keep_refused(|rollout| keys.contains(rollout));
            names
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
                None => Git::Pending(format!("{repository} is being read")),
            };
        };
        let status = rollout.and_then(|rollout| rollout.status.as_ref());
        // What was accepted of another source says nothing about this one.
        let recorded = status.and_then(|status| status.source.as_ref());
        let is_ours = |held: &&SourceStatus| is_of(held, source) || self.is_respelled(held, source);
        let recorded = recorded.filter(is_ours);
        let accepted = recorded.and_then(Accepted::of);
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
        let (mut wanted, path) = wanted(name, status, checkout);
        if let Ok(some) = &wanted {
            let faults = self.not_ours(some, source, checkout, rollout);
            if !faults.is_empty() {
                wanted = Err(faults);
            }
        }
        let back = status.and_then(|status| status.pinned.as_ref()?.to.parse::<CommitId>().ok());
        let earlier = match &back {
            None => None,
            Some(commit) => {
                let wanted = source.earlier(name, commit, checkout).await;
                Some((commit.clone(), wanted))
            }
        };
        let read = recorded.and_then(|recorded| recorded.commit.parse::<CommitId>().ok());
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
}

/// Returns what a Rollout wants at a commit, and the path of its file; none when it is not there.
fn wanted(
    name: &ObjectName,
    status: Option<&RolloutStatus>,
    checkout: &Checkout,
) -> (Result<Wanted, Vec<Fault>>, Option<String>) {
    let survey = &checkout.survey;
    let place = survey.places.get(name);
    let wanted = match survey.rollouts.get(name) {
        Some(wanted) => wanted.clone(),
        None => Err(survey.unreadable.iter().take(3).cloned().collect()),
    };
    let recorded = status.and_then(|status| status.source.as_ref()).map(|s| s.path.as_str());
    let broken = survey.unreadable.iter().find(|fault| recorded == Some(fault.place.path.as_str()));
    match (place, broken) {
        (Some(place), _) => (wanted, Some(place.path.clone())),
        // Its own file cannot be read: it is there, whatever it says.
        (None, Some(fault)) => (Err(vec![fault.clone()]), recorded.map(str::to_owned)),
        (None, None) => (wanted, None),
    }
}

/// Returns whether a status tells of this source.
pub(super) fn is_of(recorded: &SourceStatus, followed: &Followed) -> bool {
    is_of_branch(recorded, followed)
        && recorded.folder.as_deref().unwrap_or_default() == followed.source.folder
}

pub(super) fn is_of_branch(recorded: &SourceStatus, followed: &Followed) -> bool {
    recorded.repository == followed.source.display()
        && recorded.reference == followed.source.repository.branch()
}
