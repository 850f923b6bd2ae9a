//! The repository that a person stands in, by way of the person's own git.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::bail;

use crate::{
    cli::failure::{OrHint, because, hinted},
    model::commit::short,
};

const SIGN_WITH_SSH: &str = "git config gpg.format ssh && git config user.signingkey ~/.ssh/id_ed25519.pub\n      (any SSH key of yours; its line belongs into policy/allowed_signers)";

/// A working tree on a branch, in which signed commits can be made.
pub(super) struct Worktree {
    top: PathBuf,
}

impl Worktree {
    /// Finds the working tree around `folder`.
    pub(super) fn around(folder: &Path) -> anyhow::Result<Self> {
        let top = git(folder, &["rev-parse", "--show-toplevel"]).map_err(|error| {
            because(
                format!("`{}` is not in a working tree of git", folder.display()),
                error,
                "stand in a clone of the repository that is followed, or name one with --repository; or approve on the hub with --patch",
            )
        })?;
        Ok(Self { top: PathBuf::from(top) })
    }

    /// Returns its folder.
    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    /// Refuses what would make a commit that is of no use: no branch, another repository, no SSH signatures.
    pub(super) fn check(&self, commit: &str, repository: &str) -> anyhow::Result<()> {
        if self.git(&["symbolic-ref", "--quiet", "HEAD"]).is_err() {
            return Err(hinted(
                "HEAD is detached: the approval would be on no branch",
                "git switch to the branch that is followed, or to a new one for a pull request",
            ));
        }
        let id = short(commit);
        if self.git(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).is_err() {
            return Err(hinted(
                format!(
                    "`{}` does not have commit {id}, which waits for approval",
                    self.top.display()
                ),
                format!("git fetch, or stand in a clone of {repository}"),
            ));
        }
        match self.git(&["config", "gpg.format"]).unwrap_or_default().as_str() {
            "ssh" => {}
            other => {
                let format = if other.is_empty() { "openpgp" } else { other };
                return Err(hinted(
                    format!("git would sign with {format}, and only SSH signatures approve"),
                    SIGN_WITH_SSH,
                ));
            }
        }
        let has = |name| self.git(&["config", name]).is_ok_and(|value| !value.is_empty());
        if !has("user.signingkey") && !has("gpg.ssh.defaultKeyCommand") {
            return Err(hinted(
                "git has no key to sign with: user.signingkey is not set",
                SIGN_WITH_SSH,
            ));
        }
        Ok(())
    }

    /// Makes a signed commit on top of HEAD that brings one new file and nothing else that may be staged. No branch has it
    /// yet: whoever watches the repository sees it with [`Self::publish`], or never.
    pub(super) fn prepare(
        &self,
        path: &str,
        text: &str,
        messages: &[&str],
    ) -> anyhow::Result<String> {
        let attempt = || -> anyhow::Result<String> {
            let index = Scratch::beside(
                &self.git(&["rev-parse", "--git-path", "tidegate-approval-index"])?,
                &self.top,
            );
            self.git_with(&index, &["read-tree", "HEAD"], "")?;
            let blob = self.git_with(&index, &["hash-object", "-w", "--stdin"], text)?;
            let entry = format!("100644,{blob},{path}");
            self.git_with(&index, &["update-index", "--add", "--cacheinfo", &entry], "")?;
            let tree = self.git_with(&index, &["write-tree"], "")?;
            let mut commit = vec!["commit-tree", "-S", "-p", "HEAD"];
            messages.iter().for_each(|message| commit.extend(["-m", message]));
            commit.push(&tree);
            self.git_with(&index, &commit, "")
        };
        attempt().or_hint("cannot make the signed commit; nothing is changed", || {
            "mend what git says above, and approve again".to_owned()
        })
    }

    /// Moves the branch to a commit of [`Self::prepare`], and brings its file into index and working tree.
    pub(super) fn publish(&self, commit: &str, path: &str) -> anyhow::Result<()> {
        // Only if nobody has committed since.
        let (parent, reason) = (format!("{commit}^"), format!("tidegate approve: {path}"));
        self.git(&["update-ref", "-m", &reason, "HEAD", commit, &parent])?;
        self.git(&["checkout", "--quiet", commit, "--", path])?;
        Ok(())
    }

    /// Runs git in the working tree and returns what it prints.
    pub(super) fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        git(&self.top, arguments)
    }

    fn git_with(&self, index: &Scratch, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let mut command = command(&self.top, arguments);
        command.env("GIT_INDEX_FILE", &index.0);
        said(command, arguments, input)
    }
}

/// An index of our own, gone when done with.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(path: &str, top: &Path) -> Self {
        Self(top.join(format!("{path}-{}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    said(command(folder, arguments), arguments, "")
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    command
}

/// Runs `command` with `input`, and returns what it prints.
fn said(mut command: Command, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let no_git = || "install git; approvals are commits".to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_hint("cannot run git", no_git)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Git may end without reading all of it; its exit code tells.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().or_hint("cannot run git", no_git)?;
    if !output.status.success() {
        // Some of git's complaints go to stdout.
        let said = [output.stderr, output.stdout]
            .map(|said| String::from_utf8_lossy(&said).trim().to_owned());
        let said =
            said.iter().find(|said| !said.is_empty()).map_or("no reason given", String::as_str);
        bail!("git {}: {said}", arguments.first().unwrap_or(&""));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
