//! Whole runs as text: `tests/scenarios/*.txt`, one story a file.
//!
//! A file is a list of blocks: comments, commands, a line `----`, and what comes of them. Time is virtual and starts at
//! 00:00:00. With `UPDATE_EXPECT=1` in the environment, what comes of them is written into the files instead.

use std::{fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};
use tidegate::{
    api::{
        condition::Truth,
        run::{RunStatus, StageStatus},
    },
    model::Scope,
    rollout::{Captured, Run, Weight, progress},
};

use super::world::{Agent, STRATEGY, World, bump};

#[test]
fn every_scenario_ends_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 10, "scenarios are missing");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = String::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let played = play(&name, &text);
        if played == text {
            continue;
        }
        if update {
            fs::write(&file, played).unwrap();
        } else {
            for (line, (want, is)) in text.lines().zip(played.lines()).enumerate() {
                if want != is {
                    writeln!(wrong, "{name}:{}\n  want {want}\n  is   {is}", line + 1).unwrap();
                    break;
                }
            }
            if !wrong.contains(&name) {
                writeln!(wrong, "{name}: it ends elsewhere").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Plays a file, and returns it with what came of it.
fn play(file: &str, text: &str) -> String {
    let mut world = World::new(Scope::Cluster);
    let mut played = String::new();
    let mut commands: Vec<&str> = Vec::new();
    let mut skipping = false;
    for line in text.lines() {
        if skipping {
            if !line.is_empty() {
                continue;
            }
            skipping = false;
        }
        played.push_str(line);
        played.push('\n');
        if line == "----" {
            for command in commands.drain(..) {
                let out = obey(&mut world, command)
                    .unwrap_or_else(|problem| panic!("{file}: `{command}`: {problem}"));
                played.push_str(&out);
            }
            skipping = true;
        } else if !line.is_empty() && !line.starts_with('#') {
            commands.push(line);
        }
    }
    assert!(commands.is_empty(), "{file}: commands without `----`: {commands:?}");
    played
}

/// Obeys one command, and returns what is to be seen of it.
fn obey(world: &mut World, command: &str) -> Result<String, String> {
    let mut parts = command.split_whitespace();
    let verb = parts.next().unwrap_or_default();
    let args: Vec<&str> = parts.collect();
    let arg = |at: usize| args.get(at).copied().ok_or_else(|| format!("argument {at} is missing"));
    match verb {
        "namespace" => *world = World::new(Scope::Namespace(arg(0)?.to_owned())),
        "member" => world.join(arg(0)?, &pairs(&args[1..])),
        "strategy" => {
            let stages = stages(command.trim_start_matches("strategy"))?;
            world.set_strategy(STRATEGY, stages);
        }
        "no-strategy" => drop(world.strategies.remove(STRATEGY)),
        "no-placement" => world.placement = None,
        "run" => {
            let get =
                |key: &str| pairs(&args[1..]).iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
            world.create_run(
                arg(0)?,
                get("index").unwrap_or_default(),
                get("state").unwrap_or("Run"),
            );
        }
        "state" => world.set_state(arg(0)?, arg(1)?),
        "delete" => world.delete_run(arg(0)?),
        "approve" => answer(world, &args, Truth::True)?,
        "disapprove" => answer(world, &args, Truth::False)?,
        "delete-request" => drop(world.approvals.remove(arg(0)?)),
        "agent" => {
            let agent = match arg(1)? {
                "good" => Agent::Good,
                "slow" => Agent::Slow,
                "broken" => Agent::Broken,
                "gone" => Agent::Gone,
                other => return Err(format!("no such agent: {other}")),
            };
            world.agents.insert(arg(0)?.to_owned(), agent);
        }
        "unschedule" => world.unschedule(arg(0)?),
        "relabel" => {
            let labels = world.members.get_mut(arg(0)?).ok_or("no such member")?;
            labels.extend(pairs(&args[1..]).into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())));
        }
        "bump" => bump(&mut world.bindings.get_mut(arg(0)?).ok_or("no such binding")?.metadata),
        "content" => world.content = Captured::Group { index: arg(0)?.to_owned() },
        "content-refused" => {
            world.content = Captured::Refused(command["content-refused ".len()..].to_owned());
        }
        "pass" => drop(world.pass(arg(0)?)),
        "members" => drop(world.members_act()),
        "settle" => {
            world.settle();
            return Ok(shown(world));
        }
        "wait" => {
            world.wait(arg(0)?.trim_end_matches('s').parse().map_err(|_| "not seconds")?);
            return Ok(shown(world));
        }
        "show" => return Ok(shown(world)),
        "status" => return Ok(full(world, arg(0)?)),
        "told" => {
            return Ok(world.told.drain(..).fold(String::new(), |mut out, told| {
                let mark = match told.weight {
                    Weight::Detail => ' ',
                    Weight::Normal => '*',
                    Weight::Warning => '!',
                };
                writeln!(out, "{mark} {} {}", told.reason, told.message).unwrap();
                out
            }));
        }
        "bindings" => {
            return Ok(world.bindings.iter().fold(String::new(), |mut out, (cluster, binding)| {
                let spec = &binding.spec;
                let line = format!("{cluster} {} {}", spec.state, spec.resource_snapshot_name);
                writeln!(out, "{}", line.trim_end()).unwrap();
                out
            }));
        }
        _ => return Err("no such command".to_owned()),
    }
    Ok(String::new())
}

fn pairs<'a>(args: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    args.iter().filter_map(|arg| arg.split_once('=')).collect()
}

fn answer(world: &mut World, args: &[&str], truth: Truth) -> Result<(), String> {
    let request = args.first().ok_or("which request?")?;
    if !world.approvals.contains_key(*request) {
        return Err("no such request".to_owned());
    }
    let generation = match args.get(1) {
        None => Some(1),
        Some(&"generation=none") => None,
        Some(given) => Some(
            given
                .strip_prefix("generation=")
                .and_then(|given| given.parse().ok())
                .ok_or("generation=N, or none")?,
        ),
    };
    world.approve(request, truth, generation);
    Ok(())
}

/// Reads `staging(after-wait=1m) -> canary(before-approval, max=50%, sort=order)`: a stage picks by label `env`.
fn stages(text: &str) -> Result<Value, String> {
    let mut stages = Vec::new();
    for stage in text.split("->").map(str::trim).filter(|stage| !stage.is_empty()) {
        let (name, options) = stage.split_once('(').unwrap_or((stage, ""));
        let mut value = json!({"name": name, "labelSelector": {"matchLabels": {"env": name}}});
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for option in options.trim_end_matches(')').split(',').map(str::trim) {
            match option.split_once('=').unwrap_or((option, "")) {
                ("", _) => {}
                ("max", max) => {
                    value["maxConcurrency"] =
                        max.parse::<i32>().map_or_else(|_| json!(max), |count| json!(count));
                }
                ("sort", key) => value["sortingLabelKey"] = json!(key),
                ("everything", _) => value["labelSelector"] = json!({}),
                ("before-approval", _) => before.push(json!({"type": "Approval"})),
                ("after-approval", _) => after.push(json!({"type": "Approval"})),
                ("after-wait", wait) => after.push(json!({"type": "TimedWait", "waitTime": wait})),
                (other, _) => return Err(format!("no such option: {other}")),
            }
        }
        if !before.is_empty() {
            value["beforeStageTasks"] = json!(before);
        }
        if !after.is_empty() {
            value["afterStageTasks"] = json!(after);
        }
        stages.push(value);
    }
    Ok(json!(stages))
}

/// What was ordered, and how every run goes.
fn shown(world: &mut World) -> String {
    let mut out = String::new();
    for line in world.log.drain(..) {
        writeln!(out, "- {line}").unwrap();
    }
    for (name, run) in &world.runs {
        let progress = progress(&Run::from(run), world.now);
        writeln!(out, "{name}: {progress}").unwrap();
        for stage in &progress.stages {
            let picture = stage.picture();
            let picture = if picture.is_empty() { "(none)" } else { &picture };
            writeln!(out, "  {} {picture} {}", stage.name, stage.phase).unwrap();
        }
    }
    if out.is_empty() {
        out.push_str("nothing\n");
    }
    out.replace("2026-01-01T", "")
}

/// Every condition of a run.
fn full(world: &World, run: &str) -> String {
    let nothing = RunStatus::default();
    let status = world.run(run).status.as_ref().unwrap_or(&nothing);
    let mut out = String::new();
    let mut list =
        |who: &str, conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]| {
            for held in conditions {
                writeln!(
                    out,
                    "{who}: {}={} {} @{} {} {}",
                    held.type_,
                    held.status,
                    held.reason,
                    held.observed_generation.unwrap_or_default(),
                    held.last_transition_time.0,
                    held.message
                )
                .unwrap();
            }
        };
    list(run, &status.conditions);
    let stage = |stage: &StageStatus, list: &mut dyn FnMut(&str, &[_])| {
        let name = &stage.stage_name;
        list(name, &stage.conditions);
        let before = stage.before_stage_task_status.iter().flatten();
        for task in before.chain(stage.after_stage_task_status.iter().flatten()) {
            list(&format!("{name}/{}", task.kind), &task.conditions);
        }
        for cluster in &stage.clusters {
            list(&format!("{name}/{}", cluster.cluster_name), &cluster.conditions);
        }
    };
    for held in status.stages_status.iter().flatten().chain(&status.deletion_stage_status) {
        stage(held, &mut list);
    }
    if out.is_empty() {
        out.push_str("nothing\n");
    }
    out.replace("2026-01-01T", "")
}
