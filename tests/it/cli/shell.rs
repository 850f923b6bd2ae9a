//! A shell with `tidegate` and kubectl in its path, a signing key and a checkout, as the pages expect it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::{
    process::{kubectl, path_with},
    transcript::Session,
    watchdog::watched_file,
};

/// How long a command that only looks is asked again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the path of a file of this project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Opens a shell in `home`, for `suite`; none, said loudly, where there is no kubectl.
pub fn open(home: &Path, suite: &str) -> Option<Session> {
    let kubectl = kubectl(suite)?;
    std::fs::create_dir(home.join(".ssh")).unwrap();
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "alice@example.com", "-f"])
        .arg(home.join(".ssh/id_ed25519"))
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::write(home.join(".gitconfig"), "[user]\nname = Alice\nemail = alice@example.com\n")
        .unwrap();
    std::os::unix::fs::symlink(project(""), home.join("tidegate")).unwrap();
    let programs = home.join(".programs");
    std::fs::create_dir(&programs).unwrap();
    let tidegate = watched_file(Path::new(env!("CARGO_BIN_EXE_tidegate")), &programs);
    let path = path_with(&[&tidegate, &kubectl]);
    Some(Session::start(home, &[("PATH", path)], PATIENCE))
}

/// Types `files` one after the other, in one shell, but for the commands in `without`.
pub fn play_without(files: &[&str], without: &[&'static str]) {
    let home = tempfile::tempdir().unwrap();
    let Some(session) = open(home.path(), files.last().unwrap()) else { return };
    let mut session = session.without(without);
    for file in files {
        session.play(&project(file));
    }
    session.finish();
}

/// Types `files` one after the other, in one shell.
pub fn play(files: &[&str]) {
    play_without(files, &[]);
}
