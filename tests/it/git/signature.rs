//! Our verdicts beside those of git and ssh-keygen, on commits that they signed.

use std::{fs, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
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

impl Case {
    /// Certifies the key `alice` with the key `authority`, and signs with the certificate.
    fn certify(&self, arguments: &[&str]) {
        let folder = self.test.path().parent().unwrap().to_owned();
        let made = Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(folder.join("authority"))
            .args(["-I", "id"])
            .args(arguments)
            .arg(folder.join("alice.pub"))
            .status();
        assert!(made.unwrap().success());
        // Without an agent, ssh-keygen looks for the private key beside the certificate.
        fs::copy(folder.join("alice"), folder.join("alice-cert")).unwrap();
        let certificate = folder.join("alice-cert.pub");
        self.test.git(&["config", "user.signingkey", &certificate.to_string_lossy()]);
    }
}

const PERSON: [&str; 2] = ["-n", "alice@example.com"];

#[test]
fn a_certificate_of_an_authority_counts() {
    for (authority, person) in [
        (&["-t", "ed25519"][..], &["-t", "ed25519"][..]),
        (&["-t", "ecdsa", "-b", "256"], &["-t", "rsa", "-b", "3072"]),
        (&["-t", "rsa", "-b", "3072"], &["-t", "ecdsa", "-b", "384"]),
    ] {
        for validity in [&[][..], &["-V", "+52w"]] {
            let case = Case::new();
            let authority = case.key("authority", authority);
            case.key("alice", person);
            case.certify(&[&PERSON[..], validity].concat());
            case.test.write("a", "1").commit_signed("certified");
            let ours = (Ok("alice@example.com".to_owned()), true);
            let line = format!("alice@example.com cert-authority {authority}\n");
            assert_eq!(case.verdicts(&line, Timestamp::now()), ours, "{person:?} {validity:?}");
            for (line, why) in [
                (format!("bob@example.com cert-authority {authority}\n"), "other person"),
                (format!("alice@example.com {authority}\n"), "no authority"),
            ] {
                let refused = (Err("ApprovalKeyUnknown"), false);
                assert_eq!(case.verdicts(&line, Timestamp::now()), refused, "{why}");
            }
        }
    }
}

#[test]
fn a_certificate_of_another_time_kind_or_authority_does_not() {
    for (arguments, want, git_says) in [
        (&["-V", "20200101:20210101"][..], "ApprovalKeyNotValid", false),
        (&["-V", "20990101:21000101"], "ApprovalKeyNotValid", false),
        (&["-h"], "ApprovalSignatureUnreadable", false),
        // Git ignores critical options. One that it does not know forbids everything.
        (&["-O", "force-command=true"], "ApprovalSignatureUnreadable", true),
    ] {
        let case = Case::new();
        let authority = case.key("authority", &["-t", "ed25519"]);
        case.key("alice", &["-t", "ed25519"]);
        case.certify(&[&PERSON[..], arguments].concat());
        case.test.write("a", "1").commit_signed("certified");
        let line = format!("alice@example.com cert-authority {authority}\n");
        assert_eq!(case.verdicts(&line, Timestamp::now()), (Err(want), git_says), "{arguments:?}");
    }
    let case = Case::new();
    case.key("authority", &["-t", "ed25519"]);
    case.key("alice", &["-t", "ed25519"]);
    case.certify(&PERSON);
    case.test.write("a", "1").commit_signed("certified");
    let stranger = case.key("stranger", &["-t", "ed25519"]);
    let line = format!("alice@example.com cert-authority {stranger}\n");
    let refused = (Err("ApprovalKeyUnknown"), false);
    assert_eq!(case.verdicts(&line, Timestamp::now()), refused);
}

/// Every byte of a certificate counts: the authority signed them all.
#[test]
fn a_changed_byte_of_a_certificate_is_refused() {
    let case = Case::new();
    let authority = case.key("authority", &["-t", "ed25519"]);
    case.key("alice", &["-t", "ed25519"]);
    case.certify(&PERSON);
    case.test.write("a", "1").commit_signed("certified");
    let repository = Repository::new(Remote::Local(case.test.path()), "main", "unused");
    let commit = repository.commit(&case.test.head()).unwrap();
    let Evidence::Ssh { armor, payload } = commit.evidence else { panic!("signed") };
    let line = format!("*@example.com cert-authority {authority}\n");
    let signers = AllowedSigners::parse(&line, "f").unwrap();
    let (begin, end) = ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----");
    let text = String::from_utf8(armor).unwrap();
    let body: String = text.trim().replace(begin, "").replace(end, "").split_whitespace().collect();
    let bytes = STANDARD.decode(body).unwrap();
    let verdict = |bytes: &[u8]| {
        let armor = format!("{begin}\n{}\n{end}\n", STANDARD.encode(bytes)).into_bytes();
        ssh::verify(&Evidence::Ssh { armor, payload: payload.clone() }, &signers, Timestamp::now())
    };
    assert_eq!(verdict(&bytes).unwrap().principal, "alice@example.com");
    let accepted: Vec<usize> = (0..bytes.len())
        .filter(|at| {
            let mut changed = bytes.clone();
            changed[*at] ^= 1;
            verdict(&changed).is_ok()
        })
        .collect();
    assert_eq!(accepted, [0_usize; 0]);
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
