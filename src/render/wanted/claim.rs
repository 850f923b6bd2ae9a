//! Which Rollout has which object and placement.

use std::collections::BTreeMap;

use super::Wanted;
use crate::{
    api::kind,
    manifest::Place,
    model::{ObjectKey, ObjectName},
    render::Fault,
};

/// What Rollouts have claimed so far.
#[derive(Default)]
pub(super) struct Claims {
    objects: BTreeMap<ObjectKey, (Place, ObjectName)>,
    placements: BTreeMap<ObjectKey, ObjectName>,
}

impl Claims {
    /// Two Rollouts may not own the same object, nor drive the same placement: the first in the order of paths has it.
    pub(super) fn take(&mut self, wanted: &Wanted) -> Vec<Fault> {
        let mut faults = Vec::new();
        for object in &wanted.content {
            match self.objects.get(&object.key) {
                // Twice in one Rollout's own content is told where the content is read.
                Some((_, owner)) if *owner == wanted.name => {}
                Some((first, owner)) if *first != object.place => {
                    let detail =
                        format!("{} stands in {first} already, for Rollout `{owner}`", object.key);
                    faults.push(Fault::new(object.place.clone(), detail));
                }
                Some((first, _)) => {
                    let detail = format!("{} ({first}) belongs to two Rollouts", object.key);
                    faults.push(Fault::new(wanted.rollout.place.clone(), detail));
                }
                None => {
                    let claim = (object.place.clone(), wanted.name.clone());
                    self.objects.insert(object.key.clone(), claim);
                }
            }
        }
        let key = kind::placement(&wanted.scope).key(&wanted.scope, &wanted.intent.placement);
        match self.placements.get(&key) {
            Some(other) => faults.push(
                Fault::new(
                    wanted.rollout.place.clone(),
                    format!("Rollout `{other}` rolls out placement `{}` already", key.name),
                )
                .with_hint("give each Rollout a placement of its own"),
            ),
            None => {
                self.placements.insert(key, wanted.name.clone());
            }
        }
        faults
    }
}
