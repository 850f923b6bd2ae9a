//! Test repositories made by the real git, signed by the real ssh-keygen, in an environment of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use tidegate::model::CommitId;

/// A repository with a working tree, on branch `main`.
///
/// ```ignore
/// let repository = TestRepository::new();
/// repository.write("a.yaml", "a: 1");
/// let first = repository.commit("first");
/// repository.sign_as("alice");
/// let approval = repository.write("approvals/x.yaml", "…").commit_signed("approve");
/// ```
pub struct TestRepository {
    folder: TempDir,
}

impl TestRepository {
    /// Makes an empty repository.
    pub fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(repository.path()).unwrap();
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.git(&["config", "user.name", "Test"]);
        repository.git(&["config", "user.email", "test@example.com"]);
        repository
    }

    /// Returns the working tree.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Writes a file of the working tree.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Copies a folder of this project into the working tree.
    pub fn copy(&self, from: &str) -> &Self {
        fn copy(from: &Path, to: &Path) {
            fs::create_dir_all(to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                let to = to.join(entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    copy(&entry.path(), &to)
                } else {
                    fs::copy(entry.path(), &to).map(|_| ()).unwrap()
                }
            }
        }
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(from), &self.path());
        self
    }

    /// Replaces text in a file, which must hold it.
    pub fn replace(&self, path: &str, from: &str, to: &str) -> &Self {
        let text = fs::read_to_string(self.path().join(path)).unwrap();
        assert!(text.contains(from), "{path} does not hold {from}");
        self.write(path, &text.replace(from, to))
    }

    /// Moves everything in the working tree into a folder of it.
    pub fn move_all_to(&self, folder: &str) -> &Self {
        let to = self.path().join(folder);
        let held: Vec<_> = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap()).collect();
        fs::create_dir_all(&to).unwrap();
        for entry in held.iter().filter(|entry| entry.file_name() != ".git") {
            fs::rename(entry.path(), to.join(entry.file_name())).unwrap();
        }
        self
    }

    /// Commits everything, unsigned.
    pub fn commit(&self, message: &str) -> CommitId {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--no-gpg-sign", "-m", message]);
        self.head()
    }

    /// Commits everything, signed with the key of [`Self::sign_as`].
    pub fn commit_signed(&self, message: &str) -> CommitId {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-S", "-m", message]);
        self.head()
    }

    /// Reverts a commit.
    pub fn revert(&self, commit: &CommitId) -> CommitId {
        self.git(&["revert", "--no-edit", "--no-gpg-sign", commit.as_str()]);
        self.head()
    }

    /// Makes an ed25519 key for `name`, once, signs with it from now on, and returns the key's `allowed_signers` line.
    pub fn sign_as(&self, name: &str) -> String {
        let key = self.folder.path().join(name);
        if !key.exists() {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(&key)
                .status()
                .unwrap();
            assert!(made.success());
        }
        self.git(&["config", "gpg.format", "ssh"]);
        self.git(&["config", "user.signingkey", &key.to_string_lossy()]);
        let public = fs::read_to_string(format!("{}.pub", key.display())).unwrap();
        format!("{name} namespaces=\"git\" {}\n", public.trim())
    }

    /// Returns the newest commit.
    pub fn head(&self) -> CommitId {
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// Runs git in the working tree and returns what it prints.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Returns git, in the working tree and in an environment of its own.
    pub fn command(&self) -> Command {
        let mut command = Command::new("git");
        super::process::isolate(&mut command, self.folder.path());
        command
            .current_dir(self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0");
        command
    }
}
