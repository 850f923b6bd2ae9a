//! An approval as a signed commit.

use std::path::Path;

use anyhow::Context;

use super::{gate::Gate, worktree::Worktree};
use crate::{
    api::{self, Rollout, meta, rollout::SourceStatus},
    cli::{args::ApproveArgs, failure::because},
    clock::{Clock, SystemClock},
    git::{Remote, Repository},
    model::{CommitId, Hint, commit::short},
    release::ledger::annotation,
    trust::{ALLOWED_SIGNERS_PATH, AllowedSigners, ssh},
};

/// A commit that approves.
pub(super) struct Approved {
    pub(super) commit: CommitId,
    /// The file that it brings.
    pub(super) path: String,
    /// Who signed it, as far as the repository says who has the key.
    pub(super) by: Option<String>,
    /// Whether it is already where the daemon reads.
    pub(super) is_there: bool,
}

/// Writes the Approval and commits it, signed with the person's own configuration. An approval that the daemon would
/// refuse is not made: the branch stays where it is. Hooks do not run, since nothing that they check is changed.
pub(super) fn approve(
    rollout: &Rollout,
    run: &api::Run,
    gate: &Gate,
    args: &ApproveArgs,
) -> anyhow::Result<Approved> {
    let source = rollout.status.as_ref().and_then(|status| status.source.clone());
    let source = source.unwrap_or_default();
    let named =
        annotation(run, meta::ROLLOUT).context("the run does not say which Rollout it is of")?;
    let tree = Worktree::around(&args.repository)?;
    tree.check(&gate.commit, &source.repository)?;

    let folder = followed_folder(&source);
    let path = free_path(&tree, &folder, named, gate);
    let side = if gate.before { "before" } else { "after" };
    let subject = format!("approve {named} {side} {} of {}", gate.stage, short(&gate.commit));
    let messages: Vec<&str> =
        [Some(subject.as_str()), args.message.as_deref()].into_iter().flatten().collect();
    let commit = tree.prepare(&path, &document(named, gate), &messages)?;
    let by = judge(&tree, &commit, &folder, &source)?;
    tree.publish(&commit, &path)?;
    Ok(Approved { commit: commit.parse()?, path, by, is_there: is_followed(&tree, &source) })
}

/// The file. It says all that is approved, so that it means nothing anywhere else.
fn document(named: &str, gate: &Gate) -> String {
    let task = if gate.before { "BeforeStage" } else { "AfterStage" };
    format!(
        "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Approval\nmetadata:\n  name: {stage}\nspec:\n  rollout: {named}\n  commit: {commit}\n  stage: {stage}\n  task: {task}\n  decision: Approve\n",
        stage = gate.stage,
        commit = gate.commit,
    )
}

/// Returns where no file is yet: an approval that was refused before is given again in a file of its own.
fn free_path(tree: &Worktree, folder: &str, named: &str, gate: &Gate) -> String {
    let side = if gate.before { "" } else { "-after" };
    let stem = format!(
        "{folder}approvals/{}/{}/{}{side}",
        named.replace('/', "-"),
        short(&gate.commit),
        gate.stage
    );
    let is_free = |path: &String| {
        !tree.top().join(path).exists()
            && tree.git(&["ls-files", "--error-unmatch", "--", path]).is_err()
    };
    let numbered = (2..100).map(|number| format!("{stem}-{number}.yaml"));
    let first = format!("{stem}.yaml");
    std::iter::once(first.clone()).chain(numbered).find(is_free).unwrap_or(first)
}

/// Returns the folder of the repository that the daemon reads: empty, or with a slash at the end.
fn followed_folder(source: &SourceStatus) -> String {
    match source.folder.as_deref().unwrap_or_default().trim_matches('/') {
        "" | "." => String::new(),
        folder => format!("{folder}/"),
    }
}

/// Judges the signature as the daemon will, by the policy in force: that of the last accepted commit that changed it.
/// Nobody's name when it is not in the repository: the daemon may have it from elsewhere.
fn judge(
    tree: &Worktree,
    commit: &str,
    folder: &str,
    source: &SourceStatus,
) -> anyhow::Result<Option<String>> {
    let path = format!("{folder}{ALLOWED_SIGNERS_PATH}");
    let policy = |commit: &str| -> anyhow::Result<Option<AllowedSigners>> {
        let Ok(text) = tree.git(&["show", &format!("{commit}:{path}")]) else { return Ok(None) };
        AllowedSigners::parse(&text, &path).map(Some).map_err(|error| {
            let hint = error.hint().unwrap_or_default();
            because("not approved: the policy cannot be read, so nobody may approve", error, hint)
        })
    };
    let Some(in_force) = source.policy_commit.as_deref() else { return Ok(None) };
    let Some(signers) = policy(in_force)? else { return Ok(None) };
    let repository = Repository::new(Remote::Local(tree.top().to_owned()), "HEAD", tree.top());
    let evidence = repository.commit(&commit.parse()?)?.evidence;
    let now = SystemClock.now();
    let refusal = match ssh::verify(&evidence, &signers, now) {
        Ok(signer) => return Ok(Some(signer.principal)),
        Err(refusal) => refusal,
    };
    let attempt = "not approved: the daemon would refuse it, so nothing is committed";
    let newer = tree
        .git(&["log", "-1", "--format=%H", &format!("{in_force}..{commit}^"), "--", &path])
        .ok()
        .filter(|newer| !newer.is_empty());
    let Some(newer) = newer else {
        let hint = if signers.entries().is_empty() {
            format!(
                "nobody stands in {path} of commit {}, and only who stands there can add somebody; approve with --patch, or see docs/reference/approvals.md, The first policy",
                short(in_force)
            )
        } else {
            format!("{}; then approve again", refusal.hint().unwrap_or_default())
        };
        return Err(because(attempt, refusal, hint));
    };
    let by_newer = policy(&newer)?.and_then(|signers| ssh::verify(&evidence, &signers, now).ok());
    let was_seen = tree.git(&["merge-base", "--is-ancestor", &newer, &source.commit]).is_ok();
    match by_newer {
        // Accepted together with the approval, if its own signature counts.
        Some(signer) if !was_seen => Ok(Some(signer.principal)),
        _ => Err(because(
            attempt,
            refusal,
            format!(
                "commit {} changes {path}, but does not count, so that of {} is in force: who changes it must stand in it already, and sign the commit",
                short(&newer),
                short(in_force)
            ),
        )),
    }
}

/// Returns whether the commit is on the branch of the very repository that is followed.
fn is_followed(tree: &Worktree, source: &SourceStatus) -> bool {
    let address = source.repository.strip_prefix("file://").unwrap_or(&source.repository);
    let same = |a: &Path, b: &Path| {
        a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b)
    };
    let branch = tree.git(&["symbolic-ref", "--short", "HEAD"]).unwrap_or_default();
    same(Path::new(address), tree.top()) && branch == source.reference
}
