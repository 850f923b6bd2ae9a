//! `tidegate approve`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    args::ApproveArgs,
    exit::Exit,
    failure::{OrHint, hinted},
    hub::{self, Hub},
};
use crate::{
    api::{
        self, ApprovalRequest, Rollout, approval::APPROVED, condition::whole_seconds, kind, meta,
    },
    clock::{Clock, SystemClock},
    model::Scope,
    rollout::{self, Cause, Run},
};

pub(super) async fn run(args: &ApproveArgs) -> anyhow::Result<Exit> {
    let hub = hub::connect(&args.hub).await?;
    let rollout = hub.rollout(&args.rollout).await?;
    let run = hub.run_of(&rollout).await?;
    let gate = waiting_gate(&run, args.stage.as_deref())?;
    if args.patch {
        patch(&hub, &run, &gate, args).await?;
        anstream::println!("{} is approved", gate.request);
        return Ok(Exit::Done);
    }
    let file = commit(&rollout, &run, &gate, args)?;
    anstream::println!(
        "approved {} {} in {}",
        if gate.before { "before" } else { "after" },
        gate.stage,
        file.display()
    );
    anstream::eprintln!(
        "hint: git push, or open a pull request; the approval counts once it is on the branch that is followed"
    );
    Ok(Exit::Done)
}

/// A gate that waits for a person.
struct Gate {
    request: String,
    stage: String,
    before: bool,
}

fn waiting_gate(run: &api::Run, stage: Option<&str>) -> anyhow::Result<Gate> {
    let progress = rollout::progress(&Run::from(run), SystemClock.now());
    let name = run.metadata.name.clone().unwrap_or_default();
    let mut gates = progress.waiting_on.iter().filter_map(|cause| match cause {
        Cause::Approval { request, stage, .. } => {
            let before = *request == format!("{name}-before-{stage}");
            Some(Gate { request: request.clone(), stage: stage.clone(), before })
        }
        _ => None,
    });
    match gates.find(|gate| stage.is_none_or(|stage| gate.stage == stage)) {
        Some(gate) => Ok(gate),
        None => {
            let what = stage.map_or_else(String::new, |stage| format!(" for stage `{stage}`"));
            Err(hinted(
                format!("run `{name}` waits for no approval{what}"),
                "see what it does with `tidegate status`",
            ))
        }
    }
}

/// Sets the request's condition, as `kubectl patch --subresource=status` would.
async fn patch(hub: &Hub, run: &api::Run, gate: &Gate, args: &ApproveArgs) -> anyhow::Result<()> {
    let scope = Scope::of(run.metadata.namespace.as_deref());
    let resource = kind::approval_request(&scope).resource();
    let requests: Api<ApprovalRequest> = match scope.namespace() {
        Some(namespace) => Api::namespaced_with(hub.client.clone(), namespace, &resource),
        None => Api::all_with(hub.client.clone(), &resource),
    };
    let attempt = format!("cannot approve `{}`", gate.request);
    let may =
        || "you need permission to patch the status of approval requests on the hub".to_owned();
    let request = requests.get(&gate.request).await.or_hint(attempt.clone(), may)?;
    let condition = json!({
        "type": APPROVED,
        "status": "True",
        "reason": "Approved",
        "message": args.message.clone().unwrap_or_else(|| "approved with tidegate approve --patch".to_owned()),
        "observedGeneration": request.metadata.generation,
        "lastTransitionTime": whole_seconds(SystemClock.now()).to_string(),
    });
    let patch = Patch::Merge(json!({"status": {"conditions": [condition]}}));
    requests
        .patch_status(&gate.request, &PatchParams::default(), &patch)
        .await
        .or_hint(attempt, may)?;
    Ok(())
}

/// Writes the Approval and commits it, signed with the user's own configuration.
fn commit(
    rollout: &Rollout,
    run: &api::Run,
    gate: &Gate,
    args: &ApproveArgs,
) -> anyhow::Result<PathBuf> {
    let annotations = run.metadata.annotations.clone().unwrap_or_default();
    let commit =
        annotations.get(meta::COMMIT).context("the run does not say which commit it rolls out")?;
    let named =
        annotations.get(meta::ROLLOUT).context("the run does not say which Rollout it is of")?;
    let task = if gate.before { "BeforeStage" } else { "AfterStage" };
    let top = git(&args.repository, &["rev-parse", "--show-toplevel"]).or_hint(
        "cannot commit an approval",
        || {
            "stand in the repository that is followed, or name its working tree with --repository"
                .to_owned()
        },
    )?;
    let folder = followed_folder(rollout);
    let suffix = if gate.before { "" } else { "-after" };
    let path = folder.join(format!(
        "approvals/{}/{}/{}{suffix}.yaml",
        named.replace('/', "-"),
        &commit[..commit.len().min(8)],
        gate.stage
    ));
    let file = Path::new(&top).join(&path);
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot make `{}`", parent.display()))?;
    }
    let text = format!(
        "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Approval\nmetadata:\n  name: {stage}\nspec:\n  rollout: {named}\n  commit: {commit}\n  stage: {stage}\n  task: {task}\n  decision: Approve\n",
        stage = gate.stage
    );
    fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
    let path_text = path.to_string_lossy().into_owned();
    let subject = format!(
        "approve {named} {} {} of {}",
        if gate.before { "before" } else { "after" },
        gate.stage,
        &commit[..commit.len().min(8)]
    );
    let top = Path::new(&top);
    git(top, &["add", "--", &path_text])?;
    let mut arguments = vec!["commit", "--quiet", "-S", "-m", &subject];
    if let Some(message) = &args.message {
        arguments.extend(["-m", message]);
    }
    arguments.extend(["--", &path_text]);
    git(top, &arguments).or_hint("cannot make a signed commit", || {
        "tell git how to sign: git config gpg.format ssh, and git config user.signingkey FILE"
            .to_owned()
    })?;
    Ok(path)
}

/// Returns the folder of the repository that the daemon reads.
fn followed_folder(rollout: &Rollout) -> PathBuf {
    let source = rollout.status.as_ref().and_then(|status| status.source.as_ref());
    let folder = source.and_then(|source| source.folder.clone()).unwrap_or_default();
    match folder.trim_matches('/') {
        "" | "." => PathBuf::new(),
        folder => PathBuf::from(folder),
    }
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .or_hint("cannot run git", || "install git; approvals are commits".to_owned())?;
    if !output.status.success() {
        bail!(
            "git {}: {}",
            arguments.first().unwrap_or(&""),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
