//! The binary itself, run as a person runs it.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::watchdog::watched;

/// How long anything may take before a test gives up. Generous: it bounds failures, not successes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the command `tidegate`, in an environment that knows nothing of this machine's user. It does not outlive this
/// process.
pub fn tidegate(home: &Path) -> Command {
    let mut command = watched(Path::new(env!("CARGO_BIN_EXE_tidegate")));
    isolate(&mut command, home);
    command
}

/// Starts another program, in the environment that it is given. Where `PATH` is in that, a program without a path would
/// be started by a fork, which copies the page tables of this large process.
pub const ENV: &str = "/usr/bin/env";

/// Clears what the user's configuration could change, and gives `home` instead.
pub fn isolate(command: &mut Command, home: &Path) {
    for name in
        ["KUBECONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "RUST_LOG", "GIT_DIR"]
    {
        command.env_remove(name);
    }
    command
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C.UTF-8");
}

/// Returns the kubectl to test with: the pinned one of `KUBEBUILDER_ASSETS`, else the one in `PATH`. None, and `suite` is
/// said not to have run, where there is none.
pub fn kubectl(suite: &str) -> Option<PathBuf> {
    let pinned =
        std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| PathBuf::from(folder).join("kubectl"));
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let in_path =
        std::env::split_paths(&in_path).map(|folder| folder.join("kubectl")).collect::<Vec<_>>();
    let found = pinned.into_iter().chain(in_path).find(|path| path.is_file());
    if found.is_none() {
        say_skipped(suite, "no kubectl in KUBEBUILDER_ASSETS or PATH; .ci/run provides one");
    }
    found
}

/// Returns the search path in which these programs come first.
pub fn path_with(programs: &[&Path]) -> String {
    let first = programs.iter().map(|program| program.parent().unwrap().to_owned());
    let others = std::env::var_os("PATH").unwrap_or_default();
    let all = first.chain(std::env::split_paths(&others));
    std::env::join_paths(all).unwrap().to_string_lossy().into_owned()
}

/// Returns a program that `.ci/run` provides, or says why there is none.
pub fn asset(name: &str) -> Result<PathBuf, String> {
    let folder = std::env::var_os("KUBEBUILDER_ASSETS")
        .ok_or("KUBEBUILDER_ASSETS is not set; .ci/run sets it")?;
    let program = PathBuf::from(folder).join(name);
    match program.is_file() {
        true => Ok(program),
        false => Err(format!("there is no {}", program.display())),
    }
}

/// Says loudly that a suite did not run, in words that stand out in a log.
pub fn say_skipped(suite: &str, why: &str) {
    eprintln!("\n!!! NOT RUN: {suite}: {why}\n");
}

/// A child that is watched, and ended when dropped.
pub struct Running {
    child: Child,
    said: Arc<Mutex<VecDeque<String>>>,
    lines: mpsc::Receiver<String>,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Running {
    /// Starts `command` and reads what it says on both streams.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let read = |stream: Box<dyn Read + Send>| {
            let (sender, said) = (sender.clone(), Arc::clone(&said));
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let mut said = said.lock().unwrap();
                    said.push_back(line.clone());
                    if said.len() > 2_000 {
                        said.pop_front();
                    }
                    let _ = sender.send(line);
                }
            })
        };
        let readers = streams.map(read).into();
        Self { child, said, lines, readers }
    }

    /// Returns its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line contains `text`, and returns it.
    pub fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(_) => panic!("never said {text:?}; it said:\n{}", self.everything()),
            }
        }
    }

    /// Returns all it has said so far.
    pub fn everything(&self) -> String {
        self.said.lock().unwrap().iter().map(|line| format!("{line}\n")).collect()
    }

    /// Sends a signal by name, such as `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success(), "kill -{name}");
    }

    /// Waits for the end, and until all that it said is read.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap()
                && self.readers.iter().all(thread::JoinHandle::is_finished)
            {
                return status;
            }
            assert!(Instant::now() < until, "does not end; it said:\n{}", self.everything());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
