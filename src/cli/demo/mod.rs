//! `tidegate demo`: the tutorial as a scripted minute.

mod repository;
mod signer;
mod story;

use anyhow::ensure;
use kube::{Api, api::ListParams};
use tokio_util::sync::CancellationToken;

pub(crate) use signer::sign;

use self::{
    repository::Repository,
    signer::Signer,
    story::{Stage, show},
};
use super::{args::DemoArgs, exit::Exit, failure::OrHint, follow, output::Table};
use crate::{
    api::kind,
    clock, config,
    daemon::FirstPolicy,
    engine::Options,
    local::{Fleet, Storage, tutorial_members},
    telemetry::log::{self, Verbosity},
};

pub(super) async fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    log::start(Verbosity::Warnings);
    let folder = Folder::create()?;
    let signer = Signer::create(&folder.0)?;
    let repository = Repository::create(&folder.0, &signer)?;
    let fleet =
        Fleet::start(Storage::Memory, tutorial_members(3), Some(Options::default())).await?;
    let stop = CancellationToken::new();
    let followed = config::Repository::new(repository.path().to_string_lossy());

    let told = async {
        let members = super::local::members_table(fleet.members());
        show(&format!("A hub and three member clusters, embedded in this process:\n\n{members}"));
        let clock = clock::system();
        let stage = Stage {
            repository: &repository,
            hub: fleet.hub(),
            members: fleet.member_clients(),
            clock: clock.as_ref(),
        };
        play(&stage, args, || {
            let mirrors = folder.0.join("mirrors");
            follow::start(
                fleet.hub(),
                std::slice::from_ref(&followed),
                &mirrors,
                &FirstPolicy::FirstCommit,
                stop.clone(),
            )
        })
        .await
    };
    let result = tokio::select! {
        result = told => result,
        () = super::shutdown::requested() => Err(anyhow::anyhow!("interrupted")),
    };
    stop.cancel();
    fleet.shut_down().await;
    result.map(|()| Exit::Done)
}

async fn play(
    stage: &Stage<'_>,
    args: &DemoArgs,
    daemon: impl FnOnce() -> anyhow::Result<follow::Following>,
) -> anyhow::Result<()> {
    let wait = args.wait.to_string();
    stage.tell("A repository with the tutorial's fleet: a placement, a strategy with two stages, a ConfigMap `key: value1`.");
    stage.tell(&format!("The tutorial waits 1m after staging. This demo is in a hurry: {wait}."));
    stage.repository.replace(
        "strategies/example-strategy.yaml",
        "waitTime: 1m",
        &format!("waitTime: {wait}"),
    )?;
    stage.tell("Who may approve stands in policy/allowed_signers of the first commit that the daemon sees: here, a throw-away key.");
    let first = stage.commit("web: value1", true)?;
    let daemon = daemon()?;

    let one = stage.follow(&first).await?;
    stage.expect_everywhere("value1").await?;

    stage.tell("A push rolls out.");
    stage.type_command("sed -i s/value1/value2/ apps/web/manifests/configmap.yaml");
    stage.repository.replace("apps/web/manifests/configmap.yaml", "value1", "value2")?;
    let second = stage.commit("web: value2", false)?;
    let two = stage.follow(&second).await?;
    let before = stage.expect_everywhere("value2").await?;
    ensure!(two.index != one.index, "new content has a snapshot of its own");

    stage.tell("A revert rolls back, to the snapshot that is already there.");
    let snapshots = snapshot_count(stage).await?;
    stage.type_command("git revert --no-edit HEAD~1 && git push");
    stage.repository.git(&["revert", "--no-edit", "--no-gpg-sign", &second])?;
    let three = stage.follow(&stage.head()?).await?;
    let after = stage.expect_everywhere("value1").await?;
    ensure!(
        three.index == one.index,
        "the revert maps to index {}, not to {}",
        one.index,
        three.index
    );
    ensure!(snapshot_count(stage).await? == snapshots, "the revert needs no new snapshot");

    stage.tell("What the members really have:");
    let mut table = Table::new(&["MEMBER", "BEFORE THE REVERT", "AFTER"]);
    for (member, value) in &before {
        table.row([member.clone(), value.clone(), after.get(member).cloned().unwrap_or_default()]);
    }
    show(&format!("\n{}", table.render()));
    show(&format!(
        "\n{} rolled out index {}, {} index {}, and {} index {} again: no new snapshot.\n\nNext, by hand: docs/tutorial/first-rollout.md\n",
        one.run, one.index, two.run, two.index, three.run, three.index
    ));
    drop(daemon);
    Ok(())
}

async fn snapshot_count(stage: &Stage<'_>) -> anyhow::Result<usize> {
    let resource = kind::CLUSTER_RESOURCE_SNAPSHOT.resource();
    let snapshots: Api<kube::core::DynamicObject> = Api::all_with(stage.hub.clone(), &resource);
    Ok(snapshots.list_metadata(&ListParams::default()).await?.items.len())
}

/// A temporary folder that is gone when the demo is.
struct Folder(std::path::PathBuf);

impl Folder {
    fn create() -> anyhow::Result<Self> {
        let path =
            std::env::temp_dir().join(format!("tidegate-demo-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path)
            .or_hint(format!("cannot make the folder `{}`", path.display()), || {
                "set TMPDIR to a folder that you may write to".to_owned()
            })?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
