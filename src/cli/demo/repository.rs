//! The demo's repository: the example fleet, committed with the real git.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use super::signer::Signer;
use crate::cli::failure::OrHint;

/// The example fleet, as it is in `examples-repo/cluster-scoped`.
const FILES: &[(&str, &str)] = &[
    (
        "strategies/example-strategy.yaml",
        include_str!("../../../examples-repo/cluster-scoped/strategies/example-strategy.yaml"),
    ),
    (
        "apps/web/rollout.yaml",
        include_str!("../../../examples-repo/cluster-scoped/apps/web/rollout.yaml"),
    ),
    (
        "apps/web/placement.yaml",
        include_str!("../../../examples-repo/cluster-scoped/apps/web/placement.yaml"),
    ),
    (
        "apps/web/manifests/namespace.yaml",
        include_str!("../../../examples-repo/cluster-scoped/apps/web/manifests/namespace.yaml"),
    ),
    (
        "apps/web/manifests/configmap.yaml",
        include_str!("../../../examples-repo/cluster-scoped/apps/web/manifests/configmap.yaml"),
    ),
];

/// A working tree and its history.
pub(super) struct Repository {
    root: PathBuf,
    home: PathBuf,
}

impl Repository {
    /// Makes the repository in `folder` without a commit.
    pub(super) fn create(folder: &Path, signer: &Signer) -> anyhow::Result<Self> {
        let (root, home) = (folder.join("fleet"), folder.join("home"));
        fs::create_dir_all(&root)?;
        fs::create_dir_all(&home)?;
        let repository = Self { root, home };
        for (path, text) in FILES {
            repository.write(path, text)?;
        }
        repository.write("policy/allowed_signers", &signer.allowed_signers_line())?;
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        repository.git(&["config", "user.name", "You"])?;
        for (name, value) in signer.git_settings() {
            repository.git(&["config", &name, &value])?;
        }
        Ok(repository)
    }

    /// Returns the working tree.
    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// Writes a file of the working tree.
    pub(super) fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Replaces text in a file of the working tree, which must hold it.
    pub(super) fn replace(&self, path: &str, from: &str, to: &str) -> anyhow::Result<()> {
        let text = fs::read_to_string(self.root.join(path))?;
        anyhow::ensure!(text.contains(from), "`{path}` of the example does not hold `{from}`");
        self.write(path, &text.replace(from, to))
    }

    /// Runs git in the working tree, untouched by the user's own configuration, and returns what it prints.
    pub(super) fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.root)
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", self.home.join("none"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .output()
            .or_hint("cannot run git", || {
                "install git; the demo makes its commits with it".into()
            })?;
        if !output.status.success() {
            bail!(
                "git {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
