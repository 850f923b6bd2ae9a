//! Where log lines go, and which.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, Targets},
    fmt,
    prelude::*,
};

/// How much to say when `RUST_LOG` is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Only what someone may care about tonight.
    Warnings,
    /// A rollout's turning points.
    Turns,
    /// Decisions and their inputs.
    Decisions,
}

impl Verbosity {
    /// Returns the filter: ours at the level asked for, the libraries' only when they warn.
    const fn filter(self) -> &'static str {
        match self {
            // The client's own word on a failed request is off: whoever asked says it, with a reason.
            Self::Warnings => "warn,kube=error,hyper=error,kube_client::client::builder=off",
            Self::Turns => "warn,tidegate=info,kube=error,kube_client::client::builder=off",
            Self::Decisions => "info,tidegate=debug,kube=warn",
        }
    }
}

/// What is never logged, whatever `RUST_LOG` asks for: the client's debugging output has whole answers, which quote what a
/// server refuses, and that may be a Secret.
fn discreet() -> Targets {
    Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_target("kube_client::client", LevelFilter::WARN)
}

/// Starts logging to stderr. `RUST_LOG` wins over `verbosity`. A second call changes nothing.
pub fn start(verbosity: Verbosity) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(verbosity.filter()));
    let colour = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false);
    // Fails only when a subscriber is already there, as in tests that share a process.
    let layer = layer.with_filter(discreet());
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}
