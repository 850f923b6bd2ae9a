//! `tidegate status`.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    args::{Format, StatusArgs},
    exit::Exit,
    failure::hinted,
    hub::{self, full_name},
    output::{self, Table},
};
use crate::{
    api::{
        Rollout,
        condition::find,
        rollout::{READY, RolloutStatus},
    },
    clock::{Clock, SystemClock},
};

pub(super) async fn run(args: &StatusArgs) -> anyhow::Result<Exit> {
    let hub = hub::connect(&args.hub).await?;
    let (rollouts, single) = match &args.rollout {
        Some(name) => (vec![hub.rollout(name).await?], true),
        None => (hub.rollouts(args.all_namespaces).await?, false),
    };
    if rollouts.is_empty() && args.output.is_none() {
        let place = if args.all_namespaces {
            "this hub".to_owned()
        } else {
            format!("namespace `{}`", hub.namespace)
        };
        return Err(hinted(format!("there are no Rollouts in {place}"), "look everywhere with -A"));
    }
    output::write(render(&rollouts, single, args.output, SystemClock.now())?.as_bytes())
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

/// What `kubectl get rollouts -o json` would print.
fn document(rollouts: &[Rollout], single: bool) -> anyhow::Result<serde_json::Value> {
    if let (true, [rollout]) = (single, rollouts) {
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
                |condition| age(now.duration_since(condition.last_transition_time.0)),
            ),
            status.message.clone().unwrap_or_default(),
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

/// Returns a duration as kubectl prints ages: the largest unit, and the next one while the first is small.
pub(crate) fn age(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 != 0 => format!("{minutes}m{}s", seconds % 60),
        120..10_800 => format!("{minutes}m"),
        10_800..28_800 if minutes % 60 != 0 => format!("{hours}h{}m", minutes % 60),
        10_800..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_in_kubectl() {
        for (seconds, want) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3_600, "60m"),
            (10_860, "3h1m"),
            (90_000, "25h"),
            (200_000, "2d"),
        ] {
            assert_eq!(age(SignedDuration::from_secs(seconds)), want);
        }
    }
}
