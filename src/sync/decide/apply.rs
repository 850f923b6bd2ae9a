//! The commit's objects go to the hub, and what left the commit goes from it.

use std::sync::Arc;

use super::{
    LOOK_AGAIN,
    desk::{Desk, Flow, halt},
    pin::Goal,
};
use crate::{
    api::{
        Run, condition, meta,
        rollout::{APPLIED, InventoryEntry, reason},
        run::{STATE_INITIALIZE, STATE_STOP},
    },
    model::ObjectKey,
    release::{
        Content,
        ledger::{FAILURE, annotation},
    },
    render::{Wanted, object},
    sync::{
        Apply, ApplyOutcome, Order, Tip,
        inventory::{self, ALLOW_PRUNE, Prune},
        pass::entry,
        release,
        status::Finding,
    },
};

pub(super) fn objects(count: usize) -> String {
    match count {
        1 => "1 object".to_owned(),
        more => format!("{more} objects"),
    }
}

impl Desk<'_> {
    pub(super) fn apply(&mut self, tip: &Tip, goal: &Goal<'_>) -> Flow<Content> {
        let wanted = goal.wanted.as_ref();
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
                format!("commit {} waits until run {run} is over", goal.commit.short()),
            ));
        }
        let place = |manifest: &crate::manifest::Manifest| manifest.place.to_string();
        let apply = Apply {
            key: String::new(),
            content: wanted.content.iter().map(|m| (object::content(m), place(m))).collect(),
            prune,
            last: wanted
                .strategies()
                .map(|strategy| (object::strategy(strategy), place(strategy)))
                .chain(
                    object::placement(wanted, &goal.commit)
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
                let text = objects(content.objects.len());
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
                let message = format!("{message}; {} applied before it", objects(*applied));
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
                let finding = Finding::waits(
                    reason::APPLYING,
                    format!("commit {} is applied to the hub", goal.commit.short()),
                );
                // What an earlier process has applied is only looked at.
                halt(if self.was_applied(wanted) { finding.quietly() } else { finding })
            }
        }
    }

    /// Returns whether an earlier process has applied the content, and this one has not looked yet.
    fn was_applied(&self, wanted: &Wanted) -> bool {
        self.seen.is_fresh
            && self.status.content_digest.as_deref() == Some(wanted.digest.as_str())
            && condition::is_true(&self.status.conditions, APPLIED)
    }

    /// Names every object in the inventory before it exists on the hub.
    pub(super) fn remember_inventory(&mut self, wanted: &[InventoryEntry]) {
        for entry in wanted {
            if !self.status.inventory.contains(entry) {
                self.status.inventory.push(entry.clone());
            }
        }
    }

    pub(super) fn ask(&mut self, tip: &Tip, keys: &[ObjectKey]) -> Flow<Content> {
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

    pub(super) fn queued(&self, wanted: &Wanted) -> bool {
        let older = |run: &Arc<Run>| {
            !release::is_over(run)
                && release::state(run) != STATE_INITIALIZE
                && annotation(run, meta::CONTENT_DIGEST) != Some(wanted.digest.as_str())
                && !(release::state(run) == STATE_STOP && annotation(run, FAILURE).is_some())
        };
        wanted.intent.when_superseded == crate::render::WhenSuperseded::Queue
            && release::ours(self.seen).any(older)
    }
}
