//! `tidegate completion`.

use clap::{CommandFactory, ValueEnum};

use super::{
    args::{Cli, CompletionArgs},
    exit::Exit,
};

pub(super) fn run(args: &CompletionArgs) -> anyhow::Result<Exit> {
    let shell = args.shell;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tidegate", &mut script);
    anyhow::ensure!(!script.is_empty(), "no completion script for {:?}", shell.to_possible_value());
    super::output::write(&script)
}
