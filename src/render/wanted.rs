//! What each Rollout of a repository wants.

mod blame;
mod claim;
mod head;
mod note;
mod parts;

use std::collections::BTreeMap;

pub use self::claim::Contest;
use self::{
    blame::blame,
    claim::Claims,
    head::heads,
    note::ignored,
    parts::{Catalog, Parts},
};
use super::{Fault, Intent, Repository, StrategyChoice};
use crate::{
    manifest::{Manifest, Place},
    model::{Digest, ObjectName, Scope},
};

/// What a Rollout wants, complete and without faults that can be seen in Git alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The Rollout.
    pub name: ObjectName,
    /// Where its placement, strategy and runs live.
    pub scope: Scope,
    /// The Rollout's object, as written.
    pub rollout: Manifest,
    /// The Rollout's spec, understood.
    pub intent: Intent,
    /// Where the content is: a path from the top of the repository.
    pub content_path: String,
    /// The content, in the order of applying. Never empty.
    pub content: Vec<Manifest>,
    /// Digest of the content.
    pub digest: Digest,
    /// The strategy, if the repository has it; the Rollout's own, if it brings stages.
    pub strategy: Option<Manifest>,
    /// The strategy of rollbacks, if there is another one for them and the repository has it.
    pub rollback_strategy: Option<Manifest>,
    /// The placement, if the repository has it.
    pub placement: Option<Manifest>,
}

impl Wanted {
    /// Returns the strategy's name.
    pub fn strategy_name(&self) -> &str {
        match &self.intent.strategy {
            StrategyChoice::Named(name) => name,
            StrategyChoice::Inline(_) => &self.name.name,
        }
    }

    /// Returns the name of the strategy for content that was everywhere before.
    pub fn rollback_strategy_name(&self) -> &str {
        self.intent.rollback_strategy.as_deref().unwrap_or_else(|| self.strategy_name())
    }

    /// Returns the strategies that are applied.
    pub fn strategies(&self) -> impl Iterator<Item = &Manifest> {
        self.strategy.iter().chain(&self.rollback_strategy)
    }

    /// Returns everything that is applied: content, strategies, placement.
    pub fn objects(&self) -> impl Iterator<Item = &Manifest> {
        self.content.iter().chain(self.strategies()).chain(&self.placement)
    }
}

/// All Rollouts of a repository, and what else is worth a word.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Each Rollout, or what is wrong with it.
    pub rollouts: BTreeMap<ObjectName, Result<Wanted, Vec<Fault>>>,
    /// What a Rollout wants that others want, too.
    pub contests: BTreeMap<ObjectName, Vec<Contest>>,
    /// Where each Rollout stands.
    pub places: BTreeMap<ObjectName, Place>,
    /// Files that could not be read and may have held anything.
    pub unreadable: Vec<Fault>,
    /// What is ignored, and why.
    pub notes: Vec<Fault>,
}

impl Survey {
    /// Returns everything that is wrong with a Rollout as far as Git tells: what several want is nobody's.
    pub fn faults(&self, name: &ObjectName) -> impl Iterator<Item = &Fault> {
        let own = self.rollouts.get(name).and_then(|wanted| wanted.as_ref().err());
        let contested = self.contests.get(name).into_iter().flatten();
        own.into_iter().flatten().chain(contested.map(|contest| &contest.fault))
    }
}

/// Surveys a repository. Faults of one Rollout are no other Rollout's.
pub fn wanted(repository: &Repository) -> Survey {
    let mut survey = Survey::default();
    let heads = heads(repository, &mut survey);
    let catalog = Catalog::of(repository);
    let broken = blame(repository, &heads, &mut survey);
    let mut claims = Claims::default();
    for (at, head) in heads.iter().enumerate() {
        let name = head.name.clone();
        survey.places.insert(name.clone(), head.manifest.place.clone());
        let mut faults = broken.get(&at).cloned().unwrap_or_default();
        faults.extend(repository.excess.clone());
        let assembled = match (&head.intent, &head.content_path) {
            (Ok(intent), Ok(path)) => {
                let parts = Parts { head, intent, path, repository, catalog: &catalog };
                parts.assemble(&survey.unreadable, &mut faults)
            }
            (intent, path) => {
                faults.extend(intent.as_ref().err().into_iter().flatten().cloned());
                faults.extend(path.as_ref().err().cloned());
                None
            }
        };
        if let Some(wanted) = &assembled {
            claims.take(wanted);
        }
        let result = match assembled {
            Some(wanted) if faults.is_empty() => Ok(wanted),
            _ => Err(faults),
        };
        survey.rollouts.insert(name, result);
    }
    survey.contests = claims.contests();
    ignored(repository, &heads, &mut survey);
    survey
}

#[cfg(test)]
mod tests;
