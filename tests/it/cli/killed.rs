//! Nothing that a test has started outlives it.

use std::{fs, path::Path};

use super::shell;
use crate::support::{
    process::{Running, tidegate},
    watchdog::{SweptFolder, hold, hold_nothing, is_killed, nothing_outlives},
};

/// The process that is killed. It runs the binary itself, and a shell that has left it running.
#[test]
fn holds_programs_until_killed() {
    if !is_killed() {
        return;
    }
    let folder = SweptFolder::new();
    let [own, typed] = ["own", "typed"].map(|name| folder.path().join(name));
    fs::create_dir(&typed).unwrap();
    let Some(mut session) = shell::open(&typed, "ending what was started") else {
        return hold_nothing();
    };
    let page = typed.join("page.md");
    let command = "tidegate local --members 0 --data-dir data &";
    let text =
        format!("```console\n$ {command}\n...\nThe hub is ready. Reach them with\n...\n```\n");
    fs::write(&page, text).unwrap();
    session.play(&page);
    let mut command = tidegate(&own);
    command.args(["local", "--members", "0", "--data-dir"]).arg(&own);
    let mut local = Running::start(command);
    local.wait_for("is ready");
    let addresses = [own, typed.join("data")].map(|data| address(&data));
    hold(&addresses.each_ref().map(String::as_str), folder.path());
}

fn address(data: &Path) -> String {
    let kubeconfig = fs::read_to_string(data.join("kubeconfig")).unwrap();
    let (_, server) = kubeconfig.split_once("https://").unwrap();
    server.split(|c: char| c != '.' && c != ':' && !c.is_ascii_digit()).next().unwrap().to_owned()
}

#[test]
fn nothing_outlives_a_killed_test() {
    nothing_outlives("cli::killed::holds_programs_until_killed");
}
