//! What a Rollout wanted at an earlier commit: the content that the failure policy goes back to.

use std::sync::Arc;

use super::{
    checkout::{self, Checkout},
    follow::{Followed, words},
};
use crate::{
    model::{CommitId, ObjectName},
    render::Wanted,
};

impl Followed {
    /// Returns whether a Rollout's content left Git since a commit, and came back. What cannot be told is not so.
    pub(super) async fn came_back(
        self: &Arc<Self>,
        name: &ObjectName,
        since: &CommitId,
        now: &Checkout,
    ) -> bool {
        let Some(Ok(wanted)) = now.survey.rollouts.get(name) else { return false };
        let (held, since, tip) = (self.clone(), since.clone(), now.tip.clone());
        let (name, wanted) = (name.clone(), wanted.clone());
        let work = tokio::task::spawn_blocking(move || {
            checkout::came_back(&held.source, &since, &tip, &name, &wanted, &held.limits)
        });
        matches!(work.await, Ok(Ok(true)))
    }

    /// Reads an earlier commit. What was read last is kept.
    ///
    /// # Errors
    /// Why there is nothing to go back to, for people.
    pub(super) async fn earlier(
        self: &Arc<Self>,
        name: &ObjectName,
        commit: &CommitId,
        now: &Checkout,
    ) -> Result<Wanted, String> {
        let survey = match self.kept(commit) {
            Some(survey) => survey,
            None => {
                let (held, commit) = (self.clone(), commit.clone());
                let read = tokio::task::spawn_blocking(move || {
                    let survey = checkout::survey(&held.source, &commit, &held.limits)?;
                    Ok(held.keep_survey(commit, survey))
                });
                let read = read.await.map_err(|error| error.to_string())?;
                read.map_err(|error| words(&error))?
            }
        };
        let wanted = match survey.rollouts.get(name) {
            None => return Err("the Rollout is not in it".to_owned()),
            Some(Err(faults)) => {
                let fault = faults.first().map(ToString::to_string).unwrap_or_default();
                return Err(format!("it cannot be rendered: {fault}"));
            }
            Some(Ok(wanted)) => wanted.clone(),
        };
        // What another Rollout has taken over since is no longer ours to set back.
        for (other, theirs) in now.survey.rollouts.iter().filter(|(other, _)| *other != name) {
            let Ok(theirs) = theirs else { continue };
            if let Some(object) = wanted
                .content
                .iter()
                .find(|ours| theirs.objects().any(|theirs| theirs.key == ours.key))
            {
                return Err(format!("{} belongs to Rollout {other} by now", object.key));
            }
        }
        Ok(wanted)
    }
}
