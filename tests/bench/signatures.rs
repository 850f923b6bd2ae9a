//! Signatures a second, in this process and by git.

use std::time::Instant;

use tidegate::{
    git::{Remote, Repository},
    trust::{AllowedSigners, ssh},
};

use crate::{report, support::repository::TestRepository};

const OURS: usize = 5_000;
const GITS: usize = 50;

pub fn measure() {
    let work = TestRepository::new();
    let line = work.sign_as("alice");
    let commit = work.write("a", "1").commit_signed("signed");
    let repository = Repository::new(Remote::Local(work.path()), "main", "unused");
    let evidence = repository.commit(&commit).unwrap().evidence;
    let signers = AllowedSigners::parse(&line, "signers").unwrap();
    let now = jiff::Timestamp::now();
    let started = Instant::now();
    for _ in 0..OURS {
        ssh::verify(&evidence, &signers, now).unwrap();
    }
    let ours = OURS as f64 / started.elapsed().as_secs_f64();
    let file = work.path().join("../signers");
    std::fs::write(&file, line).unwrap();
    let setting = format!("gpg.ssh.allowedSignersFile={}", file.display());
    let started = Instant::now();
    for _ in 0..GITS {
        work.git(&["-c", &setting, "verify-commit", commit.as_str()]);
    }
    let theirs = GITS as f64 / started.elapsed().as_secs_f64();
    let beside = format!("git verify-commit: {theirs:.0}/s, {:.0} times", ours / theirs);
    report("signatures of commits, one after the other", &format!("{ours:.0}/s"), &beside);
}
