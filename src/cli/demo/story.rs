//! What happens in the demo, in order, and what must be true after each step.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::{Context, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{Instant, timeout_at};

use super::repository::Repository;
use crate::{
    api::{self, kind, meta},
    cli::{output, screen::Screen},
    clock::Clock,
    rollout::{self, Cause, Phase, Run},
};

/// Longer than the whole demo takes; what is not there by then is not coming.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pieces that the story is told with.
pub(super) struct Stage<'a> {
    /// The working tree.
    pub(super) repository: &'a Repository,
    /// The hub.
    pub(super) hub: Client,
    /// The members.
    pub(super) members: BTreeMap<String, Client>,
    /// The time.
    pub(super) clock: &'a dyn Clock,
}

/// Shows text. Whether anybody sees it or not, the demo goes on, and ends with what is true.
pub(super) fn show(text: &str) {
    let _ = output::write(text.as_bytes());
}

/// What a run of the demo came to.
pub(super) struct Outcome {
    /// The snapshot index that was rolled out.
    pub(super) index: String,
    /// The run's name.
    pub(super) run: String,
}

impl Stage<'_> {
    /// Says what happens next.
    pub(super) fn tell(&self, sentence: &str) {
        show(&format!("\n{sentence}\n"));
    }

    /// Shows a command that a person would type, without running anything.
    pub(super) fn type_command(&self, command: &str) {
        let style = anstyle::Style::new().bold();
        show(&format!("  {style}$ {command}{style:#}\n"));
    }

    /// Commits everything that changed, signed or not, and returns the commit.
    pub(super) fn commit(&self, message: &str, signed: bool) -> anyhow::Result<String> {
        let sign = if signed { "-S " } else { "" };
        self.type_command(&format!("git add --all && git commit {sign}-m '{message}' && git push"));
        self.commit_quietly(message, signed)
    }

    fn commit_quietly(&self, message: &str, signed: bool) -> anyhow::Result<String> {
        self.repository.git(&["add", "--all"])?;
        let sign: &[&str] = if signed { &["-S"] } else { &["--no-gpg-sign"] };
        self.repository.git(&[&["commit", "--quiet", "-m", message], sign].concat())?;
        self.head()
    }

    /// Returns the newest commit.
    pub(super) fn head(&self) -> anyhow::Result<String> {
        self.repository.git(&["rev-parse", "HEAD"])
    }

    /// Follows the run of `commit` to its end, approving with a signed commit when it asks.
    pub(super) async fn follow(&self, commit: &str) -> anyhow::Result<Outcome> {
        let mut screen = Screen::new();
        let deadline = Instant::now() + PATIENCE;
        let runs: Api<api::Run> =
            Api::all_with(self.hub.clone(), &kind::CLUSTER_STAGED_UPDATE_RUN.resource());
        let mut events =
            watcher(runs, watcher::Config::default()).default_backoff().applied_objects().boxed();
        let mut seen: Option<api::Run> = None;
        let mut approved = false;
        // Clocks in the block tick; everything else is drawn when the hub tells of it.
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                event = timeout_at(deadline, events.try_next()) => {
                    let run = event.context("nothing happens")??.context("the watch ended")?;
                    if run.annotations().get(meta::COMMIT).is_none_or(|of| of != commit) {
                        continue;
                    }
                    if seen.is_none() {
                        self.introduce(&run);
                    }
                    seen = Some(run);
                }
                _ = tick.tick(), if screen.is_live() => {}
            }
            let Some(run) = &seen else { continue };
            let now = self.clock.now();
            let progress = rollout::progress(&Run::from(run), now);
            if !progress.stages.is_empty() {
                // Whether anybody sees it or not, the demo goes on, and ends with what is true.
                let _ = screen.show(None, &progress, now);
            }
            match progress.phase {
                Phase::Succeeded => return outcome(run),
                Phase::Failed => bail!("the run failed: {}", progress.failure.unwrap_or_default()),
                _ => {}
            }
            let waits = progress.waiting_on.iter().find_map(|cause| match cause {
                Cause::Approval { stage, since: Some(_), .. } => Some(stage.clone()),
                _ => None,
            });
            if let Some(stage) = waits.filter(|_| !approved) {
                approved = true;
                screen.leave();
                self.approve(commit, &stage)?;
            }
        }
    }

    fn introduce(&self, run: &api::Run) {
        let index = run.spec.resource_snapshot_index.as_deref().filter(|index| !index.is_empty());
        let index = index.map_or_else(String::new, |index| format!(" of snapshot index {index}"));
        self.type_command("tidegate watch web");
        show(&format!("  {}: a staged update run{index}\n", run.name_any()));
    }

    /// Approves with a signed commit, as a merged pull request would.
    fn approve(&self, commit: &str, stage: &str) -> anyhow::Result<()> {
        let short = &commit[..commit.len().min(8)];
        let path = format!("approvals/web/{short}/{stage}.yaml");
        self.tell(&format!(
            "Before {stage}, somebody must say yes. An approval is a file in a signed commit:"
        ));
        let mut text = String::new();
        let _ = write!(
            text,
            "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Approval\nmetadata: {{name: {stage}}}\nspec:\n  rollout: web\n  commit: {commit}\n  stage: {stage}\n  task: BeforeStage\n  decision: Approve\n"
        );
        self.repository.write(&path, &text)?;
        self.type_command(&format!("tidegate approve web --stage {stage} && git push"));
        self.commit_quietly(&format!("approve web before {stage} of {short}"), true)?;
        Ok(())
    }

    /// Reads what every member really has.
    pub(super) async fn contents(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut contents = BTreeMap::new();
        for (member, client) in &self.members {
            let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "test-namespace");
            let map =
                maps.get_opt("test-cm").await.with_context(|| format!("cannot read `{member}`"))?;
            let value = map.and_then(|map| map.data).and_then(|data| data.get("key").cloned());
            contents.insert(member.clone(), value.unwrap_or_else(|| "(none)".to_owned()));
        }
        Ok(contents)
    }

    /// Checks that every member has `value`, and returns what they have.
    pub(super) async fn expect_everywhere(
        &self,
        value: &str,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let contents = self.contents().await?;
        for (member, has) in &contents {
            ensure!(has == value, "`{member}` has {has}, not {value}");
        }
        Ok(contents)
    }
}

fn outcome(run: &api::Run) -> anyhow::Result<Outcome> {
    let used = run.status.as_ref().and_then(|status| status.resource_snapshot_index_used.clone());
    Ok(Outcome {
        index: used.context("the run does not say which index it used")?,
        run: run.name_any(),
    })
}
