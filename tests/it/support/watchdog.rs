//! Programs that end with the test process, however it ends.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::process::PATIENCE;

/// Runs a program, and kills it when its own standard input ends. That is a pipe from the test process, which the
/// kernel closes even when that process is killed.
///
/// The reader is told when the program ended by itself, so that no other process of the same number is ever killed.
/// A Ctrl-C goes to everybody in the terminal's group; the watchdog must outlive it to do its work.
const WATCH: &str = r#"
trap '' HUP INT TERM
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
{ read -r _; kill -KILL $program 2>/dev/null; } <&3 >/dev/null 2>&1 &
reader=$!
exec 3<&-
wait $program
status=$?
kill -KILL $reader 2>/dev/null
exit $status
"#;

/// Removes a folder when standard input ends. Programs that are being killed may still write into it for a moment.
const SWEEP: &str = r#"
trap '' HUP INT TERM
read -r _
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  rm -rf "$1" 2>/dev/null
  sleep 0.1
  [ -e "$1" ] || exit 0
done
"#;

/// A program under a watchdog. Ends when dropped, and when this process ends.
#[derive(Debug)]
pub struct Watched {
    name: String,
    log: PathBuf,
    shell: Child,
}

impl Watched {
    /// Starts `program`; what it says goes to a file `<name>.log` in `folder`.
    pub fn start(program: &Path, arguments: &[String], folder: &Path, name: &str) -> Watched {
        let log = folder.join(format!("{name}.log"));
        let said = File::create(&log).unwrap();
        let shell = Command::new("sh")
            .args(["-c", WATCH, "watchdog"])
            .arg(program)
            .args(arguments)
            .env("HOME", folder)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        Watched { name: name.to_owned(), log, shell }
    }

    /// Its name, as in its log's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the watchdog, whose child the program is.
    pub fn id(&self) -> u32 {
        self.shell.id()
    }

    /// Whether it ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().unwrap()
    }

    /// The last that it said.
    pub fn last_words(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Kills it, and returns when it is gone.
    pub fn stop(&mut self) {
        drop(self.shell.stdin.take());
        let until = Instant::now() + PATIENCE;
        while self.shell.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > until {
                eprintln!("{} does not end", self.name);
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A folder that is removed when dropped, and when this process ends, even killed.
#[derive(Debug)]
pub struct SweptFolder {
    path: PathBuf,
    sweeper: Child,
}

impl SweptFolder {
    /// Makes an empty one.
    pub fn new() -> SweptFolder {
        let path = tempfile::Builder::new().prefix("tidegate-").tempdir().unwrap().keep();
        let sweeper = Command::new("sh")
            .args(["-c", SWEEP, "sweeper"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        SweptFolder { path, sweeper }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SweptFolder {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        let _ = self.sweeper.wait();
    }
}
