//! What can be typed. The doc comments are the manual.

use clap::{Args, Parser, Subcommand};

/// GitOps for staged, multi-cluster rollouts
///
/// `git push` rolls out, `git revert` rolls back, a merged pull request approves.
///
/// Try it: `tidegate demo` plays a whole rollout on an embedded fleet in about a minute.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a completion script for a shell
    Completion(CompletionArgs),
}

/// Arguments of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}
