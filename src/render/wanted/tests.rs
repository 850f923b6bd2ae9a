//! Repositories, and what is wanted in them.

use std::sync::Arc;

use super::*;
use crate::{
    manifest::Limits,
    render::{File, Parsed, repository::is_never_content},
};

const ROLLOUT: &str = "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n  manifests: ./manifests\n  placementName: web\n  strategyName: slow\n";
const PLACEMENT: &str = "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterResourcePlacement\nmetadata: {name: web}\nspec:\n  resourceSelectors: [{group: '', version: v1, kind: Namespace, name: web}]\n  strategy: {type: External}\n";
const STRATEGY: &str = "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {name: slow}\nspec: {stages: [{name: all, labelSelector: {}}]}\n";
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n";

fn survey(files: &[(&str, &str)]) -> Survey {
    let limits = Limits::default();
    let mut files: Vec<File> =
        files.iter().map(|(path, text)| File::new(*path, text.as_bytes())).collect();
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
    survey.faults(&name(rollout)).map(ToString::to_string).collect::<Vec<_>>().join("\n")
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
    let never_content =
        survey.notes.iter().filter(|note| is_never_content(&note.place.path)).count();
    assert_eq!(never_content, 2, "{:?}", survey.notes);
}

/// It may be on the hub: no fault, and worth a word, for a misspelt name looks the same.
#[test]
fn what_is_named_and_not_in_the_repository_is_noted_with_what_may_be_meant() {
    let files: Vec<_> = web()
        .into_iter()
        .map(|(path, text)| match path {
            "apps/web/rollout.yaml" => {
                (path, text.replace("strategyName: slow", "strategyName: slwo"))
            }
            _ => (path, text.to_owned()),
        })
        .filter(|(path, _)| *path != "apps/web/placement.yaml")
        .collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let survey = survey(&files);
    let notes: Vec<_> = survey.notes.iter().map(ToString::to_string).collect();
    let said = |want: &str| notes.iter().any(|note| note.contains(want));
    assert!(
        said(
            "spec.strategyName: ClusterStagedUpdateStrategy `slwo` is not in this repository (it has to be on the hub; or did you mean `slow`?)"
        ),
        "{notes:?}"
    );
    assert!(
        said(
            "spec.placementName: ClusterResourcePlacement `web` is not in this repository (it has to be on the hub)"
        ),
        "{notes:?}"
    );
}

#[test]
fn what_is_wrong_is_told_once() {
    for (path, text) in [
        ("apps/web/manifests/b.yaml", NAMESPACE),
        ("apps/web/manifests/kustomization.yaml", "resources: [ns.yaml]\n"),
    ] {
        let survey = survey(&with(path, text));
        let faults = survey.rollouts[&name("web")].as_ref().unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
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
    // Whichever comes first: only the hub knows whose it is.
    for (rollout, other, file) in
        [("web", "z", "apps/z/rollout.yaml:1:1"), ("z", "web", "apps/web/rollout.yaml:1:1")]
    {
        let told = faults(&same, rollout);
        let object = format!(
            "Namespace web (apps/web/manifests/ns.yaml:1:1) belongs to Rollout `{other}`, too"
        );
        let placement = format!("Rollout `{other}` in {file} rolls out placement `web`, too");
        assert!(told.contains(&object) && told.contains(&placement), "{told}");
    }
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
        match (head::content_path(file, relative), want) {
            (Ok(path), Ok(want)) => assert_eq!(path, want),
            (Err(error), Err(want)) => assert!(error.contains(want), "{error}"),
            (got, _) => panic!("{file} {relative}: {got:?}"),
        }
    }
}
