//! Whose an object or a placement is, when several Rollouts want it: whoever has it on the hub keeps it.
//!
//! The order of files must not decide, for then adding one takes over what another rolls out. Where nobody has it yet, nobody
//! gets it: two Rollouts that drive one placement are a mistake of which no half should run.

use crate::{
    api::{Rollout, kind, rollout::RolloutStatus, source::SourceSpec},
    model::{ObjectKey, ObjectName, Scope},
    render::{Contest, Fault, Wanted},
    sync::pass::entry,
};

/// Annotation on a Rollout on the hub: the source that it is handed over to.
pub const TAKE_OVER: &str = "gitops.tidegate.dev/take-over";

/// Returns a source as people name it.
pub fn named(source: &SourceSpec) -> String {
    let folder = source.folder.as_deref().unwrap_or(".");
    format!("{} {} {folder}", source.repository, source.reference)
}

/// Returns the command that hands a Rollout over to a source.
pub fn hand_over(name: &str, namespace: &str, source: &str) -> String {
    format!("kubectl annotate --overwrite rollout {name} -n {namespace} '{TAKE_OVER}={source}'")
}

/// What Git says of another Rollout that is on the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Other {
    /// What it wants: where it wants the same, that is a [`Contest`].
    Known,
    /// It is there, and what it wants cannot be told. Its file.
    Unreadable(String),
    /// It comes from somewhere else, in these words.
    Elsewhere(String),
}

/// Returns whether a Rollout has something on the hub: it applied it, or drives it.
fn has(rollout: &Rollout, scope: &Scope, key: &ObjectKey) -> bool {
    let Some(status) = &rollout.status else { return false };
    status.inventory.contains(&entry(key)) || drives(rollout, status, scope, key)
}

/// Returns whether content was bound to this placement for it, which need not be in its repository.
fn drives(rollout: &Rollout, status: &RolloutStatus, scope: &Scope, key: &ObjectKey) -> bool {
    status.content_digest.is_some()
        && kind::placement(scope).key(scope, &rollout.spec.placement_name) == *key
}

/// Returns what a Rollout wants and must not have. `own` is what the hub has of it, `others` are the hub's other Rollouts.
pub fn refused(
    wanted: &Wanted,
    contests: &[Contest],
    own: Option<&Rollout>,
    others: &[(ObjectName, &Rollout, Other)],
) -> Vec<Fault> {
    let ours = |key: &ObjectKey| own.is_some_and(|own| has(own, &wanted.scope, key));
    let mut faults = Vec::new();
    for contest in contests {
        let theirs = others.iter().any(|(name, rollout, other)| {
            let is_meant = *name == contest.other && !matches!(other, Other::Elsewhere(_));
            is_meant && has(rollout, &Scope::of(Some(&name.namespace)), &contest.key)
        });
        let other = &contest.other;
        let why = match (ours(&contest.key), theirs) {
            (true, false) => continue,
            (false, true) => format!("`{other}` has it, and keeps it"),
            (false, false) => "none of them gets it as long as several want it".to_owned(),
            (true, true) => "none of them may change it as long as several do".to_owned(),
        };
        let Fault { place, detail, hint } = contest.fault.clone();
        faults.push(Fault { place, detail: format!("{detail}: {why}"), hint });
    }
    for (name, rollout, other) in others {
        faults.extend(held(wanted, ours, name, rollout, other));
    }
    faults
}

/// Returns the first of what is wanted that a Rollout has of which Git does not tell.
fn held(
    wanted: &Wanted,
    ours: impl Fn(&ObjectKey) -> bool,
    name: &ObjectName,
    rollout: &Rollout,
    other: &Other,
) -> Option<Fault> {
    let scope = Scope::of(Some(&name.namespace));
    let (whose, hint) = match other {
        Other::Known => return None,
        Other::Unreadable(file) => (
            format!("Rollout `{name}` in {file}, which has faults of its own"),
            "mend that one, or take it out of the repository".to_owned(),
        ),
        Other::Elsewhere(source) => (
            format!("Rollout `{name}` of {source}"),
            format!(
                "take it out there; when nobody follows that any more: kubectl delete rollout {} -n {}",
                name.name,
                rollout.metadata.namespace.as_deref().unwrap_or_default()
            ),
        ),
    };
    // Rollouts of one repository may share strategies.
    let strategies = wanted.strategies().filter(|_| matches!(other, Other::Elsewhere(_)));
    let placement = (wanted.placement_key(), &wanted.rollout.place);
    let objects = wanted.content.iter().chain(strategies).map(|o| (o.key.clone(), &o.place));
    let (key, place) = std::iter::once(placement)
        .chain(objects)
        .find(|(key, _)| has(rollout, &scope, key) && !ours(key))?;
    let fault = Fault::new(place.clone(), format!("{key} belongs to {whose}"));
    Some(fault.with_hint(hint))
}
