//! Would a run with these strategies begin? Asked before anything is ended for one, and while nobody needs one: a strategy is
//! found broken by the commit that breaks it, not by the one that wants to roll out.

use std::collections::BTreeSet;

use super::{
    desk::{Desk, Flow, halt},
    pin::Goal,
};
use crate::{
    api::{
        rollout::reason,
        run::{RunSpec, STATE_RUN},
    },
    model::commit::short,
    render::{Fault, Nature, Wanted},
    sync::{
        release,
        status::{Finding, State},
    },
};

impl Desk<'_> {
    /// Goes on when a run with this strategy would begin, as far as the strategy is concerned.
    pub(super) fn check_strategy(&self, goal: &Goal<'_>, strategy: &str) -> Flow<()> {
        let Some(fault) = self.fault_of(&goal.wanted, strategy) else { return Ok(()) };
        halt(Finding::stalled(
            reason::PREFLIGHT_FAILED,
            format!("{}{}", self.no_run(&fault), self.earlier_run()),
        ))
    }

    /// Adds to what is told of a run that nobody has to replace what would stop the next one.
    pub(super) fn tell_strategies(&self, goal: &Goal<'_>, finding: Finding) -> Finding {
        let wanted = goal.wanted.as_ref();
        let names = BTreeSet::from([wanted.strategy_name(), wanted.rollback_strategy_name()]);
        let faults = names.into_iter().filter_map(|name| self.fault_of(wanted, name));
        let texts: Vec<String> = faults.map(|fault| self.no_run(&fault)).collect();
        if texts.is_empty() {
            return finding;
        }
        let texts = texts.join("; ");
        if finding.state == State::Stalled {
            return Finding { message: format!("{}; {texts}", finding.message), ..finding };
        }
        Finding {
            state: State::Stalled,
            reason: reason::PREFLIGHT_FAILED,
            message: format!("{texts}; {}", finding.message),
            ..finding
        }
    }

    /// Returns what a strategy lacks, with the place in Git that it stands in, or is named in.
    fn fault_of(&self, wanted: &Wanted, strategy: &str) -> Option<Fault> {
        // Without an index, for that one is not looked for here.
        let spec = RunSpec {
            placement_name: wanted.intent.placement.clone(),
            resource_snapshot_index: None,
            staged_rollout_strategy_name: strategy.to_owned(),
            state: None,
        };
        let obstacle = release::rehearse(self.seen, &wanted.name.name, &spec).err()?;
        if obstacle.nature != Nature::Strategy {
            return None;
        }
        let stands = wanted.strategies().find(|manifest| manifest.key.name == strategy);
        let place = stands.unwrap_or(&wanted.rollout).place.clone();
        Some(Fault { place, detail: obstacle.detail, hint: obstacle.hint })
    }

    fn no_run(&self, fault: &Fault) -> String {
        let tip = self.status.source.as_ref().map(|source| source.commit.as_str());
        format!("commit {}: {fault}; no run can be made with it", short(tip.unwrap_or_default()))
    }

    /// Returns what becomes of the run of an earlier commit, if one is not over, to follow on why there is no later one.
    pub(super) fn earlier_run(&self) -> String {
        let running = self.current.as_ref().filter(|run| !release::is_over(run));
        match (&self.status.run, running.map(|run| release::state(run))) {
            (Some(run), Some(STATE_RUN)) => format!("; run {run} of an earlier commit goes on"),
            (Some(run), Some(_)) => format!("; run {run} of an earlier commit stands still"),
            _ => String::new(),
        }
    }
}
