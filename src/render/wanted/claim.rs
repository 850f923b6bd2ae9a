//! Which objects and placements several Rollouts want.

use std::collections::BTreeMap;

use super::Wanted;
use crate::{
    api::kind,
    manifest::Place,
    model::{ObjectKey, ObjectName},
    render::Fault,
};

/// Something that two Rollouts want. Git alone cannot tell whose it is: that is who has it on the hub.
#[derive(Clone, Debug, PartialEq)]
pub struct Contest {
    /// What.
    pub key: ObjectKey,
    /// The other Rollout.
    pub other: ObjectName,
    /// What is wrong with it, where only one may have it.
    pub fault: Fault,
}

/// Who wants something, and where that stands.
struct Claim {
    name: ObjectName,
    rollout: Place,
    object: Place,
}

/// What Rollouts have claimed so far.
#[derive(Default)]
pub(super) struct Claims {
    objects: BTreeMap<ObjectKey, Vec<Claim>>,
    placements: BTreeMap<ObjectKey, Vec<Claim>>,
}

impl Claims {
    /// Takes in what a Rollout wants: two may not own the same object, nor drive the same placement.
    pub(super) fn take(&mut self, wanted: &Wanted) {
        let claim = |object: &Place| Claim {
            name: wanted.name.clone(),
            rollout: wanted.rollout.place.clone(),
            object: object.clone(),
        };
        for object in &wanted.content {
            let claims = self.objects.entry(object.key.clone()).or_default();
            // Twice in one Rollout's own content is told where the content is read.
            if claims.iter().all(|held| held.name != wanted.name) {
                claims.push(claim(&object.place));
            }
        }
        let key = wanted.placement_key();
        self.placements.entry(key).or_default().push(claim(&wanted.rollout.place));
    }

    /// Returns what several want, by each who does.
    pub(super) fn contests(&self) -> BTreeMap<ObjectName, Vec<Contest>> {
        let mut contests: BTreeMap<ObjectName, Vec<Contest>> = BTreeMap::new();
        let mut add = |key: &ObjectKey, ours: &Claim, theirs: &Claim, fault: Fault| {
            let (key, other) = (key.clone(), theirs.name.clone());
            contests.entry(ours.name.clone()).or_default().push(Contest { key, other, fault });
        };
        for (key, claims) in &self.objects {
            for (ours, theirs) in pairs(claims) {
                let other = &theirs.name;
                let fault = match ours.object == theirs.object {
                    true => Fault::new(
                        ours.rollout.clone(),
                        format!("{key} ({}) belongs to Rollout `{other}`, too", ours.object),
                    ),
                    false => Fault::new(
                        ours.object.clone(),
                        format!("{key} stands in {} for Rollout `{other}`, too", theirs.object),
                    ),
                };
                add(key, ours, theirs, fault);
            }
        }
        for (key, claims) in &self.placements {
            for (ours, theirs) in pairs(claims) {
                let fault = Fault::new(
                    ours.rollout.clone(),
                    format!(
                        "Rollout `{}` in {} rolls out placement `{}`, too",
                        theirs.name, theirs.rollout, key.name
                    ),
                );
                let fault = fault.with_hint("give each Rollout a placement of its own");
                add(key, ours, theirs, fault);
            }
        }
        contests
    }
}

fn pairs(claims: &[Claim]) -> impl Iterator<Item = (&Claim, &Claim)> {
    claims.iter().flat_map(move |ours| {
        claims.iter().filter(|theirs| theirs.name != ours.name).map(move |theirs| (ours, theirs))
    })
}

impl Wanted {
    /// Returns the placement that the Rollout drives, wherever it is.
    pub fn placement_key(&self) -> ObjectKey {
        kind::placement(&self.scope).key(&self.scope, &self.intent.placement)
    }
}
