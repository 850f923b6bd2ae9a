//! The floor plan, walked: imports in `src/` go down only.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Which rooms of `src/` a room may import. This table is the architecture; `docs/architecture.md` explains it.
const MAY_USE: &[(&str, &[&str])] = &[
    // ground
    ("model", &[]),
    ("api", &["model"]),
    // first floor
    ("manifest", &["model"]),
    ("trust", &["model"]),
    ("placement", &["api", "model"]),
    ("rollout", &["api", "model"]),
    ("release", &["api", "manifest", "model", "placement"]),
    ("render", &["api", "manifest", "model", "release", "rollout"]),
    ("sync", &["api", "manifest", "model", "placement", "release", "render", "rollout", "trust"]),
    // beside
    ("clock", &[]),
    ("git", &["model", "trust"]),
    ("hub", &["api", "model"]),
    ("apiserver", &["model"]),
    // second floor
    ("engine", &["api", "clock", "hub", "model", "placement", "rollout"]),
    // top
    ("telemetry", &["model"]),
    ("config", &["model"]),
    (
        "daemon",
        &[
            "api",
            "clock",
            "config",
            "engine",
            "git",
            "hub",
            "manifest",
            "model",
            "placement",
            "release",
            "render",
            "rollout",
            "sync",
            "telemetry",
            "trust",
        ],
    ),
    (
        "local",
        &["api", "apiserver", "clock", "config", "daemon", "engine", "hub", "model", "telemetry"],
    ),
    (
        "cli",
        &[
            "api",
            "apiserver",
            "clock",
            "config",
            "daemon",
            "engine",
            "git",
            "hub",
            "local",
            "manifest",
            "model",
            "placement",
            "release",
            "render",
            "rollout",
            "sync",
            "telemetry",
            "trust",
        ],
    ),
];

/// Words that the ground and the first floor never say: they are pure.
const PURE: &[&str] =
    &["model", "api", "manifest", "trust", "placement", "rollout", "release", "render", "sync"];
const IMPURE_WORDS: &[&str] = &[
    "kube::Client",
    "gix::",
    "std::fs",
    "std::net",
    "Timestamp::now(",
    "SystemTime::now(",
    "Instant::now(",
    "tokio::",
    "async fn",
];

fn sources() -> Vec<(String, PathBuf, String)> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).unwrap();
            let first =
                inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            (room, path, text)
        })
        .collect()
}

/// Every room named after `crate::` in `text`, `use crate::{a, b::c}` included.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let ident = |s: &str| {
            s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
        };
        match rest.strip_prefix('{') {
            None => {
                rooms.insert(ident(rest));
            }
            Some(group) => {
                let (mut depth, mut start) = (0_i32, true);
                for (i, c) in group.char_indices() {
                    if start && (c.is_alphabetic() || c == '_') {
                        rooms.insert(ident(&group[i..]));
                        start = false;
                    }
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        _ => {}
                    }
                }
            }
        }
    }
    rooms.remove("");
    rooms
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for (room, path, text) in sources() {
        if room == "lib" || room == "main" {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: room `{room}` is not in the floor plan", path.display()));
            continue;
        };
        for used in rooms_used(&text) {
            let known = MAY_USE.iter().any(|(name, _)| *name == used);
            if known && used != room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: `{room}` may not use `{used}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the floor plan:\n{}", wrong.join("\n"));
}

#[test]
fn judgement_is_pure() {
    let mut wrong = Vec::new();
    for (room, path, text) in sources() {
        if !PURE.contains(&room.as_str()) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let line = line.trim_start();
            if line.starts_with("//") {
                continue;
            }
            for word in IMPURE_WORDS.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: `{word}`", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "the ground and first floor stay pure:\n{}", wrong.join("\n"));
}

/// The embedded server could be anybody's: not only its imports, its words too know nothing of what we put on it.
#[test]
fn the_embedded_server_knows_no_fleet() {
    let mut wrong = Vec::new();
    for (_, path, text) in sources().into_iter().filter(|(room, ..)| room == "apiserver") {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start().to_lowercase();
            let foreign = line.contains("fleet") || line.contains("tidegate.dev");
            if foreign && !line.starts_with("//") {
                wrong.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "the embedded server knows Kubernetes:\n{}", wrong.join("\n"));
}

/// What the user asked for, what cargo makes, and what begins with a dot.
const TOP_LEVEL: [&str; 8] =
    ["Cargo.lock", "Cargo.toml", "README.md", "deploy", "docs", "examples-repo", "src", "tests"];

#[test]
fn the_top_level_holds_what_it_is_meant_to() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap();
    let mut found: Vec<String> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            !name.starts_with('.') && !ignored.lines().any(|line| line == format!("/{name}"))
        })
        .collect();
    found.sort();
    assert_eq!(found, TOP_LEVEL);
}

/// One that forgets would write what failed to the top level.
#[test]
fn every_property_test_remembers_below_tests() {
    let mut wrong = Vec::new();
    for (_, path, text) in sources() {
        for (at, found) in text.match_indices("proptest! {") {
            let begin: String = text[at + found.len()..].chars().take(120).collect();
            if !begin.trim_start().starts_with("#![proptest_config(")
                || !begin.contains("crate::properties::config()")
            {
                wrong.push(path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "without `crate::properties::config()`:\n{}", wrong.join("\n"));
}

#[test]
fn grouped_imports_are_read() {
    let used = rooms_used(
        "use crate::{api::{self, run}, model::SnapshotIndex};\nfn f() { crate::git::open() }",
    );
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["api", "git", "model"]);
}
