//! What can be typed. The doc comments are the manual.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    config::{DEFAULT_POLL_INTERVAL, DEFAULT_REFERENCE, Engine},
    engine::SnapshotMode,
    model::GoDuration,
};

/// GitOps for staged, multi-cluster rollouts
///
/// `git push` rolls out, `git revert` rolls back, a merged pull request approves.
///
/// Try it: `tidegate demo` plays a whole rollout on an embedded fleet in a quarter of a minute.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    max_term_width = 100,
    after_long_help = "\
Exit codes:
  0  done; local and run end so on SIGINT and SIGTERM, too
  1  refused, failed or misused
  2  changes or differences, where a command says so
  3  the time given was not enough

stdout is data, stderr is talk. RUST_LOG says how much local and run log; NO_COLOR turns colours off."
)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play a whole rollout on an embedded fleet: push, approve, done, revert
    ///
    /// Makes a temporary repository, a hub and three member clusters, all in this process; rolls out a commit in stages,
    /// approves it with a signed commit, reverts it, and shows what the members really have before and after. Needs git,
    /// but neither kubectl nor a network, and leaves nothing behind. Ends with 0 only if all of it came true.
    Demo(DemoArgs),
    /// Run an embedded hub with member clusters that kubectl can talk to
    ///
    /// Writes a kubeconfig with the contexts hub, member1, member2, …, says how to use it, and stays up until it is asked to
    /// stop. The same data directory brings everything back. With a repository, follows it too.
    #[command(
        after_help = "Examples:\n  tidegate local                                  a hub and three members, for kubectl\n  tidegate local fleet --data-dir state           the same, and follow the repository in fleet\n  tidegate local . --path examples-repo/cluster-scoped"
    )]
    Local(LocalArgs),
    /// Follow repositories and roll out what they say
    ///
    /// The daemon. Works on any hub that a kubeconfig reaches; keeps all its state there. On a hub without Fleet's
    /// controllers, the built-in engine executes the runs, for the members that `tidegate join` made known; several such
    /// daemons agree by a Lease which of them does. Without a repository, it is that engine and nothing else.
    #[command(
        after_help = "Examples:\n  tidegate run --repository https://git.example.com/fleet.git --allowed-signers signers\n  tidegate run --config tidegate.yaml             many repositories\n  tidegate run --context hub                      the built-in engine alone"
    )]
    Run(RunArgs),
    /// Make a cluster a member of a hub with the built-in engine
    ///
    /// Writes a MemberCluster and a Secret with the member's kubeconfig on the hub, and the definition of AppliedWork on the
    /// member, after it has asked both whether they would take them. The Secret holds the credentials of the member's
    /// context, with every file read in: whoever may read Secrets in namespace tidegate-system has them. Joining again
    /// changes credentials or labels, and nothing else.
    #[command(
        after_help = "Examples:\n  tidegate join member1 --context hub --member-context member1 --labels environment=canary,order=2\n  tidegate join edge --member-kubeconfig edge.kubeconfig --dry-run"
    )]
    Join(JoinArgs),
    /// Let a member go
    ///
    /// Deletes its MemberCluster, waits until the engine has let it go, and deletes its Secret. What was applied to the
    /// cluster stays there. Ends with 3 when --timeout came first.
    #[command(after_help = "Examples:\n  tidegate leave member1 --context hub")]
    Leave(LeaveArgs),
    /// Print what a hub needs: definitions, rights, and a Deployment
    ///
    /// For `tidegate install | kubectl apply --server-side -f -`. The Deployment runs `tidegate run` with the rights that
    /// it needs and no more; which those are follows from what it is told to do.
    #[command(
        after_help = "Examples:\n  tidegate install | kubectl --context hub apply --server-side -f -\n  tidegate install --repository https://git.example.com/fleet.git --image registry.example.com/tidegate:0.1.0"
    )]
    Install(InstallArgs),
    /// Show where the rollouts are, and what they wait for
    ///
    /// Without a name, a line a Rollout; with one, a page about it. A name is NAME or NAMESPACE/NAME; a bare name is found in
    /// whichever namespace it is, as long as only one Rollout has it.
    #[command(
        after_help = "Examples:\n  tidegate status -A               every Rollout on the hub, a line each\n  tidegate status web              one Rollout: stages, clusters, what it waits for, who can help\n  tidegate status web -o json      for programs; docs/reference/json.md has every field"
    )]
    Status(StatusArgs),
    /// Follow a rollout until it is done
    ///
    /// On a terminal the stages are drawn in place; elsewhere every change is a line. Ends with 0 when it is done, or asks
    /// for somebody and --until-asked is given; 1 when it failed or cannot go on without help; 3 when --timeout came first. With
    /// --commit, a commit that changes nothing for the rollout is told as such, and the rollout is followed as it is.
    #[command(
        after_help = "Examples:\n  tidegate watch web --commit $(git rev-parse HEAD)     right after a push\n  tidegate watch web --until-asked --timeout 30m       until somebody has to act"
    )]
    Watch(WatchArgs),
    /// Show what was rolled out: commit, index, run and outcome, newest first
    #[command(
        after_help = "Examples:\n  tidegate history web -o wide     with digests, and why a run failed"
    )]
    History(HistoryArgs),
    /// Print the objects that a repository renders to, without a hub
    #[command(after_help = "Examples:\n  tidegate render fleet --rollout web | kubectl diff -f -")]
    Render(RenderArgs),
    /// Check a repository's files, without a hub
    ///
    /// Prints a line a fault, with file, line and column, and ends with 1 if there are any.
    #[command(after_help = "Examples:\n  tidegate lint fleet || echo 'not to be merged'")]
    Lint(LintArgs),
    /// Approve what a rollout waits for
    ///
    /// Writes an Approval file into the repository you stand in and commits it, signed with your own git configuration; what
    /// else is staged stays staged. Push it, or open a pull request with it. An approval that would be refused is not
    /// committed, and says why. With --patch, sets the status of the approval request on the hub instead, as
    /// `kubectl patch --subresource=status` would.
    #[command(
        after_help = "Examples:\n  tidegate approve web -m 'error rates are flat' && git push\n  tidegate approve team/web --stage canary --repository ~/fleet\n  tidegate approve web --patch"
    )]
    Approve(ApproveArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  tidegate completion bash > ~/.local/share/bash-completion/completions/tidegate"
    )]
    Completion(CompletionArgs),
    /// Sign for the demo, as `ssh-keygen -Y sign` does
    #[command(hide = true)]
    SignForDemo(SignArgs),
}

/// How to reach a hub.
#[derive(Clone, Debug, Default, Args)]
pub struct HubArgs {
    /// Kubeconfig of the hub; as in kubectl when left out
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig; the current one when left out
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace on the hub; the context's when left out
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// What to follow in a repository: nothing without one. With a configuration file, these stand there.
#[derive(Clone, Debug, Args)]
pub struct FollowArgs {
    /// Branch to follow
    #[arg(
        long = "ref",
        value_name = "BRANCH",
        default_value = DEFAULT_REFERENCE,
        requires = "repository"
    )]
    pub reference: String,
    /// Folder in the repository; the rest is not read
    #[arg(long, value_name = "FOLDER", default_value = ".", requires = "repository")]
    pub path: String,
    /// How often to ask when nothing tells of a push
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = DEFAULT_POLL_INTERVAL,
        requires = "repository"
    )]
    pub interval: GoDuration,
    /// File with an access token for an https:// repository; read again on every use
    #[arg(long, value_name = "FILE", requires = "repository")]
    pub token_file: Option<PathBuf>,
    /// File with certificates of private authorities, PEM
    #[arg(long, value_name = "FILE", requires = "repository")]
    pub ca_file: Option<PathBuf>,
    /// Who may approve before the repository says so itself; OpenSSH's allowed_signers format
    #[arg(long, value_name = "FILE", requires = "repository")]
    pub allowed_signers: Option<PathBuf>,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How long the timed wait after staging takes; the tutorial has 1m
    #[arg(long, value_name = "DURATION", default_value = "3s")]
    pub wait: GoDuration,
}

/// Arguments of `local`.
#[derive(Debug, Args)]
pub struct LocalArgs {
    /// Repository to follow: a path, or a file:// or https:// URL
    pub repository: Option<String>,
    /// Where state is kept; $XDG_STATE_HOME/tidegate/local when left out
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the kubeconfig is written, whole: a file with other clusters is refused; DIR/kubeconfig when left out
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Port of the hub, the members on those after it; 0 for ports that are free, the same again over a restart
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port: u16,
    /// How many member clusters, 0 for the hub alone; when left out, as many as there are in the data directory, 3 in a new one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub members: Option<u16>,
    /// Who joins clusters and executes runs
    #[arg(long, value_name = "WHO", default_value = "builtin")]
    pub engine: LocalEngineArg,
    /// When snapshots are cut of placements whose strategy is External
    #[arg(long, value_name = "WHEN", default_value = "both")]
    pub snapshot_mode: SnapshotModeArg,
    /// What to follow.
    #[command(flatten)]
    pub follow: FollowArgs,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Repository to follow: a path, or a file:// or https:// URL
    #[arg(long, value_name = "URL")]
    pub repository: Option<String>,
    /// What to follow.
    #[command(flatten)]
    pub follow: FollowArgs,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// Who executes the runs; `auto` where neither this nor the configuration file says
    #[arg(long, value_name = "WHO")]
    pub engine: Option<EngineArg>,
    /// When the built-in engine cuts snapshots of placements whose strategy is External
    #[arg(long, value_name = "WHEN", default_value = "both")]
    pub snapshot_mode: SnapshotModeArg,
    /// Configuration file, for many repositories; flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of `join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The member's name on the hub
    pub name: String,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// Kubeconfig of the member; the hub's when left out
    #[arg(long, value_name = "FILE", required_unless_present = "member_context")]
    pub member_kubeconfig: Option<PathBuf>,
    /// Context of the member in its kubeconfig; the current one when left out
    #[arg(long, value_name = "NAME")]
    pub member_context: Option<String>,
    /// Address of the member as the engine reaches it, where it differs from the kubeconfig's
    #[arg(long, value_name = "URL")]
    pub member_server: Option<String>,
    /// Labels of the member, which stages and placements select by
    #[arg(long, value_name = "KEY=VALUE,…", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Only ask whether hub and member would take it
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `leave`.
#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// The member's name on the hub
    pub name: String,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// Give up after this long
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    pub timeout: GoDuration,
}

/// Arguments of `install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Who executes the runs; with `fleet`, Fleet's own definitions are left alone
    #[arg(long, value_name = "WHO", default_value = "builtin")]
    pub engine: InstallEngine,
    /// Repository to follow; without one, the engine alone is installed
    #[arg(long, value_name = "URL", required_if_eq("engine", "fleet"))]
    pub repository: Option<String>,
    /// Branch to follow
    #[arg(long = "ref", value_name = "BRANCH", default_value = DEFAULT_REFERENCE)]
    pub reference: String,
    /// Folder in the repository; the rest is not read
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub path: String,
    /// Image with the program `tidegate`
    #[arg(long, value_name = "IMAGE", default_value = concat!("tidegate:", env!("CARGO_PKG_VERSION")))]
    pub image: String,
}

/// Values of `install --engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InstallEngine {
    /// The built-in engine
    Builtin,
    /// Fleet's controllers
    Fleet,
}

/// Values of `--engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    /// Fleet's controllers where they are found, the built-in engine elsewhere
    Auto,
    /// Fleet's controllers
    Fleet,
    /// The built-in engine
    Builtin,
    /// Somebody else: only render, apply and watch
    None,
}

impl From<EngineArg> for Engine {
    fn from(argument: EngineArg) -> Self {
        match argument {
            EngineArg::Auto => Self::Auto,
            EngineArg::Fleet => Self::Fleet,
            EngineArg::Builtin => Self::Builtin,
            EngineArg::None => Self::None,
        }
    }
}

/// Values of `--engine` of `local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LocalEngineArg {
    /// The built-in engine; the clusters beside the hub are its members
    Builtin,
    /// Somebody else, or nobody: the clusters are there, and no cluster is a member yet
    None,
}

/// Values of `--snapshot-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SnapshotModeArg {
    /// When content changes, and when a run without an index begins
    Both,
    /// When content changes; a run without an index takes the latest snapshot
    OnChange,
    /// When a run without an index begins
    OnRun,
}

impl From<SnapshotModeArg> for SnapshotMode {
    fn from(argument: SnapshotModeArg) -> Self {
        match argument {
            SnapshotModeArg::Both => Self::Both,
            SnapshotModeArg::OnChange => Self::OnChange,
            SnapshotModeArg::OnRun => Self::OnRun,
        }
    }
}

/// Values of `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with more columns
    Wide,
    /// The objects as JSON
    Json,
    /// The objects as YAML
    Yaml,
    /// Names only
    Name,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The rollout, as NAME or NAMESPACE/NAME; all of the namespace when left out
    pub rollout: Option<String>,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// Rollouts of every namespace
    #[arg(short = 'A', long, conflicts_with_all = ["rollout", "namespace"])]
    pub all_namespaces: bool,
    /// Output format
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The rollout, as NAME or NAMESPACE/NAME
    pub rollout: String,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// Give up after this long
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<GoDuration>,
    /// Wait until the daemon has read this commit, too: right after a push, what is done is the commit before
    #[arg(long, value_name = "ID", value_parser = commit)]
    pub commit: Option<String>,
    /// End as soon as somebody is asked for something: an approval, a start or a resume
    #[arg(long)]
    pub until_asked: bool,
}

/// Reads a commit's id, in full or its first digits.
fn commit(text: &str) -> Result<String, String> {
    if (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a commit's id has 7 to 40 hexadecimal digits; `git rev-parse HEAD` prints one"
            .to_owned())
    }
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The rollout, as NAME or NAMESPACE/NAME
    pub rollout: String,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// Output format
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// Arguments of `render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Folder of the repository
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Only this rollout
    #[arg(long, value_name = "NAME")]
    pub rollout: Option<String>,
}

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Folder of the repository
    #[arg(default_value = ".")]
    pub folder: PathBuf,
}

/// Arguments of `approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The rollout, as NAME or NAMESPACE/NAME
    pub rollout: String,
    /// The stage; the one that waits when left out
    #[arg(long, value_name = "NAME")]
    pub stage: Option<String>,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// Working tree to commit in
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub repository: PathBuf,
    /// Why, for whoever reads it later
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Set the request's status on the hub instead of committing
    #[arg(long)]
    pub patch: bool,
}

/// Arguments of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Arguments of the demo's signer.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// As git gives them to `gpg.ssh.program`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
