//! Finds the snapshot group that holds a commit's content (fleet-semantics §3.4, §3.5).

use serde_json::Value;

use super::proof::{Applied, Difference, key_of, prove};
use crate::{
    model::{ObjectKey, SnapshotIndex},
    placement::{exclude, select::Selection, snapshot::Group},
};

/// A commit's content as the hub has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// Every object of the commit.
    pub objects: Vec<Applied>,
    /// Namespaces that contain objects of the commit and are not part of it, as the hub has them.
    pub namespaces: Vec<Value>,
}

impl Content {
    /// Returns the namespaces that contain objects of the commit and are not part of it.
    pub fn implied<'a>(objects: impl IntoIterator<Item = &'a ObjectKey> + Clone) -> Vec<String> {
        let is_namespace = |key: &&ObjectKey| key.group.is_empty() && key.kind == "Namespace";
        let mut names: Vec<String> = objects
            .clone()
            .into_iter()
            .filter(|key| !key.namespace.is_empty())
            .map(|key| key.namespace.clone())
            .collect();
        names.sort();
        names.dedup();
        names.retain(|name| {
            !objects.clone().into_iter().filter(is_namespace).any(|key| key.name == *name)
        });
        names
    }

    /// Returns the hashes that a group with this content may have: without the implied namespaces, and with them.
    pub fn hashes(&self) -> Vec<String> {
        let stored = || {
            self.objects
                .iter()
                .filter(|object| exclude::placeable(&object.key.group, &object.key.kind))
                .map(|object| object.stored.clone())
        };
        let mut hashes = vec![Selection::of(stored().collect()).hash];
        if !self.namespaces.is_empty() {
            let with = stored().chain(self.namespaces.iter().cloned());
            hashes.push(Selection::of(with.collect()).hash);
        }
        hashes
    }
}

/// Which group it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// This one: its content was proved.
    Proved {
        /// Its index.
        index: SnapshotIndex,
        /// Fleet's hash of it.
        hash: String,
    },
    /// None yet.
    Absent {
        /// The newest group, and in what it differs from the commit.
        newest: Option<(SnapshotIndex, Difference)>,
        /// The hash that the group would have.
        hash: String,
    },
}

/// Finds the newest group that holds the content. Equal hashes are only the invitation to prove it.
pub fn bind(groups: &[Group], content: &Content) -> Bound {
    let hashes = content.hashes();
    let candidates = groups.iter().rev().filter(|group| {
        group.hash().is_some_and(|hash| hashes.iter().any(|wanted| wanted == hash))
    });
    for group in candidates {
        if prove(group, &content.objects, &content.namespaces).is_ok() {
            let hash = group.hash().unwrap_or_default().to_owned();
            return Bound::Proved { index: group.index, hash };
        }
    }
    let newest = groups.last().and_then(|group| {
        let proof = prove(group, &content.objects, &content.namespaces);
        proof.err().map(|difference| (group.index, difference))
    });
    Bound::Absent { newest, hash: hashes.into_iter().next().unwrap_or_default() }
}

/// Returns an object of a commit, as applied.
pub fn applied(wanted: Value, stored: Value) -> Applied {
    Applied { key: key_of(&stored), wanted, stored }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{api::Placement, placement::snapshot::pieces};

    fn placement() -> Placement {
        serde_json::from_value(json!({
            "apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterResourcePlacement",
            "metadata": {"name": "p", "uid": "u"}, "spec": {"resourceSelectors": []},
        }))
        .unwrap()
    }

    fn namespace() -> Value {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "test-namespace", "uid": "1",
            "labels": {"kubernetes.io/metadata.name": "test-namespace"}}, "spec": {"finalizers": ["kubernetes"]}})
    }

    fn map(value: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "test-cm", "namespace": "test-namespace",
            "resourceVersion": "7"}, "data": {"key": value}})
    }

    fn group(index: u32, objects: Vec<Value>) -> Group {
        let index: SnapshotIndex = index.to_string().parse().unwrap();
        let pieces = pieces(&placement(), index, &Selection::of(objects));
        Group::all(&pieces.into_iter().map(Arc::new).collect::<Vec<_>>()).remove(0)
    }

    fn content(value: &str) -> Content {
        let wanted = |object: &Value| {
            let mut object = object.clone();
            object["metadata"] = json!({"name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"]});
            object.as_object_mut().unwrap().remove("spec");
            object
        };
        let objects = [namespace(), map(value)];
        Content {
            objects: objects.iter().map(|o| applied(wanted(o), o.clone())).collect(),
            namespaces: Vec::new(),
        }
    }

    #[test]
    fn the_hash_is_fleets_golden_vector() {
        assert_eq!(
            content("value2").hashes(),
            ["10dd7a3d1e5f9849afe956cfbac080a60671ad771e9bda7dd34415f867c75648"]
        );
    }

    #[test]
    fn a_revert_finds_its_old_index() {
        let groups = [group(0, vec![namespace(), map("a")]), group(1, vec![namespace(), map("b")])];
        for (value, want) in [("a", "0"), ("b", "1")] {
            match bind(&groups, &content(value)) {
                Bound::Proved { index, .. } => assert_eq!(index.to_string(), want),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_differs_is_told() {
        let told = |objects: Vec<Value>| match bind(&[group(3, objects)], &content("a")) {
            Bound::Absent { newest: Some((index, difference)), .. } => {
                assert_eq!(index.to_string(), "3");
                difference.to_string()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            told(vec![namespace(), map("b")]),
            "ConfigMap test-namespace/test-cm differs in data.key"
        );
        assert!(told(vec![namespace()]).contains("test-cm of the commit is not in it"));
        let extra = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "test-namespace"}});
        assert_eq!(
            told(vec![namespace(), map("a"), extra]),
            "Secret test-namespace/s is in it, and not in the commit"
        );
        let mut labelled = map("a");
        labelled["metadata"]["labels"] = json!({"by": "hand"});
        assert!(told(vec![namespace(), labelled]).contains("as it was before"));
        assert!(matches!(bind(&[], &content("a")), Bound::Absent { newest: None, .. }));
    }

    #[test]
    fn an_incomplete_group_is_never_bound() {
        let mut group = group(0, vec![namespace(), map("a")]);
        group.pieces.clear();
        assert!(matches!(bind(&[group], &content("a")), Bound::Absent { .. }));
    }

    #[test]
    fn the_namespace_around_the_content_may_come_along() {
        let mut only_map = content("a");
        let namespace = only_map.objects.remove(0).stored;
        assert_eq!(Content::implied(only_map.objects.iter().map(|o| &o.key)), ["test-namespace"]);
        only_map.namespaces = vec![namespace.clone()];
        for objects in [vec![map("a")], vec![namespace, map("a")]] {
            assert!(matches!(bind(&[group(0, objects)], &only_map), Bound::Proved { .. }));
        }
    }
}
