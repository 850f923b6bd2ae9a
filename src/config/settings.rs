//! What the daemon is told.

use std::{path::PathBuf, str::FromStr};

use crate::model::GoDuration;

/// Poll this often where nothing tells of a push.
pub const DEFAULT_POLL_INTERVAL: GoDuration = GoDuration::from_seconds(10);
/// Follow this branch.
pub const DEFAULT_REFERENCE: &str = "main";

/// Everything `tidegate run` needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Daemon {
    /// Kubeconfig of the hub; the usual places when absent.
    pub kubeconfig: Option<PathBuf>,
    /// Context in it; the current one when absent.
    pub context: Option<String>,
    /// Who executes runs.
    pub engine: Engine,
    /// What to follow.
    pub repositories: Vec<Repository>,
}

/// One repository to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// A path, or a `file://` or `https://` URL.
    pub url: String,
    /// The branch.
    pub reference: String,
    /// Only this folder of it; `.` for all.
    pub path: String,
    /// How often to ask when nothing tells of a push.
    pub interval: GoDuration,
    /// A file with an access token for `https://`; read again on every use.
    pub token_file: Option<PathBuf>,
    /// A file with certificates of private authorities.
    pub ca_file: Option<PathBuf>,
    /// The first trust policy: who may approve before the repository says so itself.
    pub allowed_signers: Option<PathBuf>,
}

impl Repository {
    /// Returns the settings for `url` with every default.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            reference: DEFAULT_REFERENCE.to_owned(),
            path: ".".to_owned(),
            interval: DEFAULT_POLL_INTERVAL,
            token_file: None,
            ca_file: None,
            allowed_signers: None,
        }
    }
}

/// Who executes runs on the hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Fleet's controllers where they are found, the built-in engine elsewhere.
    #[default]
    Auto,
    /// Fleet's controllers.
    Fleet,
    /// The built-in engine.
    Builtin,
    /// Somebody else; only render, apply and watch.
    None,
}

/// The word names no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not an engine: expected auto, fleet, builtin or none")]
pub struct UnknownEngine {
    word: String,
}

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(word: &str) -> Result<Self, UnknownEngine> {
        Ok(match word {
            "auto" => Self::Auto,
            "fleet" => Self::Fleet,
            "builtin" => Self::Builtin,
            "none" => Self::None,
            _ => return Err(UnknownEngine { word: word.chars().take(40).collect() }),
        })
    }
}
