//! What a person sees: the same commands of the real kubectl on both servers, and what they print.
//!
//! `cases/commands.txt` has them. A line is typed into a shell, in the case's own namespace `$NS`; what stands indented
//! below it is its standard input. Exit code and both outputs are compared, but for names, addresses and times that
//! servers make up.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
    time::Duration,
};

use futures::{StreamExt as _, future::join, stream};
use regex::Regex;

use super::{
    chapters::{folder, real_kubernetes},
    play::AGAIN,
};
use crate::{
    apiserver::served::Served,
    support::process::{ENV, isolate, kubectl},
};

/// Cases that are played at the same time; each keeps a processor busy.
const AT_ONCE: usize = 2;

/// A command that takes longer has lost its way.
const PATIENCE: Duration = Duration::from_secs(30);

struct Case {
    title: String,
    namespace: String,
    /// What is typed, and its standard input.
    commands: Vec<(String, String)>,
}

fn read(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let next = format!("commands-{}", cases.len() + 1);
        let last = cases.last_mut();
        if let Some(title) = line.strip_prefix("== ") {
            cases.push(Case { title: title.into(), namespace: next, commands: Vec::new() });
        } else if let Some(input) = line.strip_prefix("  ") {
            let (_, stdin) = last.unwrap().commands.last_mut().unwrap();
            stdin.push_str(input);
            stdin.push('\n');
        } else if !line.is_empty() {
            last.unwrap().commands.push((line.into(), String::new()));
        }
    }
    cases
}

/// A server as a shell knows it.
#[derive(Clone)]
struct Shell {
    kubeconfig: PathBuf,
    /// Working folder and home, with kubectl's cache.
    home: PathBuf,
    programs: PathBuf,
}

impl Shell {
    /// Runs a command, and answers all that it said.
    async fn types(&self, command: &str, stdin: &str, namespace: &str) -> String {
        let mut shell = Command::new(ENV);
        isolate(&mut shell, &self.home);
        let path = std::env::var("PATH").unwrap_or_default();
        shell
            .args(["sh", "-c", command])
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("NS", namespace)
            .env("EDITOR", "true")
            .current_dir(&self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = self.home.join(format!("{}.stdin", uuid::Uuid::new_v4()));
        std::fs::write(&input, stdin).unwrap();
        shell.stdin(std::fs::File::open(&input).unwrap());
        let mut shell = tokio::process::Command::from(shell);
        let output = tokio::time::timeout(PATIENCE, shell.kill_on_drop(true).output()).await;
        let output = output.unwrap_or_else(|_| panic!("`{command}` does not end")).unwrap();
        std::fs::remove_file(input).unwrap();
        let text = |bytes: &[u8]| normal(&String::from_utf8_lossy(bytes));
        format!(
            "{}{}(exit {})\n",
            text(&output.stdout),
            text(&output.stderr),
            output.status.code().unwrap_or(-1)
        )
    }

    /// Plays a case in a namespace. Answers what was said, as if the namespace were the case's own.
    async fn plays(&self, case: &Case, namespace: &str) -> Vec<String> {
        let made = self.types("kubectl create namespace $NS", "", namespace).await;
        assert!(made.contains("created"), "{made}");
        let mut said = Vec::new();
        for (command, stdin) in &case.commands {
            let output = self.types(command, stdin, namespace).await;
            said.push(output.replace(namespace, &case.namespace));
        }
        said
    }
}

/// What differs between any two servers, and the words for it. Columns are as wide as their ages, so that blanks do not
/// count.
static MADE_UP: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        // What client-go logs depends on how fast watches end.
        (r"(?m)^[IWE]\d{4} .*\n", ""),
        (r"https://127\.0\.0\.1:\d+", "https://SERVER"),
        (r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", "TOKEN"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+\d{4}", "TIME"),
        (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
        (r#"(?i)(resource ?version"?:\s+"?)\d+"#, "${1}VERSION"),
        (r"10\.96\.\d+\.\d+", "ADDRESS"),
        (r"/tmp/(LIVE|MERGED)-\d+/", "$1/"),
        (r":3[0-2]\d{3}/", ":NODEPORT/"),
        (r"(?i)(nodePort:\s+(\S+\s+)?)3[0-2]\d{3}", "${1}NODEPORT"),
        (r"(made-up-)[a-z0-9]{5}", "${1}NAME"),
        (r"\b\d+[smh](\d+[smh])?\b", "AGE"),
        (r"[ \t]+", " "),
        (r" \n", "\n"),
    ]
    .map(|(pattern, word)| (Regex::new(pattern).unwrap(), word))
    .into()
});

fn normal(text: &str) -> String {
    MADE_UP.iter().fold(text.to_owned(), |text, (made_up, word)| {
        made_up.replace_all(&text, *word).into_owned()
    })
}

/// Plays a case on both servers. Answers what differs. As in [`super::play::compare`], the real one may tell it again.
async fn compare(case: &Case, real: &Shell, embedded: &Shell) -> Vec<String> {
    let own = &case.namespace;
    let (mut told, ours) = join(real.plays(case, own), embedded.plays(case, own)).await;
    for nth in 1..=AGAIN {
        if told == ours {
            break;
        }
        told = real.plays(case, &format!("{own}-again-{nth}")).await;
    }
    let both = case.commands.iter().zip(told.iter().zip(&ours));
    let differ = both.filter(|(_, (real, embedded))| real != embedded);
    let shown = differ.map(|((command, _), (real, embedded))| {
        format!("== {}\n$ {command}\n--- real\n{real}--- embedded\n{embedded}", case.title)
    });
    shown.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_prints_the_same() {
    let Some(kubernetes) = real_kubernetes() else { return };
    let Some(kubectl) = kubectl("kubectl on both servers") else { return };
    let served = Served::start().await;
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let shell = |kubeconfig: PathBuf, home: &tempfile::TempDir| Shell {
        kubeconfig,
        home: home.path().to_owned(),
        programs: kubectl.parent().unwrap().to_owned(),
    };
    let real = shell(kubernetes.kubeconfig(), &homes[0]);
    let embedded = shell(served.file("config"), &homes[1]);
    let cases = read(&folder().join("commands.txt"));
    let played = stream::iter(&cases).map(|case| {
        let (real, embedded) = (&real, &embedded);
        compare(case, real, embedded)
    });
    let wrong: Vec<Vec<String>> = played.buffered(AT_ONCE).collect().await;
    let wrong = wrong.concat();
    let commands: usize = cases.iter().map(|case| case.commands.len()).sum();
    assert!(wrong.is_empty(), "{} of {commands} differ:\n\n{}", wrong.len(), wrong.join("\n"));
}
