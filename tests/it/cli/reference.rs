//! The reference page of Rollouts, made of their schema.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use serde_json::Value;
use tidegate::api::crd;

/// Conditions, in the order in which a commit passes them.
const CONDITIONS: &[(&str, &str)] = &[
    (
        "SourceVerified",
        "The commit is one that may be followed: the branch goes on from the last accepted one.",
    ),
    (
        "Rendered",
        "The commit's files make sense: file, line and column are in the message where they do not.",
    ),
    ("Applied", "The hub holds the commit's objects, as far as anybody has told since."),
    ("Bound", "A resource snapshot index was proved to hold the content, and nothing else."),
    ("Healthy", "The run goes well. Unknown while there is none."),
    (
        "ApprovalsAccepted",
        "No signed approval was refused, or a later one for the same gate counted.",
    ),
    ("Ready", "kstatus: everything is as Git says, on every cluster."),
    ("Reconciling", "kstatus: on the way, or waiting for somebody."),
    ("Stalled", "kstatus: nothing will happen without help."),
    (
        "Pinned",
        "The failure policy went back from the newest content. Absent while that is not so.",
    ),
];

/// Every reason, and what it means.
const REASONS: &[(&str, &str)] = &[
    ("Accepted", "The commit may be followed."),
    ("Applying", "The commit's objects are being applied."),
    (
        "ApplyFailed",
        "The hub refused an object, or did not answer. Transient causes are tried again.",
    ),
    (
        "Conflict",
        "Somebody else sets a field of the commit's, or changes an object each time that it is put back.",
    ),
    (
        "ContentDiffers",
        "The snapshot has other content than the commit: the message names the object and the field.",
    ),
    ("Done", "The step is done."),
    (
        "FailurePolicy",
        "The failure policy stopped the run; a person resumes it, or pushes a commit.",
    ),
    (
        "HistoryRewritten",
        "The branch was set back or rewritten. The message has the command that accepts it.",
    ),
    ("Invalid", "The Rollout, its content, placement or strategy has faults."),
    ("NoChange", "Every cluster has the content already."),
    ("NoneRefused", "No signed approval was refused."),
    ("NotInRepository", "The Rollout's file is gone. Nothing is deleted."),
    ("PlacementBusy", "A run that was not made for this Rollout moves the placement's clusters."),
    (
        "PreflightFailed",
        "Fleet would refuse the next run, so none is made. The message says what to mend, and where. A strategy is judged with the commit that changes it; what runs, or ran, stays.",
    ),
    ("Progressing", "Not looked at yet, or under way."),
    ("Proved", "The index holds the commit's content."),
    ("PruneHeld", "The commit would delete much. The message has the command that allows it."),
    ("Queued", "The commit waits until an older run is over (whenSuperseded: Queue)."),
    ("Refused", "A signed approval does not count."),
    ("RollbackFailed", "The failure policy's way back failed, too."),
    ("RolledBack", "The failure policy went back to what was everywhere before."),
    ("RollingBack", "The failure policy goes back to what was everywhere before."),
    ("RollingOut", "The run moves clusters."),
    ("RunFailed", "The run failed. Push a commit, or delete the run to try again."),
    ("Stopped", "Somebody stopped the run, or it is stopping."),
    ("Stuck", "Clusters do not become available. The message names them."),
    ("Succeeded", "Every cluster has the content."),
    (
        "Superseding",
        "The commit takes over from an older run, whose clusters in flight settle first.",
    ),
    ("Suspended", "spec.suspend is true. Changes by hand are not put back meanwhile."),
    (
        "Waiting",
        "Something that comes by itself is waited for: the end of a timed wait, a repository, a placement, a namespace.",
    ),
    (
        "WaitingForApproval",
        "A person must approve. The message names the request, and since when it waits.",
    ),
    ("WaitingForSnapshot", "No snapshot holds the content yet."),
    ("WaitingForStart", "start: Manual. A person sets the run's spec.state to Run."),
];

fn kind_of(schema: &Value) -> String {
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", kind_of(&schema["items"])),
        Some("string") if schema["format"] == "date-time" => "time".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer") => "number".to_owned(),
        Some(other) => other.to_owned(),
        None => "any".to_owned(),
    }
}

fn rows(schema: &Value, at: &str, page: &mut String) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}.{name}");
        let about = field["description"].as_str().unwrap_or_default().replace('|', "\\|");
        let _ =
            writeln!(page, "| `{}` | {} | {about} |", path.trim_start_matches('.'), kind_of(field));
        // Kubernetes' own conditions are explained below.
        if name != "conditions" {
            rows(field, &path, page);
            rows(&field["items"], &format!("{path}[]"), page);
        }
    }
}

fn page() -> String {
    let all = crd::all();
    let definition = all.iter().find(|d| d["spec"]["names"]["kind"] == "Rollout").unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut page = format!(
        "# Rollout\n\nMade from the schema by a test; `UPDATE=1 cargo test --test it rollout_page` refreshes it.\n\n`gitops.tidegate.dev/v1alpha1`. {}\nApprovals have [a page of their own](approvals.md), and so has [the file of settings](configuration.md).\n",
        schema["description"].as_str().unwrap_or_default()
    );
    for part in ["spec", "status"] {
        let schema = &schema["properties"][part];
        let about = schema["description"].as_str().unwrap_or_default();
        let _ =
            write!(page, "\n## {part}\n\n{about}\n\n| field | type | meaning |\n|---|---|---|\n");
        rows(schema, "", &mut page);
    }
    let mut table = |title: &str, column: &str, entries: &[(&str, &str)]| {
        let _ = write!(page, "\n## {title}\n\n| {column} | meaning |\n|---|---|\n");
        for (word, meaning) in entries {
            let _ = writeln!(page, "| `{word}` | {meaning} |");
        }
    };
    table("Conditions", "type", CONDITIONS);
    table("Reasons", "reason", REASONS);
    page.push_str("\nA refused approval gives `ApprovalsAccepted` a reason of its own: see [approvals](approvals.md).\n");
    page
}

/// Returns the values of the text constants in some Rust source.
fn constants(source: &str) -> BTreeSet<String> {
    let lines = source.lines().filter(|line| line.trim_start().starts_with("pub const "));
    lines
        .filter_map(|line| Some(line.split_once("&str = \"")?.1.split_once('"')?.0.to_owned()))
        .collect()
}

#[test]
fn the_rollout_page_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("docs/reference/rollout.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let advice = "run `UPDATE=1 cargo test --test it rollout_page`";
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), page, "{advice}");
}

#[test]
fn the_rollout_page_has_every_reason_and_condition() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(root.join("src/api/rollout.rs")).unwrap();
    let (words, reasons) = source.split_once("pub mod reason {").unwrap();
    let told: BTreeSet<String> = REASONS.iter().map(|(word, _)| (*word).to_owned()).collect();
    assert_eq!(told, constants(reasons.split_once("\n}").unwrap().0));
    let words = constants(words.split_once("/// kstatus: everything is").unwrap().1);
    let told: BTreeSet<String> = CONDITIONS.iter().map(|(word, _)| (*word).to_owned()).collect();
    assert_eq!(told, words);
}
