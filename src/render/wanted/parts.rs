//! A Rollout's content, strategies and placement, found in the repository.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Wanted,
    head::{Head, folder},
};
use crate::{
    api::{kind, placement::PlacementSpec, strategy::StrategySpec},
    manifest::{Manifest, Place, apply_order, canonical, digest, duplicates},
    model::{ObjectKey, Scope},
    render::{
        Fault, Intent, Parsed, Problem, Repository, StrategyChoice, check,
        nearest::nearest,
        repository::{Purpose, tool},
    },
};

/// Strategies and placements of the repository.
pub(super) struct Catalog<'a> {
    strategies: BTreeMap<&'a ObjectKey, Vec<(&'a Manifest, &'a Parsed)>>,
    placements: BTreeMap<&'a ObjectKey, Vec<(&'a Manifest, &'a Parsed)>>,
}

impl<'a> Catalog<'a> {
    pub(super) fn of(repository: &'a Repository) -> Self {
        let mut catalog = Self { strategies: BTreeMap::new(), placements: BTreeMap::new() };
        for (manifest, file) in repository.objects() {
            let kept = match Purpose::of(&manifest.key.group, &manifest.key.kind) {
                Purpose::Strategy => &mut catalog.strategies,
                Purpose::Placement => &mut catalog.placements,
                _ => continue,
            };
            kept.entry(&manifest.key).or_default().push((manifest, file));
        }
        catalog
    }
}

/// What one Rollout is put together from.
pub(super) struct Parts<'a> {
    pub(super) head: &'a Head<'a>,
    pub(super) intent: &'a Intent,
    pub(super) path: &'a str,
    pub(super) repository: &'a Repository,
    pub(super) catalog: &'a Catalog<'a>,
}

impl Parts<'_> {
    fn fault(&self, problem: Problem) -> Fault {
        problem.in_file(self.head.manifest, &self.head.file.bytes)
    }

    /// Puts everything together. What is wrong goes into `faults`.
    pub(super) fn assemble(&self, unreadable: &[Fault], faults: &mut Vec<Fault>) -> Option<Wanted> {
        let scope = Scope::of(Some(&self.head.name.namespace));
        let mut content = self.content(faults);
        apply_order(&mut content);
        let strategy = self.strategy(&scope, unreadable, faults);
        let rollback_strategy = self.rollback_strategy(&scope, unreadable, faults);
        let placement = self.placement(&scope, unreadable, faults);
        if content.is_empty() {
            return None;
        }
        Some(Wanted {
            name: self.head.name.clone(),
            rollout: self.head.manifest.clone(),
            intent: self.intent.clone(),
            content_path: self.path.to_owned(),
            digest: digest(&content),
            content,
            strategy,
            rollback_strategy,
            placement,
            scope,
        })
    }

    fn content(&self, faults: &mut Vec<Fault>) -> Vec<Manifest> {
        let mut content = Vec::new();
        let mut files = 0;
        for (path, file) in self.repository.under(self.path) {
            if !self.repository.may_be_content(path) {
                continue;
            }
            files += 1;
            if let Some(tool) = tool(path) {
                let fault = Fault::new(Place::file(path), format!("{tool} is not supported yet"));
                faults.push(fault.with_hint("render in CI and commit plain manifests"));
            }
            let objects = file.content.iter().flatten();
            content.extend(
                objects
                    .filter(|m| Purpose::of(&m.key.group, &m.key.kind) == Purpose::Content)
                    .cloned(),
            );
        }
        let shown = if self.path.is_empty() { "the repository" } else { self.path };
        if files == 0 {
            let problem =
                Problem::new("/spec/manifests", format!("there is no manifest in `{shown}`"));
            faults.push(self.fault(match self.near_folder() {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem.with_hint("nothing is deleted because of this; to delete a Rollout's objects, delete them from the hub"),
            }));
        } else if content.is_empty() && faults.is_empty() {
            let problem = Problem::new(
                "/spec/manifests",
                format!("no file in `{shown}` has an object to roll out"),
            );
            faults.push(self.fault(problem.with_hint("nothing is deleted because of this")));
        }
        for twice in duplicates(&content) {
            let detail = format!("{} stands in {} already", twice.key, twice.first);
            faults.push(Fault::new(twice.second, detail));
        }
        if let Scope::Namespace(namespace) = Scope::of(Some(&self.head.name.namespace)) {
            for object in &content {
                let other = object.namespace().filter(|other| *other != namespace);
                let cluster = object.key.group.is_empty() && object.key.kind == "Namespace";
                if other.is_some() || cluster {
                    let detail = format!(
                        "{} is not in namespace `{namespace}`: a Rollout in a namespace rolls out that namespace only",
                        object.key
                    );
                    faults.push(Fault::new(object.place.clone(), detail));
                }
            }
        }
        content
    }

    fn near_folder(&self) -> Option<String> {
        let folders: BTreeSet<&str> =
            self.repository.files.keys().map(|path| folder(path)).collect();
        let folders: Vec<&str> = folders.into_iter().filter(|folder| !folder.is_empty()).collect();
        nearest(self.path, &folders).map(str::to_owned)
    }

    fn strategy(
        &self,
        scope: &Scope,
        unreadable: &[Fault],
        faults: &mut Vec<Fault>,
    ) -> Option<Manifest> {
        match &self.intent.strategy {
            StrategyChoice::Inline(spec) => {
                let kind = kind::strategy(scope);
                let key = self.strategy_key(scope, &self.head.name.name);
                if let Some((other, _)) = self.catalog.strategies.get(&key).and_then(|l| l.first())
                {
                    let detail =
                        format!("{key} stands in {}: the name of our own stages", other.place);
                    faults.push(self.fault(Problem::new("/spec/stages", detail)));
                }
                let mut metadata = serde_json::json!({ "name": key.name });
                if !key.namespace.is_empty() {
                    metadata["namespace"] = key.namespace.clone().into();
                }
                let object = serde_json::json!({
                    "apiVersion": kind.api_version(), "kind": kind.name, "metadata": metadata, "spec": spec,
                });
                Some(Manifest { key, object, ..self.head.manifest.clone() })
            }
            StrategyChoice::Named(name) => {
                let key = self.strategy_key(scope, name);
                self.named_strategy(&key, "/spec/strategyName", unreadable, faults)
            }
        }
    }

    fn rollback_strategy(
        &self,
        scope: &Scope,
        unreadable: &[Fault],
        faults: &mut Vec<Fault>,
    ) -> Option<Manifest> {
        let name = self.intent.rollback_strategy.as_ref()?;
        // Applied once, under whichever name it stands first.
        if matches!(&self.intent.strategy, StrategyChoice::Named(usual) if usual == name) {
            return None;
        }
        let key = self.strategy_key(scope, name);
        self.named_strategy(&key, "/spec/rollback/strategyName", unreadable, faults)
    }

    fn strategy_key(&self, scope: &Scope, name: &str) -> ObjectKey {
        kind::strategy(scope).key(scope, name)
    }

    fn named_strategy(
        &self,
        key: &ObjectKey,
        pointer: &'static str,
        unreadable: &[Fault],
        faults: &mut Vec<Fault>,
    ) -> Option<Manifest> {
        let (found, file) =
            self.only(key, &self.catalog.strategies, pointer, unreadable, faults)?;
        match serde_json::from_value::<StrategySpec>(found.object["spec"].clone()) {
            Ok(spec) => faults.extend(
                check::strategy(&spec, "/spec/stages")
                    .into_iter()
                    .map(|problem| problem.in_file(found, &file.bytes)),
            ),
            Err(error) => {
                faults.push(Problem::new("/spec", error.to_string()).in_file(found, &file.bytes));
            }
        }
        Some(found.clone())
    }

    fn placement(
        &self,
        scope: &Scope,
        unreadable: &[Fault],
        faults: &mut Vec<Fault>,
    ) -> Option<Manifest> {
        let key = kind::placement(scope).key(scope, &self.intent.placement);
        let (found, file) =
            self.only(&key, &self.catalog.placements, "/spec/placementName", unreadable, faults)?;
        match serde_json::from_value::<PlacementSpec>(found.object["spec"].clone()) {
            Ok(spec) => faults.extend(
                check::placement(&spec)
                    .into_iter()
                    .map(|problem| problem.in_file(found, &file.bytes)),
            ),
            Err(error) => {
                faults.push(Problem::new("/spec", error.to_string()).in_file(found, &file.bytes))
            }
        }
        Some(found.clone())
    }

    /// Finds the one object of this key. None at all is no fault, for it may be on the hub, unless an unreadable file
    /// may have held it.
    fn only<'a>(
        &self,
        key: &ObjectKey,
        among: &BTreeMap<&'a ObjectKey, Vec<(&'a Manifest, &'a Parsed)>>,
        pointer: &str,
        unreadable: &[Fault],
        faults: &mut Vec<Fault>,
    ) -> Option<(&'a Manifest, &'a Parsed)> {
        let found = among.get(key).map(Vec::as_slice).unwrap_or_default();
        let mut different = found.iter().skip(1).filter(|(other, _)| {
            canonical::canonical(&other.object) != canonical::canonical(&found[0].0.object)
        });
        if let Some((second, _)) = different.next() {
            let detail =
                format!("{key} stands in {} already, and says something else", found[0].0.place);
            faults.push(Fault::new(second.place.clone(), detail));
        }
        if let (None, Some(fault)) = (found.first(), unreadable.first()) {
            let detail = format!(
                "{key} is in no file that can be read, but {} cannot: {}",
                fault.place, fault.detail
            );
            faults.push(self.fault(Problem::new(pointer, detail)));
        }
        found.first().copied()
    }
}
