//! `tidegate status`.

use jiff::Timestamp;
use serde_json::json;

use super::{
    args::{Format, StatusArgs},
    detail,
    exit::Exit,
    failure::hinted,
    find::full_name,
    hub,
    output::{self, Table},
    screen,
};
use crate::{
    api::{
        Rollout, Source,
        condition::find,
        rollout::{
            APPROVAL_APPLIED, APPROVAL_REFUSED, ApprovalRecord, READY, RolloutStatus,
            SOURCE_VERIFIED, STALLED,
        },
        source::{SourceSpec, SourceStatus},
    },
    clock::{Clock, SystemClock},
    model::human_age,
    sync::{
        UNREAD_SINCE, is_made_up_for,
        owner::{hand_over, named},
    },
};

pub(super) async fn run(args: &StatusArgs) -> anyhow::Result<Exit> {
    let hub = hub::connect(&args.hub).await?;
    let (rollouts, single) = match &args.rollout {
        Some(name) => (vec![hub.rollout(name).await?], true),
        None => (hub.rollouts(args.all_namespaces).await?, false),
    };
    if rollouts.is_empty() && matches!(args.output, None | Some(Format::Wide)) {
        return Err(if args.all_namespaces {
            hinted(
                "there are no Rollouts on this hub",
                "`tidegate run` or `tidegate local REPOSITORY` brings them from Git",
            )
        } else {
            hinted(
                format!("there are no Rollouts in namespace `{}`", hub.namespace),
                "look everywhere with -A",
            )
        });
    }
    let now = SystemClock.now();
    if let (true, None, [rollout]) = (single, args.output, &rollouts[..]) {
        let run = hub.run_of(rollout).await?;
        let sources = hub.sources().await;
        let page = detail::page(rollout, run.as_ref(), &sources, now, screen::width());
        return output::write(page.as_bytes());
    }
    let exit = output::write(render(&rollouts, single, args.output, now)?.as_bytes())?;
    if matches!(args.output, None | Some(Format::Wide)) {
        for (rollout, why) in rollouts.iter().filter_map(|r| Some((r, unread(r)?))) {
            anstream::eprintln!("{}: {why}", full_name(rollout));
        }
        for (rollout, record) in
            rollouts.iter().flat_map(|r| refused(r).map(move |record| (r, record)))
        {
            anstream::eprintln!("{}: refused: {}", full_name(rollout), words(record));
        }
        let sources = hub.sources().await;
        for (rollout, where_else) in
            rollouts.iter().flat_map(|r| left_alone(r, &sources).map(move |said| (r, said)))
        {
            anstream::eprintln!("{}: also in {where_else}", full_name(rollout));
        }
    }
    Ok(exit)
}

/// Returns the approvals of what rolls out now that do not count, unless another opened the same gate.
pub(super) fn refused(rollout: &Rollout) -> impl Iterator<Item = &ApprovalRecord> {
    let status = rollout.status.as_ref();
    let records = status.map(|status| status.approvals.as_slice()).unwrap_or_default();
    let over = status
        .and_then(|status| find(&status.conditions, READY))
        .is_some_and(|ready| ready.status == "True");
    // A policy that does not count has no target: it may keep any approval from counting, also those to come.
    let current = move |record: &&ApprovalRecord| {
        record.target.is_empty()
            || !over && status.and_then(|status| status.commit.as_ref()) == Some(&record.target)
    };
    let opened = move |record: &ApprovalRecord| {
        records.iter().any(|other| {
            other.state == APPROVAL_APPLIED
                && (&other.target, &other.stage, &other.task)
                    == (&record.target, &record.stage, &record.task)
        })
    };
    let later = move |at: usize| &records[at + 1..];
    records
        .iter()
        .enumerate()
        .filter(|(_, record)| record.state == APPROVAL_REFUSED)
        .filter(move |(at, record)| !is_made_up_for(record, later(*at)))
        .map(|(_, record)| record)
        .filter(current)
        .filter(move |record| !opened(record))
}

/// Returns that the branch cannot be read any more, if so: what stands beside it is as of then.
pub(super) fn unread(rollout: &Rollout) -> Option<&str> {
    let status = rollout.status.as_ref()?;
    let source = find(&status.conditions, SOURCE_VERIFIED)?;
    source.message.contains(UNREAD_SINCE).then_some(source.message.as_str())
}

/// Names the sources that have a Rollout, too, and leave it alone because it belongs to another one.
pub(super) fn left_alone(rollout: &Rollout, sources: &[Source]) -> impl Iterator<Item = String> {
    let recorded = rollout.status.as_ref().and_then(|status| status.source.as_ref());
    let own = recorded.map(SourceSpec::from);
    let name = full_name(rollout);
    let refused = move |source: &&Source| {
        let refused = source.status.iter().flat_map(|status| &status.refused);
        own.as_ref() != Some(&source.spec) && refused.into_iter().any(|held| held.rollout == name)
    };
    sources.iter().filter(refused).map(|source| {
        let named = named(&source.spec);
        let metadata = &rollout.metadata;
        let [name, namespace] =
            [&metadata.name, &metadata.namespace].map(|part| part.as_deref().unwrap_or_default());
        let command = hand_over(name, namespace, &named);
        format!("{named}, whose daemon leaves it alone; to hand it over to that one: {command}")
    })
}

/// Returns what the hub tells of the source that a Rollout comes from.
pub(super) fn source_of<'s>(
    rollout: &Rollout,
    sources: impl IntoIterator<Item = &'s Source>,
) -> Option<&'s SourceStatus> {
    let spec = SourceSpec::from(rollout.status.as_ref()?.source.as_ref()?);
    sources.into_iter().find(|source| source.spec == spec)?.status.as_ref()
}

/// Says why an approval does not count.
pub(super) fn words(record: &ApprovalRecord) -> String {
    record.message.clone().unwrap_or_else(|| format!("{} is refused", record.path))
}

/// Says where a Rollout comes from: branch and repository.
pub(super) fn place(rollout: &Rollout) -> String {
    let source = rollout.status.as_ref().and_then(|status| status.source.as_ref());
    source.map_or_else(
        || "the branch that is followed".to_owned(),
        |source| format!("branch {} of {}", source.reference, source.repository),
    )
}

fn render(
    rollouts: &[Rollout],
    single: bool,
    format: Option<Format>,
    now: Timestamp,
) -> anyhow::Result<String> {
    Ok(match format {
        None => table(rollouts, false, now),
        Some(Format::Wide) => table(rollouts, true, now),
        Some(Format::Name) => rollouts
            .iter()
            .map(|rollout| format!("rollout.gitops.tidegate.dev/{}\n", name(rollout)))
            .collect(),
        Some(Format::Json) => format!("{:#}\n", document(rollouts, single)?),
        Some(Format::Yaml) => serde_yaml::to_string(&document(rollouts, single)?)?,
    })
}

/// What `kubectl get rollouts -o json` would print: without the bookkeeping of who owns which field.
pub(super) fn document(rollouts: &[Rollout], single: bool) -> anyhow::Result<serde_json::Value> {
    let mut rollouts = rollouts.to_vec();
    rollouts.iter_mut().for_each(|rollout| rollout.metadata.managed_fields = None);
    if let (true, [rollout]) = (single, &rollouts[..]) {
        return Ok(serde_json::to_value(rollout)?);
    }
    Ok(
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": rollouts}),
    )
}

fn name(rollout: &Rollout) -> &str {
    rollout.metadata.name.as_deref().unwrap_or_default()
}

fn table(rollouts: &[Rollout], wide: bool, now: Timestamp) -> String {
    let headings = ["ROLLOUT", "COMMIT", "INDEX", "STAGE", "CLUSTERS", "READY", "SINCE", "MESSAGE"];
    let more: &[&str] = if wide { &["RUN", "REPOSITORY"] } else { &[] };
    let mut table = Table::new(&[&headings[..], more].concat());
    let empty = RolloutStatus::default();
    for rollout in rollouts {
        let status = rollout.status.as_ref().unwrap_or(&empty);
        let ready = find(&status.conditions, READY);
        let or_dash = |text: Option<&String>| {
            text.cloned().filter(|t| !t.is_empty()).unwrap_or_else(|| "-".to_owned())
        };
        let mut cells = vec![
            full_name(rollout),
            or_dash(status.revision.as_ref()),
            or_dash(status.index.as_ref()),
            or_dash(status.stage.as_ref()),
            or_dash(status.clusters.as_ref()),
            ready.map_or_else(|| "Unknown".to_owned(), |condition| condition.status.clone()),
            ready.map_or_else(
                || "-".to_owned(),
                |condition| human_age(condition.last_transition_time.0, now),
            ),
            match wide {
                true => status.message.clone().unwrap_or_default(),
                false => brief(status),
            },
        ];
        if wide {
            cells.push(or_dash(status.run.as_ref()));
            let source = status.source.as_ref();
            cells.push(
                source.map_or_else(
                    || "-".to_owned(),
                    |s| format!("{} {}", s.repository, s.reference),
                ),
            );
        }
        table.row(cells);
    }
    table.render()
}

/// Returns what is so beyond what stands beside it anyway: run, commit, index, stage and clusters. Of what has to be mended,
/// all is said, whatever the run waits for meanwhile.
pub(super) fn brief(status: &RolloutStatus) -> String {
    let is_stalled = find(&status.conditions, STALLED).is_some_and(|c| c.status == "True");
    match &status.waits_for {
        Some(what) if !is_stalled => format!("waits for {what}"),
        _ => status.message.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_message_says_only_what_is_waited_for() {
        let message =
            "run web-154b91e1 rolls out 154b91e1 (index 1): stage 2/2 canary, 1/3 clusters";
        let gate = "approval `web-154b91e1-before-canary` since 2026-11-23T16:42:52Z";
        for (waits_for, stalled, want) in [
            (Some(gate), "False", format!("waits for {gate}")),
            (Some(gate), "True", message.to_owned()),
            (None, "False", message.to_owned()),
        ] {
            let stalled = json!([{"type": STALLED, "status": stalled, "reason": "Because", "message": "",
                "lastTransitionTime": "2026-11-23T16:42:52Z"}]);
            let status = RolloutStatus {
                message: Some(message.to_owned()),
                waits_for: waits_for.map(str::to_owned),
                conditions: serde_json::from_value(stalled).unwrap(),
                ..RolloutStatus::default()
            };
            assert_eq!(brief(&status), want);
        }
    }

    #[test]
    fn whoever_has_a_rollout_too_is_named_as_long_as_it_is_refused() {
        let source = |folder: &str, refused: &str| -> Source {
            serde_json::from_value(json!({
                "apiVersion": "gitops.tidegate.dev/v1alpha1", "kind": "Source",
                "metadata": {"name": folder},
                "spec": {"repository": "https://git.example/r.git", "ref": "main", "folder": folder},
                "status": {"refused": [{"rollout": refused, "owner": "https://git.example/r.git main a"}]},
            }))
            .unwrap()
        };
        let rollout: Rollout = serde_json::from_value(json!({
            "apiVersion": "gitops.tidegate.dev/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "team"},
            "spec": {},
            "status": {"source": {"repository": "https://git.example/r.git", "ref": "main", "folder": "a",
                "path": "rollout.yaml", "commit": "c"}},
        }))
        .unwrap();
        let sources = [
            source("b", "team/web"),
            source("c", "team/other"),
            // Taken over meanwhile.
            source("a", "team/web"),
        ];
        let named: Vec<String> = left_alone(&rollout, &sources).collect();
        assert_eq!(
            named,
            [
                "https://git.example/r.git main b, whose daemon leaves it alone; to hand it over to that one: \
            kubectl annotate --overwrite rollout web -n team 'gitops.tidegate.dev/take-over=https://git.example/r.git main b'"
            ]
        );
    }
}
