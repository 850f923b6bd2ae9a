//! Running transcripts.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    compare::{Ids, matches, matches_page},
    parse::{Fails, Step, is_page, read},
};
use crate::support::process::{ENV, isolate};

/// Between two looks: a person at a terminal has no watch either.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A shell that transcripts are typed into.
pub struct Session {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    patience: Duration,
    /// What the shell remembers from command to command, and what is left running says.
    memory: TempDir,
    ids: Ids,
    skipped: Vec<&'static str>,
    left: Vec<(String, Child)>,
}

impl Session {
    /// Opens a shell in `folder` with `environment` on top of an isolated one.
    pub fn start(folder: &Path, environment: &[(&str, String)], patience: Duration) -> Self {
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self {
            folder: folder.to_owned(),
            environment,
            patience,
            memory: tempfile::tempdir().unwrap(),
            ids: Ids::new(),
            skipped: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Does not type these commands, which are on a page.
    #[must_use]
    pub fn without(mut self, commands: &[&'static str]) -> Self {
        self.skipped = commands.to_vec();
        self
    }

    /// Types the transcript or page at `path`.
    pub fn play(&mut self, path: &Path) {
        let steps = read(path);
        assert!(!steps.is_empty(), "{} has no commands", path.display());
        for step in &steps {
            if self.skipped.contains(&step.command.as_str()) {
                continue;
            }
            let complaint = match step.background {
                true => self.leave_running(step, is_page(path)),
                false => self.type_in(step, is_page(path)),
            };
            if let Err(complaint) = complaint {
                let (line, command, expected) =
                    (step.line, &step.command, step.expected.join("\n"));
                panic!(
                    "{}:{line}: $ {command}\nexpected:\n{expected}\n\n{complaint}",
                    path.display()
                );
            }
        }
    }

    /// Ends what was left running, which must end cleanly.
    pub fn finish(mut self) {
        for (command, mut child) in self.left.drain(..) {
            let sent = Command::new("kill").arg(child.id().to_string()).status().unwrap();
            assert!(sent.success(), "{command} has ended by itself");
            let status = child.wait().unwrap();
            assert!(status.success(), "{command} ends with {status}");
        }
    }

    /// Returns bash with `script`, by way of the programs in `by`.
    fn shell(&self, by: &[&str], script: &str) -> Command {
        let script = format!("[ -e \"$MEMORY\" ] && . \"$MEMORY\"; {script}");
        let words = [by, &["bash", "-c", &script]].concat();
        let mut command = Command::new(ENV);
        isolate(&mut command, &self.folder);
        command
            .args(&words)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("MEMORY", self.memory.path().join("memory"));
        command
    }

    fn type_in(&mut self, step: &Step, is_page: bool) -> Result<(), String> {
        const TYPE: &str = "eval \"$(cat \"$MEMORY.typed\")\"; code=$?; { export -p; printf 'cd %q\\n' \"$PWD\"; } > \"$MEMORY.new\"; mv \"$MEMORY.new\" \"$MEMORY\"; exit $code";
        let until = Instant::now() + self.patience;
        loop {
            fs::write(self.memory.path().join("memory.typed"), &step.command).unwrap();
            // One that hangs is a failure, not a test that never ends.
            let limit = (self.patience.as_secs() * 2).to_string();
            let output = self.shell(&["timeout", &limit], TYPE).output().unwrap();
            let printed = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            if ended_as(step.fails, output.status) && self.compare(step, &printed, is_page) {
                return Ok(());
            }
            if !step.again || Instant::now() > until {
                return Err(format!("printed ({}):\n{printed}", output.status));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn leave_running(&mut self, step: &Step, is_page: bool) -> Result<(), String> {
        let said = self.memory.path().join(format!("left-{}", self.left.len()));
        let file = File::create(&said).unwrap();
        let script = format!("exec {}", step.command);
        let child = self
            .shell(&[], &script)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        self.left.push((step.command.clone(), child));
        let until = Instant::now() + self.patience;
        loop {
            // What it goes on to say is its own business.
            let printed = fs::read_to_string(&said).unwrap();
            let lines: Vec<&str> = printed.lines().collect();
            if (0..=lines.len()).any(|end| self.compare(step, &lines[..end].join("\n"), is_page)) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("said:\n{printed}"));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn compare(&mut self, step: &Step, printed: &str, is_page: bool) -> bool {
        let lines: Vec<&str> = printed.lines().collect();
        match is_page {
            true => matches_page(&step.expected, &lines, &mut self.ids),
            false => matches(&step.expected, &lines),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for (_, child) in &mut self.left {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn ended_as(fails: Fails, status: ExitStatus) -> bool {
    match fails {
        Fails::No => status.success(),
        Fails::Yes => !status.success(),
        Fails::With(code) => status.code() == Some(code),
    }
}

#[test]
fn a_session_remembers_where_it_is_and_what_was_exported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.md");
    let page = "```console\n$ mkdir a && cd a\n$ export NAME=value\n$ echo \"$NAME in $(basename \"$PWD\")\"\nvalue in a\n$ cat <<'Y'\n> one $NAME\n> Y\none $NAME\n$ sleep 100 &\n$ echo 'error: no'; false\nerror: no\n```\n";
    fs::write(&file, page).unwrap();
    let mut session = Session::start(folder.path(), &[], Duration::from_secs(10));
    session.play(&file);
    let sleeps = session.left.first().unwrap().1.id();
    drop(session);
    assert!(!Path::new(&format!("/proc/{sleeps}")).exists(), "left running");
}
