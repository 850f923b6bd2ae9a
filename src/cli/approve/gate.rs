//! Which gate a person means.

use std::fmt;

use crate::{
    api::{
        self, meta,
        run::{StageStatus, TaskStatus},
        strategy::TASK_APPROVAL,
    },
    cli::failure::hinted,
    clock::{Clock, SystemClock},
    model::commit::short,
    release::ledger::annotation,
    rollout::{self, Cause, Run},
};

/// A gate that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gate {
    /// The approval request.
    pub(super) request: String,
    /// Its stage.
    pub(super) stage: String,
    /// Whether it is in front of the stage, or behind it.
    pub(super) before: bool,
    /// The full id of the commit whose run waits.
    pub(super) commit: String,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.before { "before" } else { "after" };
        write!(f, "{} {side} {}", short(&self.commit), self.stage)
    }
}

fn asks(tasks: &Option<Vec<TaskStatus>>) -> impl Iterator<Item = &TaskStatus> {
    tasks.iter().flatten().filter(|task| task.kind == TASK_APPROVAL)
}

impl Gate {
    /// Returns the gate of `run` that waits, that of `stage` when one is named. `said` is what the Rollout says of itself.
    pub(super) fn find(run: &api::Run, stage: Option<&str>, said: &str) -> anyhow::Result<Self> {
        let progress = rollout::progress(&Run::from(run), SystemClock.now());
        let stages: Vec<&StageStatus> =
            run.status.iter().flat_map(|status| &status.stages_status).flatten().collect();
        for cause in &progress.waiting_on {
            let Cause::Approval { request, stage: waiting, .. } = cause else { continue };
            if stage.is_some_and(|stage| stage != waiting) {
                continue;
            }
            let is_it = |task: &TaskStatus| task.approval_request_name.as_ref() == Some(request);
            return Ok(Self {
                request: request.clone(),
                stage: waiting.clone(),
                before: stages.iter().any(|stage| asks(&stage.before_stage_task_status).any(is_it)),
                commit: annotation(run, meta::COMMIT).unwrap_or_default().to_owned(),
            });
        }
        let name = run.metadata.name.as_deref().unwrap_or_default();
        let Some(stage) = stage else {
            return Err(hinted(format!("run `{name}` waits for no approval now"), said));
        };
        let names: Vec<&str> = stages.iter().map(|stage| stage.stage_name.as_str()).collect();
        Err(match stages.iter().find(|known| known.stage_name == stage) {
            None => hinted(
                format!("run `{name}` has no stage `{stage}`"),
                format!("its stages are {}", names.join(", ")),
            ),
            Some(known)
                if asks(&known.before_stage_task_status).next().is_none()
                    && asks(&known.after_stage_task_status).next().is_none() =>
            {
                hinted(format!("stage `{stage}` of run `{name}` asks for no approval, ever"), said)
            }
            Some(_) => {
                hinted(format!("stage `{stage}` of run `{name}` waits for no approval now"), said)
            }
        })
    }
}
