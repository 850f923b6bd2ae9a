//! One Rollout on a page: where it is, what it waits for, and who can help.

use jiff::Timestamp;

use super::{
    find::full_name,
    pipeline,
    status::{brief, left_alone, place, refused, source_of, unread, words},
};
use crate::{
    api::{
        self, Rollout, Source,
        condition::find,
        rollout::{APPROVALS_ACCEPTED, HEALTHY, READY, RECONCILING, STALLED},
    },
    model::{commit::short, human_age},
    rollout::{self, Cause, Run},
};

/// Conditions that the page shows in other words.
const SHOWN_ELSEWHERE: [&str; 5] = [READY, RECONCILING, STALLED, HEALTHY, APPROVALS_ACCEPTED];

/// Returns the page; no line of its picture of the run is wider than `width`.
pub(super) fn page(
    rollout: &Rollout,
    run: Option<&api::Run>,
    sources: &[Source],
    now: Timestamp,
    width: Option<usize>,
) -> String {
    let name = full_name(rollout);
    let Some(status) = &rollout.status else {
        return format!("{name}: the daemon has not looked at it yet\n");
    };
    let mut page = Page::default();
    page.line("Rollout", &name);
    let ready = find(&status.conditions, READY);
    if let Some(ready) = ready {
        let stalled = find(&status.conditions, STALLED).filter(|stalled| stalled.status == "True");
        let (state, since) = match (ready.status.as_str(), stalled) {
            ("True", _) => ("ready", ready),
            (_, Some(stalled)) => ("stalled", stalled),
            _ => ("on the way", ready),
        };
        let age = human_age(since.last_transition_time.0, now);
        page.line("State", &format!("{state} for {age} ({})", ready.reason));
    }
    if let Some(source) = &status.source {
        page.line("Source", &format!("{}, {}", place(rollout), source.path));
    }
    let accepted = status.source.as_ref().map(|source| source.commit.as_str());
    let read = source_of(rollout, sources).map(|source| source.commit.as_str());
    if let Some(commit) = read.filter(|_| read != accepted) {
        page.line("Read", &format!("up to {}", short(commit)));
    }
    page.optional("Unread", unread(rollout));
    page.optional("Commit", status.commit.as_deref());
    page.optional("Index", status.index.as_deref());
    page.optional("Run", status.run.as_deref());
    page.optional("Plan", status.plan.as_deref());
    page.optional("Message", Some(&brief(status)));
    let message = status.message.as_deref().unwrap_or_default();
    for condition in &status.conditions {
        let is_said = || message.contains(&condition.message);
        if condition.status == "False"
            && !SHOWN_ELSEWHERE.contains(&condition.type_.as_str())
            && !is_said()
        {
            let why = format!("{}: {}", condition.reason, condition.message);
            page.line(&format!("Not {}", condition.type_), &why);
        }
    }
    for record in refused(rollout) {
        page.line("Refused", &words(record));
    }
    for place in left_alone(rollout, sources) {
        page.line("Also in", &place);
    }
    let mut text = page.render();
    if let Some(run) = run {
        let progress = rollout::progress(&Run::from(run), now);
        let block = pipeline::block(&progress, now, width.map(|width| width.saturating_sub(2)));
        if !block.is_empty() {
            text.push('\n');
            block.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
        if progress.waiting_on.iter().any(|cause| matches!(cause, Cause::Approval { .. })) {
            text.push_str(&format!("\nApprove it with: tidegate approve {name}\n"));
        }
    }
    text
}

/// Labelled lines, the labels in one column. Two spaces behind them: a plan's digest fills a line of 80.
#[derive(Default)]
struct Page {
    lines: Vec<(String, String)>,
}

impl Page {
    fn line(&mut self, label: &str, value: &str) {
        self.lines.push((label.to_owned(), value.to_owned()));
    }

    fn optional(&mut self, label: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.line(label, value);
        }
    }

    fn render(&self) -> String {
        let width = self.lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        self.lines.iter().map(|(label, value)| format!("{label:<width$}  {value}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A Rollout is not ready from its first commit on; it stalls later.
    #[test]
    fn a_state_is_as_old_as_what_it_is_read_from() {
        for (ready, stalled, want) in [
            ("True", "False", "ready for 3h (Because)"),
            ("False", "True", "stalled for 5m (Because)"),
            ("False", "False", "on the way for 3h (Because)"),
        ] {
            let condition = |type_, status, since| {
                json!({"type": type_, "status": status, "reason": "Because", "message": "",
                    "lastTransitionTime": since})
            };
            let rollout: Rollout = serde_json::from_value(json!({
                "apiVersion": "gitops.tidegate.dev/v1alpha1", "kind": "Rollout",
                "metadata": {"name": "web", "namespace": "fleet"},
                "spec": {"placementName": "web"},
                "status": {"conditions": [
                    condition(READY, ready, "2026-01-01T00:00:00Z"),
                    condition(STALLED, stalled, "2026-01-01T02:55:00Z"),
                ]},
            }))
            .unwrap();
            let page = page(&rollout, None, &[], "2026-01-01T03:00:00Z".parse().unwrap(), None);
            assert!(page.contains(want), "{page}");
        }
    }
}
