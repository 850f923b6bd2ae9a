//! `tidegate local`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{
    args::{LocalArgs, LocalEngineArg},
    exit::Exit,
    failure::{OrHint, hinted},
    follow,
    follow::Following,
    output::{self, Table},
    shutdown::Requests,
};
use crate::{
    config::Repository,
    daemon::FirstPolicy,
    engine::Options,
    local::{
        DataDirectory, Endpoint, Fleet, Member, Storage, kubeconfig, loses, serve,
        tutorial_members, write_private,
    },
    model::Hint,
    telemetry::log::{self, Verbosity},
};

pub(super) async fn run(args: &LocalArgs) -> anyhow::Result<Exit> {
    log::start(Verbosity::Turns);
    let mut asked = Requests::listen();
    let folder = args.data_dir.clone().map_or_else(default_data_directory, Ok)?;
    let directory = DataDirectory::open(&folder).hinted("cannot use the data directory")?;
    let repository = args.repository.as_deref().map(|url| follow::repository(url, &args.follow));

    let mirrors = directory.path().join("mirrors");
    if let Some(repository) = &repository {
        follow::check(repository, &mirrors)?;
    }
    let file = args.kubeconfig.clone().unwrap_or_else(|| directory.path().join("kubeconfig"));
    keep_others(&file)?;

    let storage = Storage::Folder(directory.path().to_owned());
    let held = directory.members();
    let count = args.members.map(usize::from).or(held).unwrap_or(MEMBERS);
    if let Some(left_out) = left_out(held, count) {
        anstream::eprintln!("{left_out}");
    }
    let engine = match args.engine {
        LocalEngineArg::None => None,
        LocalEngineArg::Builtin => {
            Some(Options { snapshot_mode: args.snapshot_mode.into(), ..Options::default() })
        }
    };
    let starting = Fleet::start(storage, tutorial_members(count), engine);
    let fleet = tokio::select! {
        started = starting => started.hinted("cannot start the fleet")?,
        () = asked.next() => anyhow::bail!("asked to stop before the fleet was ready"),
    };
    let stop = CancellationToken::new();
    let served = announce(&fleet, &directory, args, repository.as_ref(), file, &stop).await;
    let endpoint = match served {
        Ok(endpoint) => endpoint,
        Err(error) => {
            fleet.shut_down().await;
            return Err(error);
        }
    };
    let follow = |repository| {
        follow::start(fleet.hub(), &[repository], &mirrors, &FirstPolicy::FirstCommit, stop.clone())
    };
    let following = match repository.map(follow).transpose() {
        Ok(following) => following,
        Err(error) => {
            stop.cancel();
            endpoint.ended().await;
            fleet.shut_down().await;
            return Err(error);
        }
    };

    stay(fleet, endpoint, following, stop, asked).await
}

/// Stays up until somebody asks to stop, or something ends by itself; then ends everything, each with all of it written.
async fn stay(
    mut fleet: Fleet,
    endpoint: Endpoint,
    mut following: Option<Following>,
    stop: CancellationToken,
    mut asked: Requests,
) -> anyhow::Result<Exit> {
    let came_to = tokio::select! {
        () = asked.next() => Ok(()),
        error = fleet.engine_ended() => {
            Err(error.map_or_else(|| anyhow::anyhow!("the engine ended early"), Into::into))
        }
        ended = follow::ended(&mut following) => {
            ended.and(Err(anyhow::anyhow!("the daemon ended early")))
        }
    };
    tracing::info!("stopping");
    stop.cancel();
    let ending = async {
        let followed = match following {
            Some(following) => following.finish().await,
            None => Ok(()),
        };
        endpoint.ended().await;
        fleet.shut_down().await;
        followed
    };
    // Who asks twice is in a hurry; what is stored survives that.
    let ended = tokio::select! {
        ended = ending => ended,
        () = asked.next() => Err(anyhow::anyhow!("asked twice, so stopped at once")),
    };
    came_to.and(ended).map(|()| Exit::Done)
}

/// Refuses to write over a kubeconfig that reaches other clusters too: it is written whole, not merged.
fn keep_others(file: &Path) -> anyhow::Result<()> {
    // What cannot be read cannot be written over either, and says so then.
    let held = std::fs::read_to_string(file).unwrap_or_default();
    match loses(&held) {
        None => Ok(()),
        Some(lost) => Err(hinted(
            format!("`{}` has {lost}; they would be lost", file.display()),
            "name a new file with --kubeconfig; KUBECONFIG takes several, with a colon between them",
        )),
    }
}

/// Members of a new fleet: the tutorial's.
const MEMBERS: usize = 3;

/// Says which members of before are not started this time.
fn left_out(held: Option<usize>, count: usize) -> Option<String> {
    let held = held.filter(|held| *held > count)?;
    let names = match held - count {
        1 => format!("member{held} is"),
        _ => format!("member{} to member{held} are", count + 1),
    };
    Some(format!(
        "{names} known to the hub and left out now: whatever is placed there waits until --members {held}."
    ))
}

/// Listens, writes the kubeconfig, and says how to reach the fleet.
async fn announce(
    fleet: &Fleet,
    directory: &DataDirectory,
    args: &LocalArgs,
    repository: Option<&Repository>,
    file: PathBuf,
    stop: &CancellationToken,
) -> anyhow::Result<Endpoint> {
    let token = directory.token().hinted("cannot make an access token")?;
    let endpoint =
        serve(fleet, directory, args.port, &token, stop).await.hinted("cannot serve the fleet")?;
    let text = kubeconfig(&endpoint.contexts, &endpoint.authority_pem, &token);
    write_private(&file, text.as_bytes())
        .or_hint(format!("cannot write the kubeconfig `{}`", file.display()), || {
            "name a file that you may write to with --kubeconfig".to_owned()
        })?;
    let file = file.canonicalize().unwrap_or(file);

    let mut table = Table::new(&["CONTEXT", "SERVER", "LABELS"]);
    for (number, context) in endpoint.contexts.iter().enumerate() {
        let member = number.checked_sub(1).and_then(|at| fleet.members().get(at));
        table.row([
            context.name.clone(),
            context.server.clone(),
            member.map(labels).unwrap_or_default(),
        ]);
    }
    let following = repository.map_or_else(String::new, following);
    let told = format!(
        "The hub{} ready. Reach them with\n\n  export KUBECONFIG={}\n  kubectl get memberclusters\n\n{}{following}\nPress Ctrl-C to stop; the same --data-dir brings everything back.\n",
        match fleet.members().len() {
            0 => " is".to_owned(),
            1 => " and 1 member are".to_owned(),
            count => format!(" and {count} members are"),
        },
        shell_word(&file.to_string_lossy()),
        table.render(),
    );
    output::write(told.as_bytes())?;
    Ok(endpoint)
}

/// Says what is followed, and whose approvals count.
fn following(repository: &Repository) -> String {
    let Repository { url, reference, allowed_signers, .. } = repository;
    let trusted = match allowed_signers {
        None => "what policy/allowed_signers says when a Rollout\nis first seen".to_owned(),
        Some(file) => format!("what {} says", file.display()),
    };
    format!(
        "\nFollowing branch {reference} of {url}. Who may approve is {trusted}; who stands in it decides about later changes of it.\n"
    )
}

fn labels(member: &Member) -> String {
    member.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// Returns the members and their labels.
pub(super) fn members_table(members: &[Member]) -> String {
    let mut table = Table::new(&["MEMBER", "LABELS"]);
    for member in members {
        table.row([member.name.clone(), labels(member)]);
    }
    table.render()
}

/// Quotes a word for a shell where it needs it.
fn shell_word(word: &str) -> String {
    if word.chars().all(|c| c.is_alphanumeric() || "/._-+:@".contains(c)) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Where state goes when nothing is said: the XDG state folder.
fn default_data_directory() -> anyhow::Result<PathBuf> {
    let state =
        std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    let state = state
        .context("no home directory")
        .or_hint("cannot choose a data directory", || "name one with --data-dir".to_owned())?;
    Ok(state.join("tidegate/local"))
}

/// Results whose error knows what would help.
trait Hinted<T> {
    /// Says what was being attempted, and takes the hint along.
    fn hinted(self, attempt: &str) -> anyhow::Result<T>;
}

impl<T, E: Hint + std::error::Error + Send + Sync + 'static> Hinted<T> for Result<T, E> {
    fn hinted(self, attempt: &str) -> anyhow::Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => match error.hint() {
                Some(hint) => Err(error).or_hint(attempt, || hint),
                None => Err(error).context(attempt.to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_approvals_count_is_said() {
        let mut repository = Repository::new("/srv/fleet");
        let said = following(&repository);
        assert!(said.contains("branch main of /srv/fleet"), "{said}");
        assert!(
            said.contains("policy/allowed_signers says when a Rollout\nis first seen"),
            "{said}"
        );
        repository.allowed_signers = Some("/etc/signers".into());
        let said = following(&repository);
        assert!(said.contains("what /etc/signers says") && !said.contains("policy/"), "{said}");
    }

    #[test]
    fn members_that_are_left_out_are_named() {
        let said = |held, count| left_out(held, count).unwrap_or_default();
        assert_eq!((said(None, 3), said(Some(3), 3), said(Some(2), 3)), Default::default());
        assert!(said(Some(3), 2).starts_with("member3 is known"));
        assert!(said(Some(5), 2).starts_with("member3 to member5 are known"));
    }
}
