//! `tidegate history`.

use serde_json::{Value, json};

use super::{
    args::{Format, HistoryArgs},
    exit::Exit,
    find::full_name,
    hub,
    output::{self, Table},
};
use crate::{
    api::rollout::Release,
    clock::{Clock, SystemClock},
    model::human_age,
};

pub(super) async fn run(args: &HistoryArgs) -> anyhow::Result<Exit> {
    let hub = hub::connect(&args.hub).await?;
    let rollout = hub.rollout(&args.rollout).await?;
    let mut releases =
        rollout.status.as_ref().map(|status| status.history.clone()).unwrap_or_default();
    releases.reverse();
    if releases.is_empty() && matches!(args.output, None | Some(Format::Wide)) {
        anstream::eprintln!("{} has rolled out nothing yet", full_name(&rollout));
        return Ok(Exit::Done);
    }
    let text = match args.output {
        Some(Format::Json) => format!("{:#}\n", document(&releases)),
        Some(Format::Yaml) => serde_yaml::to_string(&releases)?,
        Some(Format::Name) => releases.iter().map(|release| format!("{}\n", release.run)).collect(),
        Some(Format::Wide) => table(&releases, true),
        None => table(&releases, false),
    };
    output::write(text.as_bytes())
}

/// What `-o json` prints; docs/reference/json.md has every field.
pub(super) fn document(releases: &[Release]) -> Value {
    json!(releases)
}

fn table(releases: &[Release], wide: bool) -> String {
    let now = SystemClock.now();
    let more: &[&str] = if wide { &["DIGEST", "MESSAGE"] } else { &[] };
    let mut table =
        Table::new(&[&["COMMIT", "INDEX", "RUN", "OUTCOME", "STARTED", "TOOK"], more].concat());
    for release in releases {
        let started = release.started.as_ref().map(|time| time.0);
        let took =
            release.ended.as_ref().zip(started).map(|(ended, started)| human_age(started, ended.0));
        let dash = || "-".to_owned();
        let mut cells = vec![
            release.commit.chars().take(8).collect(),
            release.index.clone().unwrap_or_else(dash),
            release.run.clone(),
            release.outcome.clone(),
            started.map_or_else(dash, |started| format!("{} ago", human_age(started, now))),
            took.unwrap_or_else(dash),
        ];
        if wide {
            cells.push(release.content_digest.chars().take(19).collect());
            cells.push(release.message.clone().unwrap_or_default());
        }
        table.row(cells);
    }
    table.render()
}
