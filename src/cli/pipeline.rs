//! A run as a pipeline of stages: a line a stage, or a line a change.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use crate::{
    model::human_age,
    rollout::{Cause, ClusterProgress, Phase, Progress, StageProgress},
};

/// Below this a line cannot say anything, whatever the terminal says of itself.
const NARROWEST: usize = 20;

/// As wide as `waits for approval`.
const USUAL_STATE: usize = 18;

/// Returns a line a stage: its clusters, and what it waits on. No line is wider than `width`: where names do not fit, the
/// clusters are marks.
pub(crate) fn block(progress: &Progress, now: Timestamp, width: Option<usize>) -> Vec<String> {
    let longest =
        |of: &dyn Fn(&StageProgress) -> usize| progress.stages.iter().map(of).max().unwrap_or(0);
    let names = longest(&|stage| stage.name.chars().count());
    let counts = longest(&|stage| count(stage).len());
    // At least what is usual, so that the picture does not change its kind with every word.
    let states = longest(&|stage| stage_state(stage, now).chars().count()).max(USUAL_STATE);
    let spelled = longest(&|stage| stage.clusters.iter().map(|c| c.name.chars().count() + 3).sum());
    let marks = longest(&|stage| stage.clusters.len() + 1);
    let width = width.map_or(usize::MAX, |width| width.max(NARROWEST));
    let left = width.saturating_sub(names + 2 + 1 + counts + 2);
    let fits = spelled <= left.saturating_sub(states);
    // Marks give way to the state down to a handful: what is waited on matters more than the ninetieth dot.
    let room = if fits { spelled } else { marks.min(left.saturating_sub(states).max(8)) };
    let draw = |stage: &StageProgress| {
        let mut line = Line::new(width);
        line.push(&format!("{:<names$}  ", stage.name), Style::new());
        let before = line.used;
        if fits {
            for cluster in &stage.clusters {
                let (mark, style) = mark(cluster.phase);
                line.push(&format!("{} {mark}", cluster.name), style);
                line.push(" ", Style::new());
            }
        } else {
            for cluster in stage.clusters.iter().take(room.saturating_sub(1)) {
                let (mark, style) = mark(cluster.phase);
                line.push(&mark.to_string(), style);
            }
        }
        let pad = (before + room).saturating_sub(line.used);
        line.push(&format!("{:pad$} {:>counts$}  ", "", count(stage)), Style::new());
        line.push(&stage_state(stage, now), Style::new());
        line.text.trim_end().to_owned()
    };
    progress.stages.iter().map(draw).collect()
}

fn count(stage: &StageProgress) -> String {
    format!("{}/{}", stage.updated(), stage.clusters.len())
}

/// A line that knows how wide it is without its colours, and stops at the edge.
struct Line {
    text: String,
    used: usize,
    width: usize,
}

impl Line {
    fn new(width: usize) -> Self {
        Self { text: String::new(), used: 0, width }
    }

    fn push(&mut self, text: &str, style: Style) {
        let fitting: String = text.chars().take(self.width - self.used).collect();
        self.used += fitting.chars().count();
        if style == Style::new() {
            self.text.push_str(&fitting);
        } else {
            self.text.push_str(&format!("{style}{fitting}{style:#}"));
        }
    }
}

/// Returns as many of the lines as there is room for, around the first stage that is not done.
pub(crate) fn window(lines: Vec<String>, progress: &Progress, height: usize) -> Vec<String> {
    let height = height.max(3);
    if lines.len() <= height {
        return lines;
    }
    let current =
        progress.stages.iter().take_while(|stage| stage.phase == Phase::Succeeded).count();
    let shown = height - 2;
    let start = current.saturating_sub(1).min(lines.len() - shown);
    let end = start + shown;
    let mut kept = Vec::with_capacity(height);
    let more = |count: usize, what: &str| format!("({count} stages {what})");
    kept.push(more(start, "before"));
    kept.extend_from_slice(&lines[start..end]);
    kept.push(more(lines.len() - end, "after"));
    kept
}

/// A cluster's mark: `.` waiting, `>` updating, `?` stuck, `+` updated, `!` failed. Colour only adds.
fn mark(phase: Phase) -> (char, Style) {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match phase {
        Phase::Succeeded => ('+', colour(AnsiColor::Green)),
        Phase::Failed => ('!', colour(AnsiColor::Red)),
        Phase::Stuck => ('?', colour(AnsiColor::Red)),
        Phase::Updating | Phase::Stopping => ('>', colour(AnsiColor::Yellow)),
        _ => ('.', Style::new().dimmed()),
    }
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
fn waiting(cause: &Cause, now: Timestamp) -> String {
    match cause {
        Cause::Timer { until, .. } => {
            // Up to the next second: a wait that is not over does not say 0s.
            let left = until.duration_since(now).as_millis().max(0).saturating_add(999) / 1_000;
            let left = Timestamp::from_second(i64::try_from(left).unwrap_or(i64::MAX));
            let left = left.map(|left| human_age(Timestamp::UNIX_EPOCH, left));
            format!("waits {} more", left.unwrap_or_else(|_| "long".to_owned()))
        }
        // The stage stands beside it, and the request's name is long.
        Cause::Approval { .. } => "waits for approval".to_owned(),
        _ => reason(cause),
    }
}

/// Returns what is waited on, in words that stay the same while it is waited on.
fn reason(cause: &Cause) -> String {
    match cause {
        Cause::Start { .. } => "waits to be started".to_owned(),
        Cause::Approval { request, .. } => format!("waits for approval of {request}"),
        Cause::Timer { until, .. } => format!("waits until {until}"),
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
            None,
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

    fn fleet(clusters: usize) -> Progress {
        let names: Vec<String> =
            (0..clusters).map(|number| format!("member-{number:03}")).collect();
        let clusters: Vec<(&str, Phase)> =
            names.iter().map(|name| (name.as_str(), Phase::Pending)).collect();
        let gate = Cause::Approval {
            request: "web-12345678-before-prod".into(),
            stage: "prod".into(),
            since: None,
        };
        progress(vec![
            stage("staging", Phase::Succeeded, &[("member-000", Phase::Succeeded)], vec![]),
            stage("prod", Phase::Waiting, &clusters, vec![gate]),
        ])
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_what_is_waited_on_stays_in_sight() {
        for clusters in [1, 3, 100] {
            for width in [1, 20, 40, 72, 80, 200] {
                for line in block(&fleet(clusters), at(0), Some(width)) {
                    let plain = anstream::adapter::strip_str(&line).to_string();
                    assert!(plain.chars().count() <= width.max(NARROWEST), "{width}: {plain}");
                }
            }
        }
        let lines = block(&fleet(100), at(0), Some(80));
        let plain = anstream::adapter::strip_str(&lines[1]).to_string();
        assert!(plain.ends_with("0/100  waits for approval"), "{plain}");
    }

    #[test]
    fn a_low_terminal_shows_the_stage_that_is_worked_on() {
        let done = |name: &str| stage(name, Phase::Succeeded, &[], vec![]);
        let names = ["a", "b", "c", "d", "e", "f"];
        let mut stages: Vec<StageProgress> = names.map(done).into();
        stages[4].phase = Phase::Updating;
        stages[5].phase = Phase::Pending;
        let progress = progress(stages);
        let lines: Vec<String> = names.map(str::to_owned).into();
        assert_eq!(window(lines.clone(), &progress, 6), names);
        assert_eq!(
            window(lines.clone(), &progress, 4),
            ["(3 stages before)", "d", "e", "(1 stages after)"]
        );
        assert_eq!(window(lines, &progress, 0), ["(3 stages before)", "d", "(2 stages after)"]);
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
