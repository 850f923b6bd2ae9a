//! Our verdicts beside those of git and ssh-keygen, on commits that they signed.

use std::{fs, process::Command};

use jiff::Timestamp;
use tidegate::{
    git::{Remote, Repository},
    trust::{AllowedSigners, Evidence, ssh},
};

use crate::support::repository::TestRepository;

struct Case {
    test: TestRepository,
}

impl Case {
    fn new() -> Self {
        Self { test: TestRepository::new() }
    }

    /// Makes a key of a type and signs with it; returns its public half.
    fn key(&self, name: &str, arguments: &[&str]) -> String {
        let key = self.test.path().parent().unwrap().join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", name, "-f"])
            .arg(&key)
            .args(arguments)
            .status();
        assert!(made.unwrap().success());
        self.test.git(&["config", "gpg.format", "ssh"]);
        self.test.git(&["config", "user.signingkey", &key.to_string_lossy()]);
        fs::read_to_string(key.with_extension("pub")).unwrap().trim().to_owned()
    }

    /// What we say of HEAD, and what git says.
    fn verdicts(
        &self,
        signers: &str,
        first_seen: Timestamp,
    ) -> (Result<String, &'static str>, bool) {
        let file = self.test.path().parent().unwrap().join("allowed");
        fs::write(&file, signers).unwrap();
        let git = self
            .test
            .command()
            .args([
                "-c",
                &format!("gpg.ssh.allowedSignersFile={}", file.display()),
                "verify-commit",
                "HEAD",
            ])
            .output()
            .unwrap();
        let repository = Repository::new(Remote::Local(self.test.path()), "main", "unused");
        let commit = repository.commit(&self.test.head()).unwrap();
        let signers = AllowedSigners::parse(signers, "allowed").unwrap();
        let ours = ssh::verify(&commit.evidence, &signers, first_seen);
        (
            ours.map(|signer| signer.principal).map_err(|refusal| refusal.reason()),
            git.status.success(),
        )
    }
}

#[test]
fn every_kind_of_key_agrees_with_git() {
    for arguments in [
        &["-t", "ed25519"][..],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "rsa", "-b", "3072"],
    ] {
        let case = Case::new();
        let public = case.key("alice", arguments);
        case.test.write("a", "1").commit_signed("signed");
        let signers = format!("alice@example.com {public}\n");
        let (ours, git) = case.verdicts(&signers, Timestamp::now());
        assert_eq!((ours, git), (Ok("alice@example.com".to_owned()), true), "{arguments:?}");
        let stranger = case.key("stranger", &["-t", "ed25519"]);
        let (ours, git) = case.verdicts(&format!("bob {stranger}\n"), Timestamp::now());
        assert_eq!((ours, git), (Err("ApprovalKeyUnknown"), false), "{arguments:?}");
    }
}

#[test]
fn an_unsigned_commit_is_unsigned() {
    let case = Case::new();
    let public = case.key("alice", &["-t", "ed25519"]);
    case.test.write("a", "1").commit("unsigned");
    let (ours, git) = case.verdicts(&format!("alice {public}\n"), Timestamp::now());
    assert_eq!((ours, git), (Err("ApprovalUnsigned"), false));
}

/// Git judges an expired key by the date that the commit claims; whoever has the key chooses that date.
#[test]
fn a_backdated_commit_fools_git_and_not_us() {
    let case = Case::new();
    let public = case.key("alice", &["-t", "ed25519"]);
    case.test.write("a", "1").git(&["add", "--all"]);
    let made = case
        .test
        .command()
        .args(["commit", "--quiet", "-S", "-m", "backdated"])
        .env("GIT_COMMITTER_DATE", "2025-01-01T00:00:00Z")
        .status();
    assert!(made.unwrap().success());
    let signers = format!("alice valid-before=\"20250601Z\" {public}\n");
    let (ours, git) = case.verdicts(&signers, Timestamp::now());
    assert_eq!((ours, git), (Err("ApprovalKeyNotValid"), true));
}

#[test]
fn a_certificate_of_an_authority_counts() {
    let case = Case::new();
    let authority = case.key("authority", &["-t", "ed25519"]);
    case.key("alice", &["-t", "ed25519"]);
    let folder = case.test.path().parent().unwrap().to_owned();
    let made = Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(folder.join("authority"))
        .args(["-I", "id", "-n", "alice@example.com", "-V", "+52w"])
        .arg(folder.join("alice.pub"))
        .status();
    assert!(made.unwrap().success());
    case.test.git(&["config", "user.signingkey", &folder.join("alice-cert.pub").to_string_lossy()]);
    let agent = case.test.write("a", "1").command().args(["add", "--all"]).status();
    assert!(agent.unwrap().success());
    let signed =
        case.test.command().args(["commit", "--quiet", "-S", "-m", "certified"]).output().unwrap();
    if !signed.status.success() {
        // Signing with a certificate needs the private key beside it, which older OpenSSH does not look for.
        crate::support::process::say_skipped(
            "certificates",
            &String::from_utf8_lossy(&signed.stderr),
        );
        return;
    }
    let (ours, git) =
        case.verdicts(&format!("*@example.com cert-authority {authority}\n"), Timestamp::now());
    assert_eq!((ours, git), (Ok("alice@example.com".to_owned()), true));
    let (ours, git) =
        case.verdicts(&format!("*@other.com cert-authority {authority}\n"), Timestamp::now());
    assert_eq!((ours, git), (Err("ApprovalKeyUnknown"), false));
}

#[test]
fn a_changed_byte_is_a_bad_signature() {
    let case = Case::new();
    let public = case.key("alice", &["-t", "ed25519"]);
    case.test.write("a", "1").commit_signed("signed");
    let repository = Repository::new(Remote::Local(case.test.path()), "main", "unused");
    let commit = repository.commit(&case.test.head()).unwrap();
    let Evidence::Ssh { armor, mut payload } = commit.evidence else { panic!("signed") };
    let signers = AllowedSigners::parse(&format!("alice {public}\n"), "f").unwrap();
    payload[10] ^= 1;
    let verdict = ssh::verify(&Evidence::Ssh { armor, payload }, &signers, Timestamp::now());
    assert_eq!(verdict.unwrap_err().reason(), "ApprovalSignatureBad");
}
