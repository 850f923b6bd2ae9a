//! What things cost, measured and printed; nothing here fails on a number.
//!
//! `cargo bench` runs everything, `cargo bench -- NAME…` the parts whose names contain one of the words. Times are wall
//! clock, medians over several rounds. Figures marked *recorded* were measured elsewhere once (docs/explanation/speed.md
//! says where and how) and stand beside ours only for scale.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod commits;
mod fleet;
mod idle;
mod requests;
mod runs;
mod signatures;
mod startup;
// The tests' own: processes, repositories, real API servers.
#[path = "../it/support/mod.rs"]
mod support;

use std::time::Duration;

type Part = fn(&tokio::runtime::Runtime);

fn main() {
    // Cargo passes `--bench`; what is left are names.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let parts: [(&str, Part); 10] = [
        ("startup", |runtime| runtime.block_on(startup::measure())),
        ("noop-100", |runtime| {
            runtime.block_on(runs::noop(100, 5, "KubeFleet: 56 to 82 s (recorded)"))
        }),
        ("noop-1000", |runtime| runtime.block_on(runs::noop(1_000, 3, "target: 10 s"))),
        ("tutorial", |runtime| runtime.block_on(runs::tutorial_with_ten_seconds())),
        ("concurrent", |runtime| runtime.block_on(runs::concurrent(1_000))),
        ("commit", |runtime| runtime.block_on(commits::measure("", |_| {}))),
        ("large-repository", |runtime| {
            runtime.block_on(commits::measure(", large repository", commits::enlarge));
        }),
        ("signatures", |_| signatures::measure()),
        ("idle", |runtime| runtime.block_on(idle::measure())),
        ("requests", |runtime| runtime.block_on(requests::measure())),
    ];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            part(&runtime);
        }
    }
}

/// Prints one line: what was measured, our figure, and one to compare with.
fn report(what: &str, ours: &str, beside: &str) {
    println!("{what:<58} {ours:>16}   {beside}");
}

/// Returns the figure in the middle.
fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort();
    samples[samples.len() / 2]
}

/// Returns the figure that nine in ten stay below.
fn ninetieth(mut samples: Vec<Duration>) -> Duration {
    samples.sort();
    samples[samples.len() * 9 / 10]
}

fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

/// Returns the resident memory of a process and of its children, in megabytes.
fn resident_mb(process: u32) -> u64 {
    memory_mb(process, "VmRSS:")
}

/// Returns that part of it that is not read from files, such as the program itself: what could not be given back.
fn anonymous_mb(process: u32) -> u64 {
    memory_mb(process, "RssAnon:")
}

fn memory_mb(process: u32, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap_or_default();
    let kb = line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok());
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    kb.unwrap_or_default() / 1024 + children.map(|child| memory_mb(child, which)).sum::<u64>()
}
