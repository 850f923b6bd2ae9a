//! `tidegate approve`.

mod commit;
mod gate;
mod patch;
mod worktree;

use self::gate::Gate;
use super::{
    args::ApproveArgs, exit::Exit, failure::hinted, find::full_name, hub, output, status::place,
};

pub(super) async fn run(args: &ApproveArgs) -> anyhow::Result<Exit> {
    let hub = hub::connect(&args.hub).await?;
    let rollout = hub.rollout(&args.rollout).await?;
    let name = full_name(&rollout);
    let said = rollout.status.as_ref().and_then(|status| status.message.clone());
    let said = said.unwrap_or_else(|| "nothing is known about it yet".to_owned());
    let Some(run) = hub.run_of(&rollout).await? else {
        return Err(hinted(format!("{name} has no run, so nothing waits for approval"), said));
    };
    let gate = Gate::find(&run, args.stage.as_deref(), &said)?;
    if args.patch {
        return patch::approve(&hub, &name, &run, &gate, args).await;
    }
    let approval = commit::approve(&rollout, &run, &gate, args)?;
    let as_whom = approval.by.map_or_else(String::new, |person| format!(", as {person}"));
    output::write(
        format!(
            "approved {name} {gate}{as_whom}: {} in commit {}\n",
            approval.path,
            approval.commit.short(),
        )
        .as_bytes(),
    )?;
    if !approval.is_there {
        anstream::eprintln!(
            "It counts once it is on {}: git push, or open a pull request with it.",
            place(&rollout)
        );
    }
    Ok(Exit::Done)
}
