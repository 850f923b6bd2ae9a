//! What each Rollout of a repository wants.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Fault, Intent, Parsed, Problem, Repository, StrategyChoice, check,
    intent::{intent, nearest},
    repository::{Flaw, Purpose, is_under},
};
use crate::{
    api::{kind, placement::PlacementSpec, strategy::StrategySpec},
    manifest::{Manifest, Place, apply_order, canonical, digest, duplicates},
    model::{Digest, ObjectKey, ObjectName, Scope},
};

/// What a Rollout wants, complete and without faults that can be seen in Git alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The Rollout.
    pub name: ObjectName,
    /// Where its placement, strategy and runs live.
    pub scope: Scope,
    /// The Rollout's object, as written.
    pub rollout: Manifest,
    /// The Rollout's spec, understood.
    pub intent: Intent,
    /// Where the content is: a path from the top of the repository.
    pub content_path: String,
    /// The content, in the order of applying. Never empty.
    pub content: Vec<Manifest>,
    /// Digest of the content.
    pub digest: Digest,
    /// The strategy, if the repository has it; the Rollout's own, if it brings stages.
    pub strategy: Option<Manifest>,
    /// The strategy of rollbacks, if there is another one for them and the repository has it.
    pub rollback_strategy: Option<Manifest>,
    /// The placement, if the repository has it.
    pub placement: Option<Manifest>,
}

impl Wanted {
    /// Returns the strategy's name.
    pub fn strategy_name(&self) -> &str {
        match &self.intent.strategy {
            StrategyChoice::Named(name) => name,
            StrategyChoice::Inline(_) => &self.name.name,
        }
    }

    /// Returns the name of the strategy for content that was everywhere before.
    pub fn rollback_strategy_name(&self) -> &str {
        self.intent.rollback_strategy.as_deref().unwrap_or_else(|| self.strategy_name())
    }

    /// Returns the strategies that are applied.
    pub fn strategies(&self) -> impl Iterator<Item = &Manifest> {
        self.strategy.iter().chain(&self.rollback_strategy)
    }

    /// Returns everything that is applied: content, strategies, placement.
    pub fn objects(&self) -> impl Iterator<Item = &Manifest> {
        self.content.iter().chain(self.strategies()).chain(&self.placement)
    }
}

/// All Rollouts of a repository, and what else is worth a word.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Each Rollout, or what is wrong with it.
    pub rollouts: BTreeMap<ObjectName, Result<Wanted, Vec<Fault>>>,
    /// Where each Rollout stands.
    pub places: BTreeMap<ObjectName, Place>,
    /// Files that could not be read and may have held anything.
    pub unreadable: Vec<Fault>,
    /// What is ignored, and why.
    pub notes: Vec<Fault>,
}

/// Surveys a repository. Faults of one Rollout are no other Rollout's.
pub fn wanted(repository: &Repository) -> Survey {
    let mut survey = Survey::default();
    let heads = heads(repository, &mut survey);
    let catalog = Catalog::of(repository);
    let broken = attribute(repository, &heads, &mut survey);
    let mut claimed: BTreeMap<ObjectKey, Place> = BTreeMap::new();
    let mut placements: BTreeMap<ObjectKey, ObjectName> = BTreeMap::new();
    for (at, head) in heads.iter().enumerate() {
        let name = head.name.clone();
        survey.places.insert(name.clone(), head.manifest.place.clone());
        let mut faults = broken.get(&at).cloned().unwrap_or_default();
        faults.extend(repository.excess.clone());
        let assembled = match (&head.intent, &head.content_path) {
            (Ok(intent), Ok(path)) => {
                let parts = Parts { head, intent, path, repository, catalog: &catalog };
                parts.assemble(&survey.unreadable, &mut faults)
            }
            (intent, path) => {
                faults.extend(intent.as_ref().err().into_iter().flatten().cloned());
                faults.extend(path.as_ref().err().cloned());
                None
            }
        };
        if let Some(wanted) = &assembled {
            faults.extend(taken(wanted, &mut claimed, &mut placements));
        }
        let result = match assembled {
            Some(wanted) if faults.is_empty() => Ok(wanted),
            _ => Err(faults),
        };
        survey.rollouts.insert(name, result);
    }
    ignored(repository, &heads, &mut survey);
    survey
}

/// A Rollout's file.
struct Head<'a> {
    name: ObjectName,
    manifest: &'a Manifest,
    file: &'a Parsed,
    intent: Result<Intent, Vec<Fault>>,
    content_path: Result<String, Fault>,
}

fn heads<'a>(repository: &'a Repository, survey: &mut Survey) -> Vec<Head<'a>> {
    let mut heads: Vec<Head<'a>> = Vec::new();
    for (manifest, file) in repository.objects() {
        if Purpose::of(&manifest.key.group, &manifest.key.kind) != Purpose::Rollout {
            continue;
        }
        let name = ObjectName {
            namespace: manifest.key.namespace.clone(),
            name: manifest.key.name.clone(),
        };
        let fault = |problem: Problem| problem.in_file(manifest, &file.bytes);
        let mut read = intent(&manifest.object)
            .map_err(|problems| problems.into_iter().map(fault).collect::<Vec<_>>());
        if manifest.api_version() != kind::ROLLOUT.api_version() {
            let problem = Problem::new("/apiVersion", "this version of Rollout is not known")
                .with_hint(format!("use {}", kind::ROLLOUT.api_version()));
            read = Err(vec![fault(problem)]);
        }
        if let Some(first) = heads.iter_mut().find(|head| head.name == name) {
            let detail = format!("{} stands in {} already", manifest.key, first.manifest.place);
            let twice = Fault::new(manifest.place.clone(), detail);
            survey.notes.push(twice.clone());
            // Which of them is meant? Neither rolls out until one is gone.
            first.intent = Err(vec![twice]);
            continue;
        }
        let relative = read.as_ref().map_or("", |intent| intent.manifests.as_str());
        let content_path = content_path(&manifest.place.path, relative)
            .map_err(|detail| fault(Problem::new("/spec/manifests", detail)));
        heads.push(Head { name, manifest, file, intent: read, content_path });
    }
    heads
}

/// Resolves a path relative to a file. `..` may not leave the repository.
fn content_path(file: &str, relative: &str) -> Result<String, String> {
    if relative.starts_with('/') {
        return Err(format!("`{relative}` is absolute: paths are relative to the Rollout's file"));
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| format!("`{relative}` leaves the repository"))?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Blames each unreadable file on the Rollouts whose content it stands in, or else on those in whose folder it stands.
fn attribute(
    repository: &Repository,
    heads: &[Head<'_>],
    survey: &mut Survey,
) -> BTreeMap<usize, Vec<Fault>> {
    let mut broken: BTreeMap<usize, Vec<Fault>> = BTreeMap::new();
    for (path, file) in &repository.files {
        let Err(flaw) = &file.content else { continue };
        let within = |test: &dyn Fn(&Head<'_>) -> bool| {
            let found = heads.iter().enumerate().filter(|(_, head)| test(head));
            found.map(|(at, _)| at).collect::<Vec<_>>()
        };
        if !repository.may_be_content(path) {
            survey.notes.push(flaw.fault().clone());
            continue;
        }
        let mut blamed =
            within(&|head| head.content_path.as_ref().is_ok_and(|content| is_under(path, content)));
        if let Flaw::Unreadable(fault) = flaw {
            survey.unreadable.push(fault.clone());
            if blamed.is_empty() {
                blamed = within(&|head| {
                    let folder = folder(&head.manifest.place.path);
                    !folder.is_empty() && is_under(path, folder)
                });
            }
        }
        for at in blamed {
            broken.entry(at).or_default().push(flaw.fault().clone());
        }
    }
    broken
}

/// Strategies and placements of the repository.
struct Catalog<'a> {
    strategies: BTreeMap<&'a ObjectKey, Vec<(&'a Manifest, &'a Parsed)>>,
    placements: BTreeMap<&'a ObjectKey, Vec<(&'a Manifest, &'a Parsed)>>,
}

impl<'a> Catalog<'a> {
    fn of(repository: &'a Repository) -> Self {
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

struct Parts<'a> {
    head: &'a Head<'a>,
    intent: &'a Intent,
    path: &'a str,
    repository: &'a Repository,
    catalog: &'a Catalog<'a>,
}

impl Parts<'_> {
    fn fault(&self, problem: Problem) -> Fault {
        problem.in_file(self.head.manifest, &self.head.file.bytes)
    }

    fn assemble(&self, unreadable: &[Fault], faults: &mut Vec<Fault>) -> Option<Wanted> {
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
            let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
            for (told, tool) in [
                ("kustomization.yaml", "kustomize"),
                ("kustomization.yml", "kustomize"),
                ("chart.yaml", "helm"),
            ] {
                if name == told {
                    let fault =
                        Fault::new(Place::file(path), format!("{tool} is not supported yet"));
                    faults.push(fault.with_hint("render in CI and commit plain manifests"));
                }
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
        let kind = kind::strategy(scope);
        ObjectKey {
            group: kind.group.to_owned(),
            kind: kind.name.to_owned(),
            namespace: self.head.name.namespace.clone(),
            name: name.to_owned(),
        }
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
        let kind = kind::placement(scope);
        let key = ObjectKey {
            group: kind.group.to_owned(),
            kind: kind.name.to_owned(),
            namespace: self.head.name.namespace.clone(),
            name: self.intent.placement.clone(),
        };
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

/// Two Rollouts may not own the same object, nor drive the same placement: the first in the order of paths has it.
fn taken(
    wanted: &Wanted,
    claimed: &mut BTreeMap<ObjectKey, Place>,
    placements: &mut BTreeMap<ObjectKey, ObjectName>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for object in &wanted.content {
        match claimed.get(&object.key) {
            Some(first) if *first != object.place => {
                let detail =
                    format!("{} stands in {first}, for another Rollout, already", object.key);
                faults.push(Fault::new(object.place.clone(), detail));
            }
            Some(first) => {
                let detail = format!("{} ({first}) belongs to two Rollouts", object.key);
                faults.push(Fault::new(wanted.rollout.place.clone(), detail));
            }
            None => {
                claimed.insert(object.key.clone(), object.place.clone());
            }
        }
    }
    let kind = kind::placement(&wanted.scope);
    let key = ObjectKey {
        group: kind.group.to_owned(),
        kind: kind.name.to_owned(),
        namespace: wanted.name.namespace.clone(),
        name: wanted.intent.placement.clone(),
    };
    match placements.get(&key) {
        Some(other) => faults.push(
            Fault::new(
                wanted.rollout.place.clone(),
                format!("Rollout `{other}` rolls out placement `{}` already", key.name),
            )
            .with_hint("give each Rollout a placement of its own"),
        ),
        None => {
            placements.insert(key, wanted.name.clone());
        }
    }
    faults
}

/// Notes what is in the repository and means nothing to us.
fn ignored(repository: &Repository, heads: &[Head<'_>], survey: &mut Survey) {
    let used: BTreeSet<&ObjectKey> = survey
        .rollouts
        .values()
        .flatten()
        .flat_map(|wanted| wanted.strategies().chain(&wanted.placement))
        .map(|manifest| &manifest.key)
        .collect();
    let mut notes = Vec::new();
    for (manifest, _) in repository.objects() {
        let note = match Purpose::of(&manifest.key.group, &manifest.key.kind) {
            Purpose::Rollout | Purpose::Approval => continue,
            Purpose::Strategy | Purpose::Placement if used.contains(&manifest.key) => continue,
            Purpose::Strategy | Purpose::Placement => "no Rollout names it",
            Purpose::Machinery => "objects of this kind are made on the hub, not in Git",
            Purpose::Content => {
                let path = &manifest.place.path;
                let within = |head: &Head<'_>| {
                    head.content_path.as_ref().is_ok_and(|content| is_under(path, content))
                };
                if repository.may_be_content(path) && heads.iter().any(within) {
                    continue;
                }
                "it is under no Rollout's manifests"
            }
        };
        notes.push(Fault::new(
            manifest.place.clone(),
            format!("{} is ignored: {note}", manifest.key),
        ));
    }
    survey.notes.extend(notes);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{manifest::Limits, render::File};

    const ROLLOUT: &str = "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n  manifests: ./manifests\n  placementName: web\n  strategyName: slow\n";
    const PLACEMENT: &str = "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterResourcePlacement\nmetadata: {name: web}\nspec:\n  resourceSelectors: [{group: '', version: v1, kind: Namespace, name: web}]\n  strategy: {type: External}\n";
    const STRATEGY: &str = "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {name: slow}\nspec: {stages: [{name: all, labelSelector: {}}]}\n";
    const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n";

    fn survey(files: &[(&str, &str)]) -> Survey {
        let limits = Limits::default();
        let mut files: Vec<File> = files
            .iter()
            .map(|(path, text)| File { path: (*path).into(), bytes: text.as_bytes().into() })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        wanted(&Repository::of("", files, &limits, |file| Arc::new(Parsed::of(file, &limits))))
    }

    fn web() -> Vec<(&'static str, &'static str)> {
        vec![
            ("apps/web/rollout.yaml", ROLLOUT),
            ("apps/web/placement.yaml", PLACEMENT),
            ("strategies/slow.yaml", STRATEGY),
            ("apps/web/manifests/ns.yaml", NAMESPACE),
        ]
    }

    fn with(path: &'static str, text: &'static str) -> Vec<(&'static str, &'static str)> {
        let mut files = web();
        files.retain(|(held, _)| *held != path);
        files.push((path, text));
        files
    }

    fn name(text: &str) -> ObjectName {
        ObjectName { namespace: String::new(), name: text.into() }
    }

    fn faults(files: &[(&str, &str)], rollout: &str) -> String {
        let survey = survey(files);
        match &survey.rollouts[&name(rollout)] {
            Ok(_) => String::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn parts_are_found_by_kind_wherever_they_stand() {
        let survey = survey(&web());
        let wanted = survey.rollouts[&name("web")].as_ref().unwrap();
        assert_eq!(wanted.content.len(), 1);
        assert_eq!(wanted.content_path, "apps/web/manifests");
        assert!(wanted.strategy.is_some() && wanted.placement.is_some());
        assert_eq!(survey.notes, []);
        assert_eq!(survey.unreadable, []);
    }

    #[test]
    fn what_means_nothing_to_us_is_noted_and_what_is_foreign_is_left_alone() {
        let mut files = web();
        files.push(("docs/pipeline.yaml", "steps: [a, b]\n"));
        files.push((".github/broken.yaml", "a: [\n"));
        files.push(("extra/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"));
        files.push((
            "approvals/web/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n",
        ));
        let survey = survey(&files);
        assert!(survey.rollouts[&name("web")].is_ok());
        let notes: Vec<_> = survey.notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            [
                "approvals/web/a.yaml:1:1: ConfigMap other is ignored: it is under no Rollout's manifests",
                "extra/cm.yaml:1:1: ConfigMap x is ignored: it is under no Rollout's manifests",
            ]
        );
    }

    #[test]
    fn approvals_and_policy_are_never_content() {
        let rollout = "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec: {manifests: ., placementName: p, strategyName: s}\n";
        let survey = survey(&[
            ("rollout.yaml", rollout),
            ("ns.yaml", NAMESPACE),
            ("approvals/x.yaml", "a: ["),
            ("policy/trust.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"),
        ]);
        assert_eq!(survey.rollouts[&name("web")].as_ref().unwrap().content.len(), 1);
        assert_eq!(survey.unreadable, []);
        assert_eq!(survey.notes.len(), 2, "{:?}", survey.notes);
    }

    #[test]
    fn faults_have_places() {
        const INLINE_AND_NAMED: &str = "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n  manifests: ./manifest\n  placementName: web\n  strategyName: slow\n";
        for (files, want) in [
            (with("apps/web/manifests/b.yaml", "a: [1\nb: 2\n"), "apps/web/manifests/b.yaml:"),
            (
                with("apps/web/manifests/b.yaml", "steps: 1\n"),
                "apps/web/manifests/b.yaml:1:1: the object has no apiVersion",
            ),
            (
                with("apps/web/manifests/b.yaml", NAMESPACE),
                "apps/web/manifests/ns.yaml:1:1: Namespace web stands in apps/web/manifests/b.yaml:1:1 already",
            ),
            (
                with("apps/web/rollout.yaml", INLINE_AND_NAMED),
                "apps/web/rollout.yaml:5:3: spec.manifests: there is no manifest in `apps/web/manifest` (did you mean `apps/web/manifests`?)",
            ),
            (
                with("apps/web/manifests/kustomization.yaml", "resources: [ns.yaml]\n"),
                "kustomize is not supported yet",
            ),
            (
                with(
                    "strategies/slow.yaml",
                    "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {name: slow}\nspec:\n  stages:\n  - name: Canary-1\n    labelSelector: {}\n",
                ),
                "strategies/slow.yaml:6:5: spec.stages.0.name: `Canary-1` is no stage name",
            ),
            (
                with(
                    "apps/web/placement.yaml",
                    "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterResourcePlacement\nmetadata: {name: web}\nspec:\n  resourceSelectors: [{group: '', version: v1, kind: Namespace, name: web}]\n",
                ),
                "apps/web/placement.yaml:4:1: spec.strategy.type: the strategy is RollingUpdate",
            ),
            (with("apps/web/placement.yaml", "a: [\n"), "apps/web/placement.yaml:"),
            (with("strategies/slow.yaml", "a: [\n"), "is in no file that can be read"),
            (with("apps/web/manifests/ns.yaml", "# nothing\n"), "has an object to roll out"),
        ] {
            let told = faults(&files, "web");
            assert!(told.contains(want), "{want}: {told}");
        }
    }

    #[test]
    fn a_bad_rollout_is_no_other_rollouts_fault() {
        const OTHER: &str = "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: api}\nspec:\n  manifests: m\n  placementName: api\n  stages: [{name: all, labelSelector: {}}]\n";
        let mut files = web();
        files.push(("apps/api/rollout.yaml", OTHER));
        files.push(("apps/api/m/broken.yaml", "a: [\n"));
        assert!(!faults(&files, "api").is_empty());
        assert_eq!(faults(&files, "web"), "");
        let mut same = web();
        same.push(("apps/z/rollout.yaml", "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: z}\nspec: {manifests: ../web/manifests, placementName: web, strategyName: slow}\n"));
        assert_eq!(faults(&same, "web"), "");
        let told = faults(&same, "z");
        assert!(
            told.contains("belongs to two Rollouts")
                && told.contains("rolls out placement `web` already"),
            "{told}"
        );
    }

    #[test]
    fn a_namespaced_rollout_stays_in_its_namespace() {
        let rollout = "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web, namespace: team}\nspec: {manifests: m, placementName: p, stages: [{name: all, labelSelector: {}}]}\n";
        let survey = survey(&[
            ("rollout.yaml", rollout),
            (
                "m/a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: other}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n",
            ),
        ]);
        let name = ObjectName { namespace: "team".into(), name: "web".into() };
        let faults = survey.rollouts[&name].as_ref().unwrap_err();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].to_string().contains("is not in namespace `team`"));
    }

    #[test]
    fn paths_stay_in_the_repository() {
        for (file, relative, want) in [
            ("apps/web/rollout.yaml", "./manifests", Ok("apps/web/manifests")),
            ("apps/web/rollout.yaml", "../shared/x.yaml", Ok("apps/shared/x.yaml")),
            ("rollout.yaml", ".", Ok("")),
            ("apps/rollout.yaml", "../..", Err("leaves the repository")),
            ("apps/rollout.yaml", "/etc", Err("is absolute")),
        ] {
            match (content_path(file, relative), want) {
                (Ok(path), Ok(want)) => assert_eq!(path, want),
                (Err(error), Err(want)) => assert!(error.contains(want), "{error}"),
                (got, _) => panic!("{file} {relative}: {got:?}"),
            }
        }
    }
}
