//! A server's repository: asked once a poll, fetched into a bare mirror when its branch moved.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, TryLockError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use gix::{
    protocol::transport::client::blocking_io::http::Transport,
    remote::{Direction, fetch},
    sec::identity::Account,
};
use secrecy::ExposeSecret;

use super::{
    ask::{self, Answer},
    error::{Class, GitError, chain},
    https::{Conversation, USER, Way},
    remote::Remote,
    repository::{Repository, commit_id, object_id, options, tip_of},
};
use crate::model::CommitId;

/// A whole fetch may take this long, however eagerly the server goes on sending.
const FETCH_DEADLINE: Duration = Duration::from_secs(15 * 60);
/// Every fetch adds a pack, and gix does not repack: a mirror with more than this is fetched anew.
const MAX_PACKS: usize = 256;

type Connection<'a, 'r> = gix::remote::Connection<'a, 'static, 'r, Transport<Conversation>>;

impl Repository {
    /// Asks where `name` is, and fetches when that is not `known` or the mirror does not have it.
    pub(super) fn follow(
        &self,
        url: &str,
        name: &str,
        known: Option<&CommitId>,
    ) -> Result<CommitId, GitError> {
        let answer = known.map(|known| self.ask(url, name, known)).transpose()?;
        if let (Some(Answer::Same), Some(known)) = (answer, known) {
            return Ok(known.clone());
        }
        let tip = self.fetch(url, name, known)?;
        if answer == Some(Answer::Useless) && known == Some(&tip) {
            tracing::debug!(url, "the server is asked in full from now on");
            self.door.note(Way::Conversation);
        }
        Ok(tip)
    }

    /// Asks in one request whether `name` is still at `known`, where that may be asked.
    fn ask(&self, url: &str, name: &str, known: &CommitId) -> Result<Answer, GitError> {
        let (Way::OneRequest { with_token }, Remote::Https { ca_file, .. }) =
            (self.door.way(), self.remote())
        else {
            return Ok(Answer::Other);
        };
        if !self.mirror.join("HEAD").exists() || !self.open()?.has_object(object_id(known)?) {
            return Ok(Answer::Other);
        }
        let token = if with_token { self.remote().token()? } else { None };
        let client = self.door.client(url, ca_file.as_deref())?;
        Ok(ask::is_still(&client, url, token.as_ref(), name, known))
    }

    fn fetch(&self, url: &str, name: &str, known: Option<&CommitId>) -> Result<CommitId, GitError> {
        let _writing = match self.fetching.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let attempt = format!("cannot fetch `{url}`: an earlier fetch is still under way");
                return Err(GitError::new(Class::Unreachable, attempt));
            }
        };
        let _alone = self.alone()?;
        let mirror = self.opened_mirror()?;
        let tip = self.fetch_into(&mirror, url, name, known).inspect_err(|error| {
            if error.class == Class::Untrusted {
                self.door.forget();
            }
        })?;
        if known != Some(&tip) && packs(&self.mirror) > MAX_PACKS {
            drop(mirror);
            if let Err(error) = self.renew(url, name) {
                tracing::warn!(%error, "a mirror with many packs could not be made anew");
            }
        }
        Ok(tip)
    }

    fn fetch_into(
        &self,
        repository: &gix::Repository,
        url: &str,
        name: &str,
        known: Option<&CommitId>,
    ) -> Result<CommitId, GitError> {
        let attempt = || format!("cannot fetch `{url}`");
        let remote = remote(repository, url, &format!("+{name}:refs/tidegate/tip"))?;
        let prepared = self
            .connection(&remote, url)?
            .prepare_fetch(gix::progress::Discard, gix::remote::ref_map::Options::default())
            .map_err(|error| network(attempt(), &error))?;
        let Some(tip) = tip_of(name, &prepared.ref_map().remote_refs) else {
            return Err(self.no_branch(self.remote_branches(repository, url).unwrap_or_default()));
        };
        let tip = commit_id(tip)?;
        if known == Some(&tip) && repository.has_object(object_id(&tip)?) {
            return Ok(tip);
        }
        let stop = AtomicBool::new(false);
        within(FETCH_DEADLINE, &stop, || prepared.receive(gix::progress::Discard, &stop))
            .map_err(|error| network(attempt(), &error))?;
        Ok(tip)
    }

    /// Asks which branches there are, for a message.
    fn remote_branches(
        &self,
        repository: &gix::Repository,
        url: &str,
    ) -> Result<Vec<String>, GitError> {
        let attempt = || format!("cannot list the branches of `{url}`");
        let remote = remote(repository, url, "+refs/heads/*:refs/tidegate/heads/*")?;
        let (found, _) = self
            .connection(&remote, url)?
            .ref_map(gix::progress::Discard, gix::remote::ref_map::Options::default())
            .map_err(|error| network(attempt(), &error))?;
        let names = found.remote_refs.iter().filter_map(|reference| {
            Some(reference.unpack().0.to_string().strip_prefix("refs/heads/")?.to_owned())
        });
        Ok(names.take(10).collect())
    }

    /// Begins a conversation. Credentials are always answered here: gix would ask helpers and then the terminal.
    fn connection<'a, 'r>(
        &self,
        remote: &'a gix::Remote<'r>,
        url: &str,
    ) -> Result<Connection<'a, 'r>, GitError> {
        let Remote::Https { ca_file, .. } = self.remote() else {
            let attempt = format!("cannot fetch `{url}`: it is on this machine");
            return Err(GitError::new(Class::BadAddress, attempt));
        };
        let (address, version) =
            remote.sanitized_url_and_version(Direction::Fetch).map_err(|error| {
                GitError::because(Class::BadAddress, format!("cannot fetch `{url}`"), &error)
            })?;
        let conversation =
            Conversation::new(self.door.client(url, ca_file.as_deref())?, Arc::clone(&self.door));
        let transport = Transport::new_http(conversation, address, version, false);
        let mut connection = remote.to_connection_with_transport(transport);
        let token = self.remote().token()?;
        let ours = url.to_owned();
        connection.set_credentials(move |action| match (action, &token) {
            (gix::credentials::helper::Action::Get(context), Some(token))
                if context.url.as_ref().is_some_and(|url| same_server(&url.to_string(), &ours)) =>
            {
                let password = token.expose_secret().to_owned();
                let identity =
                    Account { username: USER.into(), password, oauth_refresh_token: None };
                Ok(Some(gix::credentials::protocol::Outcome { identity, next: context.into() }))
            }
            _ => Ok(None),
        });
        Ok(connection)
    }

    /// Waits until nobody else writes the mirror: another folder of the same repository is followed by way of it, and so may
    /// another process. The lock goes with the file that is returned.
    fn alone(&self) -> Result<File, GitError> {
        let path = beside(&self.mirror, "lock");
        let locked = || {
            std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
            let file = File::create(&path)?;
            file.lock()?;
            Ok(file)
        };
        locked().map_err(|error: std::io::Error| {
            let attempt = format!("cannot lock a mirror with `{}`", path.display());
            GitError::because(Class::NotThere, attempt, &error)
        })
    }

    /// Opens the mirror, making it the first time.
    fn opened_mirror(&self) -> Result<gix::Repository, GitError> {
        if !self.mirror.join("HEAD").exists() {
            drop(self.fresh_mirror()?);
            self.install()?;
        }
        self.open()
    }

    /// Makes an empty mirror beside the one in use. What a killed process left there is no loss.
    fn fresh_mirror(&self) -> Result<gix::Repository, GitError> {
        let fresh = beside(&self.mirror, "new");
        let attempt = || format!("cannot make a mirror in `{}`", fresh.display());
        remove(&fresh)
            .and_then(|()| std::fs::create_dir_all(&fresh))
            .map_err(|error| GitError::because(Class::NotThere, attempt(), &error))?;
        gix::ThreadSafeRepository::init_opts(
            &fresh,
            gix::create::Kind::Bare,
            gix::create::Options::default(),
            options(),
        )
        .map(|made| made.to_thread_local())
        .map_err(|error| GitError::because(Class::Damaged, attempt(), &error))
    }

    /// Puts the fresh mirror in the place of the one in use. A process that is killed in between finds none, and fetches.
    fn install(&self) -> Result<(), GitError> {
        let (fresh, old) = (beside(&self.mirror, "new"), beside(&self.mirror, "old"));
        let renamed = remove(&old)
            .and_then(|()| match self.mirror.exists() {
                true => std::fs::rename(&self.mirror, &old),
                false => Ok(()),
            })
            .and_then(|()| std::fs::rename(&fresh, &self.mirror))
            .and_then(|()| remove(&old));
        self.forget();
        renamed.map_err(|error| {
            let attempt = format!("cannot put a mirror into `{}`", self.mirror.display());
            GitError::because(Class::NotThere, attempt, &error)
        })
    }

    /// Fetches everything into one pack again.
    fn renew(&self, url: &str, name: &str) -> Result<(), GitError> {
        let fresh = self.fresh_mirror()?;
        self.fetch_into(&fresh, url, name, None)?;
        drop(fresh);
        self.install()
    }
}

fn remote<'r>(
    repository: &'r gix::Repository,
    url: &str,
    spec: &str,
) -> Result<gix::Remote<'r>, GitError> {
    let bad = |error: &(dyn std::error::Error + 'static)| {
        GitError::because(Class::BadAddress, format!("cannot fetch `{url}`"), error)
    };
    repository
        .remote_at(url)
        .map_err(|error| bad(&error))?
        .with_fetch_tags(fetch::Tags::None)
        .with_refspecs([spec], Direction::Fetch)
        .map_err(|error| bad(&error))
}

/// Sets `stop` when `work` is not done in time.
fn within<T>(deadline: Duration, stop: &AtomicBool, work: impl FnOnce() -> T) -> T {
    let (done, waiting) = mpsc::channel::<()>();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            if waiting.recv_timeout(deadline) == Err(mpsc::RecvTimeoutError::Timeout) {
                stop.store(true, Ordering::Relaxed);
            }
        });
        let result = work();
        drop(done);
        result
    })
}

fn packs(mirror: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(mirror.join("objects/pack")) else { return 0 };
    let is_pack = |path: &Path| path.extension().is_some_and(|extension| extension == "pack");
    entries.filter_map(Result::ok).filter(|entry| is_pack(&entry.path())).count()
}

fn beside(mirror: &Path, suffix: &str) -> PathBuf {
    let name = mirror.file_name().unwrap_or_default().to_string_lossy();
    mirror.with_file_name(format!("{name}.{suffix}"))
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns whether two URLs have the same scheme, host and port. A server that is redirected to gets no token of ours.
fn same_server(one: &str, other: &str) -> bool {
    let parse = |url: &str| gix::url::parse(url).ok();
    let (Some(one), Some(other)) = (parse(one), parse(other)) else { return false };
    one.scheme == other.scheme
        && one.host().is_some()
        && one.host() == other.host()
        && one.port_or_default() == other.port_or_default()
}

fn network(attempt: String, error: &gix::Error) -> GitError {
    let text = chain(error);
    let status = |status: &str| text.contains(&format!("HTTP status {status}"));
    let class = if error.is_unauthenticated()
        || error.is_permission_denied()
        || status("401")
        || status("403")
    {
        Class::Refused
    } else if status("404") || status("410") {
        Class::NotThere
    } else if text.contains("invalid peer certificate") {
        Class::Untrusted
    } else {
        Class::Unreachable
    };
    GitError { class, attempt, detail: Some(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_server() {
        let ours = "https://example.com/fleet.git";
        for (url, want) in [
            ("https://example.com/fleet.git", true),
            ("https://example.com:443/other.git", true),
            ("http://example.com/fleet.git", false),
            ("https://example.com:8443/fleet.git", false),
            ("https://example.org/fleet.git", false),
            ("https://example.com.evil.org/fleet.git", false),
            ("nothing", false),
        ] {
            assert_eq!(same_server(url, ours), want, "{url}");
        }
    }

    #[test]
    fn work_that_lasts_is_told_to_stop() {
        let stop = AtomicBool::new(false);
        within(Duration::from_secs(600), &stop, || ());
        assert!(!stop.load(Ordering::Relaxed), "done in time");
        within(Duration::from_millis(1), &stop, || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        });
    }
}
