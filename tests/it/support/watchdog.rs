//! Programs that end with the test process, however it ends, and tests that are killed to see it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::TcpStream,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use tokio::signal::unix::{SignalKind, signal};

use super::process::PATIENCE;

/// Kills, when its standard input ends, every process that a line there names by number and time of birth. The input
/// is a pipe from the test process, which the kernel closes even when that process is killed.
///
/// A number alone may by then be another process's. A Ctrl-C goes to everybody in the terminal's group; the watchdog
/// must outlive it to do its work.
const WATCH: &str = r#"
trap '' HUP INT TERM
named=
while read -r process born; do named="$named $process:$born"; done
for one in $named; do
  process=${one%:*}
  { read -r stat <"/proc/$process/stat"; } 2>/dev/null || continue
  set -- ${stat##*) }
  shift 19
  [ "$1" != "${one#*:}" ] || kill -KILL "$process"
done
"#;

/// Names itself to the watchdog, whose pipe is `$0`, and becomes a program, which keeps number and time of birth. Where
/// there is no watchdog any more, there is no test either.
const BE_WATCHED: &str = r#"
read -r stat <"/proc/$$/stat"
name() { shift 19; echo "$$ $1"; }
name ${stat##*) } >"$0" || exit 1
exec "$@"
"#;

/// The watchdog of this process, and the way to its pipe for others.
struct Watchdog {
    pipe: PathBuf,
    _shell: Child,
}

static WATCHDOG: LazyLock<Watchdog> = LazyLock::new(|| {
    let shell = Command::new("/bin/sh")
        .args(["-c", WATCH, "watchdog"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pipe = shell.stdin.as_ref().unwrap().as_raw_fd();
    let pipe = PathBuf::from(format!("/proc/{}/fd/{pipe}", std::process::id()));
    Watchdog { pipe, _shell: shell }
});

/// Whether processes can be told apart by their time of birth. Elsewhere, what a killed test has started stays.
const IS_WATCHED: bool = cfg!(target_os = "linux");

/// Returns the command `program`, which ends with this process, however that ends. It is started as any other: its number
/// is its own, and so are signals.
pub fn watched(program: &Path) -> Command {
    if !IS_WATCHED {
        return Command::new(program);
    }
    let mut command = Command::new("/bin/sh");
    command.args(["-c", BE_WATCHED]).arg(&WATCHDOG.pipe).arg(program);
    command
}

/// Makes a program in `folder` that is to a shell what [`watched`] is to a test.
pub fn watched_file(program: &Path, folder: &Path) -> PathBuf {
    let file = folder.join(program.file_name().unwrap());
    let program = program.display();
    let run = match IS_WATCHED {
        true => format!("/bin/sh -c '{BE_WATCHED}' '{}' '{program}'", WATCHDOG.pipe.display()),
        false => format!("'{program}'"),
    };
    let text = format!("#!/bin/sh\nexec {run} \"$@\"\n");
    // By another process: what this one has open for writing, a child forked meanwhile has for a moment, and Linux
    // refuses to run it.
    let written = Command::new("/bin/sh")
        .args(["-c", r#"printf %s "$2" >"$1" && chmod +x "$1""#, "write"])
        .arg(&file)
        .arg(text)
        .status()
        .unwrap();
    assert!(written.success());
    file
}

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

/// A program with a log. Ends when dropped, and when this process ends.
#[derive(Debug)]
pub struct Watched {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Watched {
    /// Starts `program`; what it says goes to a file `<name>.log` in `folder`.
    pub fn start(program: &Path, arguments: &[String], folder: &Path, name: &str) -> Watched {
        let log = folder.join(format!("{name}.log"));
        let said = File::create(&log).unwrap();
        let child = watched(program)
            .args(arguments)
            .env("HOME", folder)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        Watched { name: name.to_owned(), log, child }
    }

    /// Its name, as in its log's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// The last that it said.
    pub fn last_words(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

/// Set for a test that is run to be killed.
const KILLED: &str = "TIDEGATE_TEST_IS_KILLED";

/// Whether this process is run by [`nothing_outlives`].
pub fn is_killed() -> bool {
    std::env::var_os(KILLED).is_some()
}

/// Says what this test holds, and waits to be killed.
pub fn hold(addresses: &[&str], folder: &Path) {
    let addresses = addresses.iter().map(|address| address.trim_start_matches("https://"));
    let said = format!("holding {} {}", folder.display(), addresses.collect::<Vec<_>>().join(" "));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let interrupted = async {
        // Who is started in the background of a script ignores a Ctrl-C, and so does all that it starts.
        let mut interrupts = signal(SignalKind::interrupt()).unwrap();
        println!("\n{said}");
        tokio::time::timeout(PATIENCE * 10, interrupts.recv()).await
    };
    assert!(runtime.block_on(interrupted).is_ok(), "nobody kills it");
    // As one that is killed: nothing is dropped.
    std::process::exit(130);
}

/// Says that this test cannot hold anything.
pub fn hold_nothing() {
    println!("\nholding");
}

/// Runs a test that holds something, kills it in each way, and waits until what it held is gone: SIGKILL to the process;
/// and what Ctrl-C and `timeout` do, a signal to everybody in its group.
pub fn nothing_outlives(test: &str) {
    if !IS_WATCHED {
        eprintln!("NOT RUN: what a killed test leaves is ended on Linux only");
        return;
    }
    for (signal, whole_group) in [("KILL", false), ("INT", true), ("TERM", true)] {
        let mut child = watched(&std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(KILLED, "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let held = lines.find_map(|line| line.strip_prefix("holding").map(str::to_owned));
        let held = held.expect("the child says what it holds");
        let target = format!("{}{}", if whole_group { "-" } else { "" }, child.id());
        let sent = Command::new("kill").args([&format!("-{signal}"), "--", &target]).status();
        assert!(sent.unwrap().success());
        child.wait().unwrap();
        let mut held = held.split_whitespace();
        let Some(folder) = held.next().map(PathBuf::from) else { return };
        let addresses: Vec<&str> = held.collect();
        assert!(!addresses.is_empty());
        let until = Instant::now() + PATIENCE;
        let outlives = |address: &&&str| TcpStream::connect(address).is_ok();
        while folder.exists() || addresses.iter().any(|address| outlives(&address)) {
            let left: Vec<_> = addresses.iter().filter(outlives).collect();
            assert!(Instant::now() < until, "{left:?} or {} outlives its test", folder.display());
            thread::sleep(Duration::from_millis(20));
        }
    }
}
