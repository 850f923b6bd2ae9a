//! The command line: one file a command.
//!
//! Flags, colours, signals and exit codes live here and nowhere else. stdout is data, stderr is talk. Every question that
//! starts with "should" or "which" is answered on the floors below.

pub mod args;
mod completion;
pub mod exit;
mod failure;
mod output;

use std::process::ExitCode;

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
        Command::Completion(args) => completion::run(&args),
    }
}
