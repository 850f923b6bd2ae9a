//! Applied before, less wanted now: what may be deleted, and when to ask first.

use crate::{
    api::{kind, rollout::InventoryEntry},
    manifest::order::rank_of,
    model::ObjectKey,
};

/// Annotation on a Rollout on the hub: the commit for which a large prune is allowed.
pub const ALLOW_PRUNE: &str = "gitops.tidegate.dev/allow-prune";

/// What to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prune {
    /// These, in this order; often none.
    Delete(Vec<ObjectKey>),
    /// So much, or something so large, that a person should look first.
    Ask(Vec<ObjectKey>),
}

/// From so many objects on, losing more than half of them is asked about first.
const FEW: usize = 5;

/// Judges what may go: everything of the inventory that is not wanted, the last applied first. Whoever calls this has a
/// complete and faultless render in hand: nothing is deleted because something could not be read.
pub fn prune(inventory: &[InventoryEntry], wanted: &[InventoryEntry]) -> Prune {
    let mut gone: Vec<ObjectKey> = inventory
        .iter()
        .filter(|entry| !wanted.contains(entry))
        .map(|entry| ObjectKey {
            group: entry.group.clone(),
            kind: entry.kind.clone(),
            namespace: entry.namespace.clone(),
            name: entry.name.clone(),
        })
        .collect();
    gone.sort_by(|a, b| {
        (rank_of(&b.group, &b.kind), &b.name).cmp(&(rank_of(&a.group, &a.kind), &a.name))
    });
    // These take much with them.
    let takes_others = |key: &ObjectKey| {
        (key.group.is_empty() && key.kind == "Namespace")
            || key.kind == "CustomResourceDefinition"
            || key.kind == kind::CLUSTER_RESOURCE_PLACEMENT.name
            || key.kind == kind::RESOURCE_PLACEMENT.name
    };
    let many = gone.len() >= FEW && gone.len() * 2 > inventory.len();
    if many || gone.iter().any(takes_others) { Prune::Ask(gone) } else { Prune::Delete(gone) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Vec<InventoryEntry> {
        let entry = |name: &&str| {
            let (kind, name) = name.split_once('/').unwrap_or(("ConfigMap", name));
            InventoryEntry {
                group: String::new(),
                kind: kind.into(),
                namespace: String::new(),
                name: name.into(),
            }
        };
        names.iter().map(entry).collect()
    }

    fn names(keys: &[ObjectKey]) -> Vec<&str> {
        keys.iter().map(|key| key.name.as_str()).collect()
    }

    #[test]
    fn what_is_not_wanted_goes_in_reverse_order() {
        let held = entries(&["a", "b", "Service/s", "Deployment/d"]);
        match prune(&held, &entries(&["a"])) {
            Prune::Delete(gone) => assert_eq!(names(&gone), ["d", "s", "b"]),
            other => panic!("{other:?}"),
        }
        assert_eq!(prune(&held, &held), Prune::Delete(Vec::new()));
        assert_eq!(prune(&[], &held), Prune::Delete(Vec::new()));
    }

    #[test]
    fn large_prunes_ask() {
        let ten: Vec<String> = (0..10).map(|n| format!("c{n}")).collect();
        let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
        assert!(
            matches!(prune(&entries(&ten), &entries(&ten[..4])), Prune::Ask(gone) if gone.len() == 6)
        );
        assert!(matches!(prune(&entries(&ten), &entries(&ten[..5])), Prune::Delete(_)));
        assert!(matches!(prune(&entries(&["Namespace/n", "a"]), &entries(&["a"])), Prune::Ask(_)));
        assert!(matches!(
            prune(&entries(&["CustomResourceDefinition/n", "a"]), &entries(&["a"])),
            Prune::Ask(_)
        ));
    }
}
