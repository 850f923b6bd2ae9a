//! The configuration file.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::settings::{DEFAULT_REFERENCE, Daemon, Repository};
use crate::model::{GoDuration, Hint};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    engine: Option<String>,
    #[serde(default)]
    repositories: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    url: String,
    #[serde(rename = "ref")]
    reference: Option<String>,
    path: Option<String>,
    interval: Option<String>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    allowed_signers: Option<PathBuf>,
}

/// The file is not a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct InvalidConfig {
    path: PathBuf,
    problem: String,
}

impl Hint for InvalidConfig {
    fn hint(&self) -> Option<String> {
        Some("see docs/reference/configuration.md for every setting".to_owned())
    }
}

/// Reads the text of the configuration file at `path`. Paths in it are relative to its folder.
///
/// # Errors
/// When it is not YAML, has a setting that does not exist, or a value that cannot be.
pub fn read(text: &str, path: &Path) -> Result<Daemon, InvalidConfig> {
    let invalid = |problem: String| InvalidConfig { path: path.to_owned(), problem };
    let file: File = serde_yaml::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let beside = |path: PathBuf| folder.join(path);
    let repositories = file.repositories.into_iter().enumerate();
    let repositories = repositories.map(|(number, entry)| {
        let interval = match &entry.interval {
            None => super::DEFAULT_POLL_INTERVAL,
            Some(text) => match text.parse::<GoDuration>() {
                Ok(interval) if interval.is_positive() => interval,
                Ok(_) => {
                    return Err(invalid(format!(
                        "repositories[{number}].interval: `{text}` is not positive"
                    )));
                }
                Err(error) => {
                    return Err(invalid(format!("repositories[{number}].interval: {error}")));
                }
            },
        };
        Ok(Repository {
            url: match entry.url.contains(':') || entry.url.is_empty() {
                true => entry.url,
                false => folder.join(entry.url).to_string_lossy().into_owned(),
            },
            reference: entry.reference.unwrap_or_else(|| DEFAULT_REFERENCE.to_owned()),
            path: entry.path.unwrap_or_else(|| ".".to_owned()),
            interval,
            token_file: entry.token_file.map(beside),
            ca_file: entry.ca_file.map(beside),
            allowed_signers: entry.allowed_signers.map(beside),
        })
    });
    Ok(Daemon {
        kubeconfig: file.kubeconfig.map(beside),
        context: file.context,
        engine: file
            .engine
            .as_deref()
            .unwrap_or("auto")
            .parse()
            .map_err(|error| invalid(format!("engine: {error}")))?,
        repositories: repositories.collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Engine;

    #[test]
    fn every_setting_is_read_and_defaults_fill_the_rest() {
        let text = "engine: builtin\nrepositories:\n- url: https://example.com/fleet.git\n  interval: 1m\n  tokenFile: token\n- url: /srv/fleet\n  ref: live\n  path: prod\n- url: fleet.git\n";
        let config = read(text, Path::new("/etc/tidegate/config.yaml")).unwrap();
        assert_eq!(config.engine, Engine::Builtin);
        let [first, second, third] = &config.repositories[..] else { panic!("three repositories") };
        assert_eq!(third.url, "/etc/tidegate/fleet.git");
        assert_eq!(first.token_file.as_deref(), Some(Path::new("/etc/tidegate/token")));
        assert_eq!(
            (first.interval.to_string().as_str(), first.reference.as_str()),
            ("1m0s", "main")
        );
        assert_eq!(
            second,
            &Repository {
                reference: "live".into(),
                path: "prod".into(),
                ..Repository::new("/srv/fleet")
            }
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (text, part) in [
            ("repositories:\n- url: x\n  intervall: 1m\n", "intervall"),
            ("repositories:\n- url: x\n  interval: 1d\n", "repositories[0].interval"),
            ("repositories:\n- url: x\n  interval: 0s\n", "not positive"),
            ("repositories:\n- ref: x\n", "url"),
            ("engine: magic\n", "`magic` is not an engine"),
            (": :\n- [", "config.yaml"),
        ] {
            let error = read(text, Path::new("config.yaml")).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?} said {error:?}");
        }
    }
}
