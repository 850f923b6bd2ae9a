//! The command line: one file a command.
//!
//! Flags, colours, signals and exit codes live here and nowhere else. stdout is data, stderr is talk. Every question that
//! starts with "should" or "which" is answered on the floors below.

mod approve;
pub mod args;
mod awaited;
mod completion;
mod demo;
mod detail;
pub mod exit;
mod failure;
mod find;
mod folder;
mod follow;
mod history;
mod hub;
mod install;
mod install_rights;
mod join;
mod leave;
mod lint;
mod local;
mod output;
mod pipeline;
#[cfg(test)]
mod promise;
mod render;
mod run;
mod run_engine;
mod screen;
mod shutdown;
mod status;
mod watch;

use std::process::ExitCode;

use anyhow::Context;
use args::{Cli, Command};
use clap::Parser;
use exit::Exit;

/// Reads the arguments, runs the command, prints what went wrong, and returns the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout with success; clap knows which is which.
            let exit = if error.use_stderr() { Exit::Failed } else { Exit::Done };
            let _ = error.print();
            return exit.into();
        }
    };
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            failure::print(&error);
            Exit::Failed.into()
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Demo(args) => block_on(demo::run(&args)),
        Command::Local(args) => block_on(local::run(&args)),
        Command::Run(args) => block_on(run::run(&args)),
        Command::Join(args) => block_on(join::run(&args)),
        Command::Leave(args) => block_on(leave::run(&args)),
        Command::Install(args) => install::run(&args),
        Command::Status(args) => block_on(status::run(&args)),
        Command::Watch(args) => block_on(watch::run(&args)),
        Command::History(args) => block_on(history::run(&args)),
        Command::Approve(args) => block_on(approve::run(&args)),
        Command::Render(args) => render::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Completion(args) => completion::run(&args),
        Command::SignForDemo(args) => demo::sign(&args.arguments).map(|()| Exit::Done),
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    // Both TLS users, kube and gix, take the process's provider; fails only when one is installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    runtime.block_on(command)
}
