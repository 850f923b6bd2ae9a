//! Cases as text: one request a line.
//!
//! ```text
//! == an object comes back as it was made
//! post $maps {metadata: {name: a}, data: {k: v}}
//! a = get $maps/a <accept: application/yaml>
//! delete $maps/a {preconditions: {uid: '${a.metadata.uid}'}}
//! ```
//!
//! A body is YAML, sent as JSON; after `!` it is sent as written. It may go on in indented lines. `$ns` is the case's
//! own namespace, other names with `$` are [`SHORT`] for paths, and `${label.path}` is from an earlier answer.
//! `watch` begins a watch under its label, `events LABEL N` awaits its next N events, and `until CODE get …` asks again
//! until the answer has that code, with `until CODE 'WORDS' get …` also those words. What does not come within a minute
//! is wrong, also where both servers agree. `known: …` marks a case whose answers differ, and says how;
//! `ignore: /json/pointer` leaves a part of bodies out.

use std::path::Path;

use serde_json::Value;

/// Names for paths.
pub const SHORT: &[(&str, &str)] = &[
    ("$maps", "/api/v1/namespaces/$ns/configmaps"),
    ("$secrets", "/api/v1/namespaces/$ns/secrets"),
    ("$services", "/api/v1/namespaces/$ns/services"),
    ("$events", "/api/v1/namespaces/$ns/events"),
    ("$pods", "/api/v1/namespaces/$ns/pods"),
    ("$accounts", "/api/v1/namespaces/$ns/serviceaccounts"),
    ("$deployments", "/apis/apps/v1/namespaces/$ns/deployments"),
    ("$jobs", "/apis/batch/v1/namespaces/$ns/jobs"),
    ("$leases", "/apis/coordination.k8s.io/v1/namespaces/$ns/leases"),
    ("$roles", "/apis/rbac.authorization.k8s.io/v1/namespaces/$ns/roles"),
    ("$bindings", "/apis/rbac.authorization.k8s.io/v1/namespaces/$ns/rolebindings"),
    ("$clusterroles", "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
    ("$namespaces", "/api/v1/namespaces"),
    ("$crds", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"),
    ("$widgets", "/apis/example.com/v1/namespaces/$ns/widgets"),
    ("$oldwidgets", "/apis/example.com/v1alpha1/namespaces/$ns/widgets"),
    ("$gauges", "/apis/example.com/v1/gauges"),
    ("$table", "application/json;as=Table;v=v1;g=meta.k8s.io"),
    ("$aggregated", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
    ("$partials", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
    ("$partial", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
];

/// A case.
#[derive(Debug, Clone)]
pub struct Case {
    /// File and number, which also name its namespace.
    pub id: String,
    pub title: String,
    pub steps: Vec<Step>,
    /// How the answers are known to differ.
    pub known: Option<String>,
    /// JSON pointers that are not compared.
    pub ignored: Vec<String>,
}

/// A line of a case.
#[derive(Debug, Clone)]
pub struct Step {
    /// The line, to be shown.
    pub line: String,
    pub label: Option<String>,
    pub act: Act,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends a request.
    Ask(Ask),
    /// Sends it until the answer has this code and these words.
    Until(u16, String, Ask),
    /// Begins a watch.
    Watch(Ask),
    /// Awaits events of a watch.
    Events(String, usize),
}

/// A request.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Verbs, their methods and content types.
const VERBS: &[(&str, &str, &str)] = &[
    ("get", "GET", ""),
    ("head", "HEAD", ""),
    ("watch", "GET", ""),
    ("post", "POST", "application/json"),
    ("put", "PUT", "application/json"),
    ("json", "PATCH", "application/json-patch+json"),
    ("merge", "PATCH", "application/merge-patch+json"),
    ("strategic", "PATCH", "application/strategic-merge-patch+json"),
    ("apply", "PATCH", "application/apply-patch+yaml"),
    ("delete", "DELETE", "application/json"),
];

/// Reads all cases of a file.
pub fn read(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).unwrap();
    let chapter = file.file_stem().unwrap().to_str().unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            let (id, title) = (format!("{chapter}-{}", cases.len() + 1), title.to_owned());
            cases.push(Case { id, title, steps: Vec::new(), known: None, ignored: Vec::new() });
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{}: {line}", file.display()));
        if let Some(why) = line.strip_prefix("known: ") {
            case.known = Some(why.to_owned());
        } else if let Some(pointer) = line.strip_prefix("ignore: ") {
            case.ignored.push(pointer.to_owned());
        } else {
            let mut more = Vec::new();
            while let Some(next) = lines.next_if(|next| next.starts_with("  ")) {
                more.push(&next[2..]);
            }
            case.steps.push(step(line, &more.join("\n")));
        }
    }
    cases
}

/// Reads one step: its line, and what follows indented.
pub fn step(line: &str, more: &str) -> Step {
    let shown = if more.is_empty() {
        line.to_owned()
    } else {
        format!("{line}\n{more}").replace('\n', "\n    ")
    };
    let (label, words) = match line.split_once(" = ") {
        Some((label, rest)) if label.chars().all(char::is_alphanumeric) => {
            (Some(label.to_owned()), rest)
        }
        _ => (None, line),
    };
    let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
    let act = match word {
        "events" => {
            let (label, count) = rest.split_once(' ').unwrap();
            Act::Events(label.to_owned(), count.parse().unwrap())
        }
        "until" => {
            let (code, rest) = rest.split_once(' ').unwrap();
            let quoted = rest.strip_prefix('\'').and_then(|rest| rest.split_once("' "));
            let (words, rest) = quoted.unwrap_or(("", rest));
            Act::Until(code.parse().unwrap(), words.to_owned(), ask(rest, more))
        }
        "watch" => Act::Watch(ask(words, more)),
        _ => Act::Ask(ask(words, more)),
    };
    Step { line: shown, label, act }
}

fn ask(words: &str, more: &str) -> Ask {
    let (verb, rest) = words.split_once(' ').unwrap_or_else(|| panic!("{words}"));
    let known = VERBS.iter().find(|(word, ..)| *word == verb);
    let (_, method, content_type) = known.unwrap_or_else(|| panic!("no verb {verb}: {words}"));
    let (path, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut headers = Vec::new();
    while let Some((header, after)) = rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
        let (name, value) = header.split_once(": ").unwrap_or((header.trim_end_matches(':'), ""));
        headers.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    let body = if rest.is_empty() { more.to_owned() } else { format!("{rest}\n{more}") };
    let body = body.trim_end().to_owned();
    let has_type = headers.iter().any(|(name, _)| name == "content-type");
    if !has_type && !content_type.is_empty() && !body.is_empty() {
        headers.push(("content-type".to_owned(), (*content_type).to_owned()));
    }
    Ask { method, path: path.to_owned(), headers, body }
}

/// The bytes of a body: as written after `!`, else the JSON of its YAML.
pub fn body(text: &str) -> String {
    if let Some(raw) = text.strip_prefix('!') {
        return raw.to_owned();
    }
    if text.is_empty() {
        return String::new();
    }
    // Only `true` and `false` are booleans, so that `y` may be a key.
    let options = serde_yaml::options! { strict_booleans: true };
    let value: Value = serde_yaml::from_str_with_options(text, options)
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    value.to_string()
}
