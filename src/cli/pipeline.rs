//! A run as a pipeline of stages: a block that is drawn again, or one line a change.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use crate::rollout::{Cause, ClusterProgress, Phase, Progress, StageProgress};

/// Shows progress: in place on a terminal, line by line elsewhere.
pub(crate) struct Screen {
    live: bool,
    drawn: usize,
    last: Option<Progress>,
}

impl Screen {
    /// Returns a screen for stdout.
    pub(crate) fn new() -> Self {
        Self { live: std::io::stdout().is_terminal(), drawn: 0, last: None }
    }

    /// Shows where the run is now.
    pub(crate) fn show(&mut self, progress: &Progress, now: Timestamp) {
        let mut out = anstream::stdout().lock();
        if self.live {
            if self.drawn > 0 {
                // Up over the block, and clear to the end of the screen.
                let _ = write!(out, "\x1b[{}A\x1b[J", self.drawn);
            }
            let lines = block(progress, now);
            self.drawn = lines.len();
            for line in lines {
                let _ = writeln!(out, "  {line}");
            }
        } else {
            for line in changes(self.last.as_ref(), progress) {
                let _ = writeln!(out, "  {line}");
            }
        }
        let _ = out.flush();
        self.last = Some(progress.clone());
    }

    /// Leaves the block as it is; what is shown next starts below it.
    pub(crate) fn leave(&mut self) {
        self.drawn = 0;
    }

    /// Returns whether the block is drawn in place, so that clocks in it are worth drawing again.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }
}

/// Returns a line a stage: its clusters, and what it waits on.
pub(crate) fn block(progress: &Progress, now: Timestamp) -> Vec<String> {
    let name_width =
        progress.stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or(0);
    let cells: Vec<String> = progress.stages.iter().map(clusters).collect();
    let plain = |stage: &StageProgress| {
        stage.clusters.iter().map(|c| c.name.chars().count() + 3).sum::<usize>()
    };
    let cell_width = progress.stages.iter().map(plain).max().unwrap_or(0);
    progress
        .stages
        .iter()
        .zip(cells)
        .map(|(stage, cells)| {
            let pad = cell_width.saturating_sub(plain(stage));
            let done =
                stage.clusters.iter().filter(|cluster| cluster.phase == Phase::Succeeded).count();
            let state = stage_state(stage, now);
            format!(
                "{:<name_width$}  {cells}{:pad$} {done}/{}  {state}",
                stage.name,
                "",
                stage.clusters.len()
            )
            .trim_end()
            .to_owned()
        })
        .collect()
}

/// A cluster's mark: `.` waiting, `>` updating, `+` updated, `!` failed or stuck. Colour only adds.
fn mark(phase: Phase) -> (char, Style) {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match phase {
        Phase::Succeeded => ('+', colour(AnsiColor::Green)),
        Phase::Failed | Phase::Stuck => ('!', colour(AnsiColor::Red)),
        Phase::Updating | Phase::Stopping => ('>', colour(AnsiColor::Yellow)),
        _ => ('.', Style::new().dimmed()),
    }
}

fn clusters(stage: &StageProgress) -> String {
    stage
        .clusters
        .iter()
        .map(|cluster| {
            let (mark, style) = mark(cluster.phase);
            format!("{style}{} {mark}{style:#} ", cluster.name)
        })
        .collect()
}

fn stage_state(stage: &StageProgress, now: Timestamp) -> String {
    if let Some(cause) = stage.waiting_on.first() {
        return waiting(cause, now);
    }
    match stage.phase {
        Phase::Pending => String::new(),
        Phase::Updating => "updating".to_owned(),
        Phase::Succeeded => "done".to_owned(),
        Phase::Failed => "failed".to_owned(),
        Phase::Stopping => "stopping".to_owned(),
        Phase::Stopped => "stopped".to_owned(),
        Phase::Stuck => "stuck".to_owned(),
        Phase::Initialized | Phase::Waiting => "waiting".to_owned(),
    }
}

/// Returns what is waited on, and for how long still.
pub(crate) fn waiting(cause: &Cause, now: Timestamp) -> String {
    match cause {
        Cause::Timer { until, .. } => {
            let left = until.duration_since(now).as_secs_f64().max(0.0).ceil();
            format!("waits {left:.0}s more")
        }
        _ => reason(cause),
    }
}

/// Returns what is waited on, in words that stay the same while it is waited on.
fn reason(cause: &Cause) -> String {
    match cause {
        Cause::Start { .. } => "waits to be started".to_owned(),
        Cause::Approval { request, .. } => format!("waits for approval of {request}"),
        Cause::Timer { until, .. } => format!("waits until {}", until.strftime("%H:%M:%SZ")),
        Cause::Clusters { names, .. } => format!("stuck on {}", names.join(", ")),
        Cause::Resume { .. } => "stopped, waits to be resumed".to_owned(),
    }
}

/// Returns a line for everything that is new since `before`.
pub(crate) fn changes(before: Option<&Progress>, after: &Progress) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, stage) in after.stages.iter().enumerate() {
        let held = before.and_then(|progress| progress.stages.get(number));
        let was = |cluster: &ClusterProgress| {
            held.and_then(|stage| stage.clusters.iter().find(|c| c.name == cluster.name))
                .map(|cluster| cluster.phase)
        };
        for cluster in &stage.clusters {
            let news = match cluster.phase {
                phase if was(cluster) == Some(phase) => continue,
                Phase::Pending | Phase::Initialized => continue,
                Phase::Updating => "is updating",
                Phase::Succeeded => "is updated",
                Phase::Failed => "failed",
                Phase::Stuck => "is stuck",
                Phase::Waiting | Phase::Stopping | Phase::Stopped => continue,
            };
            lines.push(format!("{}: {} {news}", stage.name, cluster.name));
        }
        let reasons =
            |stage: &StageProgress| stage.waiting_on.iter().map(reason).collect::<Vec<_>>();
        let known = held.map(reasons).unwrap_or_default();
        lines.extend(
            reasons(stage)
                .into_iter()
                .filter(|r| !known.contains(r))
                .map(|r| format!("{}: {r}", stage.name)),
        );
        if stage.phase == Phase::Succeeded && held.is_none_or(|held| held.phase != Phase::Succeeded)
        {
            lines.push(format!("{}: done", stage.name));
        }
    }
    if let Some(failure) =
        after.failure.as_ref().filter(|_| before.is_none_or(|before| before.failure.is_none()))
    {
        lines.push(format!("failed: {failure}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(
        name: &str,
        phase: Phase,
        clusters: &[(&str, Phase)],
        waiting_on: Vec<Cause>,
    ) -> StageProgress {
        let clusters = clusters.iter().map(|(name, phase)| ClusterProgress {
            name: name.to_string(),
            phase: *phase,
            since: None,
        });
        StageProgress {
            name: name.into(),
            phase,
            clusters: clusters.collect(),
            waiting_on,
            started: None,
            ended: None,
        }
    }

    fn progress(stages: Vec<StageProgress>) -> Progress {
        Progress {
            phase: Phase::Updating,
            stages,
            updated: 0,
            total: 0,
            waiting_on: vec![],
            failure: None,
            since: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_block_has_a_line_a_stage_and_its_columns_align() {
        let timer = Cause::Timer { stage: "staging".into(), until: at(103) };
        let shown = block(
            &progress(vec![
                stage("staging", Phase::Waiting, &[("member2", Phase::Succeeded)], vec![timer]),
                stage(
                    "canary",
                    Phase::Pending,
                    &[("member3", Phase::Pending), ("member1", Phase::Pending)],
                    vec![],
                ),
            ]),
            at(100),
        );
        let plain: Vec<String> =
            shown.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(
            plain,
            [
                "staging  member2 +            1/1  waits 3s more",
                "canary   member3 . member1 .  0/2"
            ]
        );
    }

    #[test]
    fn lines_tell_what_is_new_and_nothing_twice() {
        let first = progress(vec![stage(
            "staging",
            Phase::Updating,
            &[("member2", Phase::Updating)],
            vec![],
        )]);
        let second = progress(vec![stage(
            "staging",
            Phase::Succeeded,
            &[("member2", Phase::Succeeded)],
            vec![],
        )]);
        assert_eq!(changes(None, &first), ["staging: member2 is updating"]);
        assert_eq!(
            changes(Some(&first), &second),
            ["staging: member2 is updated", "staging: done"]
        );
        assert!(changes(Some(&second), &second).is_empty());
    }
}
