//! One Rollout on a page: where it is, what it waits for, and who can help.

use jiff::Timestamp;

use super::{
    find::full_name,
    pipeline,
    status::{brief, place, refused, words},
};
use crate::{
    api::{
        self, Rollout,
        condition::{Truth, find, truth},
        rollout::{APPROVALS_ACCEPTED, HEALTHY, READY, RECONCILING, STALLED},
    },
    model::human_age,
    rollout::{self, Cause, Run},
};

/// Conditions that the page shows in other words.
const SHOWN_ELSEWHERE: [&str; 5] = [READY, RECONCILING, STALLED, HEALTHY, APPROVALS_ACCEPTED];

/// Returns the page.
pub(super) fn page(rollout: &Rollout, run: Option<&api::Run>, now: Timestamp) -> String {
    let name = full_name(rollout);
    let Some(status) = &rollout.status else {
        return format!("{name}: the daemon has not looked at it yet\n");
    };
    let mut page = Page::default();
    page.line("Rollout", &name);
    let ready = find(&status.conditions, READY);
    if let Some(ready) = ready {
        let state = match (ready.status.as_str(), truth(&status.conditions, STALLED)) {
            ("True", _) => "ready",
            (_, Some(Truth::True)) => "stalled",
            _ => "on the way",
        };
        let age = human_age(ready.last_transition_time.0, now);
        page.line("State", &format!("{state} for {age} ({})", ready.reason));
    }
    if let Some(source) = &status.source {
        page.line("Source", &format!("{}, {}", place(rollout), source.path));
    }
    page.optional("Commit", status.commit.as_deref());
    page.optional("Index", status.index.as_deref());
    page.optional("Run", status.run.as_deref());
    page.optional("Plan", status.plan.as_deref());
    page.optional("Message", status.message.as_deref().map(brief));
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
    let mut text = page.render();
    if let Some(run) = run {
        let progress = rollout::progress(&Run::from(run), now);
        let block = pipeline::block(&progress, now, None);
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

/// Labelled lines, the labels in one column.
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
        self.lines.iter().map(|(label, value)| format!("{label:<width$}   {value}\n")).collect()
    }
}
