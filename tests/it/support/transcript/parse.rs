//! Reading transcripts.

use std::path::Path;

/// One command.
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) command: String,
    /// Whether it is run again until it matches.
    pub(super) again: bool,
    /// Whether it is left running.
    pub(super) background: bool,
    pub(super) expected: Vec<String>,
    pub(super) fails: Fails,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fails {
    No,
    Yes,
    With(i32),
}

/// Commands that change nothing.
const LOOKS: [&str; 4] =
    ["tidegate status", "tidegate history", "kubectl get", "kubectl --context"];

/// Returns whether the file at `path` is written for people.
pub(super) fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// Returns the commands of a page or transcript.
pub fn commands(path: &Path) -> Vec<String> {
    read(path).into_iter().map(|step| step.command).collect()
}

/// Reads the file at `path`.
pub(super) fn read(path: &Path) -> Vec<Step> {
    let text = std::fs::read_to_string(path).unwrap();
    if is_page(path) { page(&text) } else { transcript(&text) }
}

fn transcript(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(step) = start(line, number) {
            open = true;
            steps.push(step);
            continue;
        }
        let Some(step) = steps.last_mut().filter(|_| open) else { continue };
        if continues(step, line) {
        } else if line == "(fails)" {
            step.fails = Fails::Yes;
        } else if let Some(code) = line.strip_prefix("(fails ").and_then(|l| l.strip_suffix(')')) {
            step.fails = Fails::With(code.parse().unwrap());
        } else if line.is_empty() {
            open = false;
        } else {
            step.expected.push(if line == "~" { String::new() } else { line.to_owned() });
        }
    }
    steps
}

fn page(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            inside = !inside && line.trim() == "```console";
        } else if inside {
            if let Some(step) = start(line, number) {
                steps.push(step);
            } else if let Some(step) = steps.last_mut()
                && !continues(step, line)
            {
                step.expected.push(line.to_owned());
            }
        }
    }
    for step in &mut steps {
        while step.expected.last().is_some_and(String::is_empty) {
            step.expected.pop();
        }
        if step.expected.is_empty() {
            step.expected.push("...".to_owned());
        }
        let fails = step.expected.iter().any(|line| line.starts_with("error: "));
        step.fails = if fails { Fails::Yes } else { Fails::No };
        step.again = LOOKS.iter().any(|looks| step.command.starts_with(looks));
    }
    steps
}

fn start(line: &str, number: usize) -> Option<Step> {
    let (command, again) = match line.strip_prefix("$ ") {
        Some(command) => (command, false),
        None => (line.strip_prefix("% ")?, true),
    };
    let (command, background) = match command.strip_suffix(" &") {
        Some(command) => (command, true),
        None => (command, false),
    };
    let command = command.to_owned();
    Some(Step {
        line: number + 1,
        command,
        again,
        background,
        expected: Vec::new(),
        fails: Fails::No,
    })
}

fn continues(step: &mut Step, line: &str) -> bool {
    let more = match line {
        ">" => "",
        line => match line.strip_prefix("> ") {
            Some(more) => more,
            None => return false,
        },
    };
    if !step.expected.is_empty() {
        return false;
    }
    step.command.push('\n');
    step.command.push_str(more);
    true
}

#[test]
fn pages_are_read_as_documented() {
    let page = "# Title\n$ not a command\n```yaml\n$ neither: this\n```\n```console\n$ tidegate local . &\nready\n\n$ cat > x <<'Y'\n> a\n>\n> b\n> Y\n$ tidegate status nope\nerror: no\n\nhint: yes\n```\n";
    let steps = self::page(page);
    let commands: Vec<&str> = steps.iter().map(|step| step.command.as_str()).collect();
    assert_eq!(commands, ["tidegate local .", "cat > x <<'Y'\na\n\nb\nY", "tidegate status nope"]);
    assert!(steps[0].background && !steps[0].again && steps[0].expected == ["ready"]);
    assert_eq!(steps[1].expected, ["..."]);
    assert!(steps[2].again && steps[2].fails == Fails::Yes);
    assert_eq!(steps[2].expected, ["error: no", "", "hint: yes"]);
}
