//! Many objects together.

use std::collections::BTreeMap;

use super::{Manifest, Place};
use crate::model::ObjectKey;

/// An object that stands in two places.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{second}: {key} stands in {first} already")]
pub struct Duplicate {
    /// Which object.
    pub key: ObjectKey,
    /// Where it stands first.
    pub first: Place,
    /// Where it stands again.
    pub second: Place,
}

/// Returns the objects that stand in more than one place, whatever their apiVersions.
pub fn duplicates<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> Vec<Duplicate> {
    let mut known: BTreeMap<&ObjectKey, &Place> = BTreeMap::new();
    let mut found = Vec::new();
    for manifest in manifests {
        match known.get(&manifest.key) {
            None => {
                known.insert(&manifest.key, &manifest.place);
            }
            Some(first) => found.push(Duplicate {
                key: manifest.key.clone(),
                first: (*first).clone(),
                second: manifest.place.clone(),
            }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Limits, decode, manifests};

    #[test]
    fn both_places_are_named() {
        let read = |path: &str, text: &str| {
            let documents = decode(path, text.as_bytes(), &Limits::default()).unwrap();
            documents.into_iter().flat_map(|d| manifests(d).unwrap()).collect::<Vec<_>>()
        };
        let mut all =
            read("a.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n");
        all.extend(read(
            "b.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\napiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: x}\n",
        ));
        let found: Vec<_> = duplicates(&all).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["b.yaml:5:1: Deployment.apps x stands in a.yaml:1:1 already"]);
    }
}
