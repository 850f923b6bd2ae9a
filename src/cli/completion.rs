//! `tidegate completion`.

use clap::{Command, CommandFactory, ValueEnum};

use super::{
    args::{Cli, CompletionArgs},
    exit::Exit,
};

pub(super) fn run(args: &CompletionArgs) -> anyhow::Result<Exit> {
    let script = script(args.shell);
    anyhow::ensure!(
        !script.is_empty(),
        "no completion script for {:?}",
        args.shell.to_possible_value()
    );
    super::output::write(&script)
}

fn script(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(), "tidegate", &mut script);
    script
}

/// Returns the commands that are in the manual: what is hidden there is not for people to type.
fn shown() -> Command {
    let all = Cli::command();
    Command::new("tidegate")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(all.get_subcommands().filter(|command| !command.is_hide_set()).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_manual_is_completed_and_no_other() {
        for shell in clap_complete::Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            for command in Cli::command().get_subcommands() {
                let name = command.get_name();
                assert_eq!(script.contains(name), !command.is_hide_set(), "{shell}: {name}");
            }
        }
    }
}
