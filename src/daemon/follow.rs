//! One repository, followed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    checkout::Checkout,
    history::{self, Range},
    report::{Read, Report},
    source::Source,
};
use crate::{
    api::{
        self,
        rollout::{ApprovalRecord, SourceStatus},
    },
    git::{GitError, Poll, Relation, Remote, watch::Watch},
    manifest::Limits,
    model::{CommitId, Hint as _, ObjectName},
    render::{Survey, repository::is_never_content},
    sync::News,
};

/// A source, and what was read of it last.
pub(super) struct Followed {
    pub(super) source: Source,
    state: Mutex<State>,
    pub(super) limits: Limits,
    pub(super) report: Report,
}

/// What a look at the branch found.
#[derive(Default)]
pub(super) struct Turn {
    /// The Rollouts that have to be looked at; nothing for all.
    pub(super) concerned: Option<BTreeSet<ObjectName>>,
    /// The new tip, if there is one.
    pub(super) read: Option<Read>,
}

#[derive(Default)]
struct State {
    checkout: Option<Arc<Checkout>>,
    trouble: Option<String>,
    /// By what was accepted, and the tip.
    ranges: HashMap<(Accepted, CommitId), Range>,
    /// Earlier commits that Rollouts went back to, newest last.
    earlier: Vec<(CommitId, Arc<Survey>)>,
}

/// Reading a repository may take this long, its network included.
const READ_DEADLINE: Duration = Duration::from_secs(120);
const RANGES_KEPT: usize = 64;
const EARLIER_KEPT: usize = 4;

impl Followed {
    /// Returns a source of which nothing is read yet. `found` is what the hub tells of sources.
    pub(super) fn new(source: Source, limits: Limits, found: &[api::Source]) -> Arc<Self> {
        let spec = source.spec();
        let found = found.iter().find(|found| found.spec == spec);
        let report = Report::new(spec, found.and_then(|found| found.status.clone()));
        Arc::new(Self { source, state: Mutex::default(), limits, report })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn checkout(&self) -> Option<Arc<Checkout>> {
        self.state().checkout.clone()
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    pub(super) fn kept(&self, commit: &CommitId) -> Option<Arc<Survey>> {
        let state = self.state();
        let held = state.earlier.iter().find(|(held, _)| held == commit);
        held.map(|(_, survey)| survey.clone())
    }

    pub(super) fn keep_survey(&self, commit: CommitId, survey: Survey) -> Arc<Survey> {
        let survey = Arc::new(survey);
        let mut state = self.state();
        if state.earlier.len() >= EARLIER_KEPT {
            state.earlier.remove(0);
        }
        state.earlier.push((commit, survey.clone()));
        survey
    }

    /// Follows the branch until `stop`. `changed` is called with what there is to be looked at.
    pub(super) async fn keep(
        self: Arc<Self>,
        stop: CancellationToken,
        changed: impl Fn(Turn) + Send + 'static,
    ) {
        let mut watch = None;
        let mut failures = 0_u32;
        loop {
            if watch.is_none()
                && let Remote::Local(path) = self.source.repository.remote()
            {
                watch = Watch::start(path);
            }
            match self.clone().look().await {
                Ok(None) => failures = 0,
                Ok(Some(turn)) => {
                    failures = 0;
                    changed(turn);
                }
                Err(trouble) => {
                    failures = failures.saturating_add(1);
                    let fresh = {
                        let mut state = self.state();
                        let fresh = state.trouble.as_ref() != Some(&trouble);
                        state.trouble = Some(trouble.clone());
                        fresh
                    };
                    if fresh {
                        let repository = self.source.display();
                        tracing::warn!(%repository, %trouble, "the repository cannot be read");
                        changed(Turn::default());
                    }
                }
            }
            let wait = self.source.interval.saturating_mul(1 << failures.min(5));
            let wait = if failures > 0 {
                wait.min(self.source.interval.max(Duration::from_secs(60)))
            } else {
                wait
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = told(watch.as_mut()) => {}
            }
        }
    }

    /// Polls once. Returns what there is to be looked at, if anything.
    async fn look(self: Arc<Self>) -> Result<Option<Turn>, String> {
        let work = tokio::task::spawn_blocking(move || self.look_now());
        match tokio::time::timeout(READ_DEADLINE, work).await {
            Ok(Ok(result)) => result.map_err(|error| words(&error)),
            Ok(Err(panic)) => Err(format!("reading broke down: {panic}")),
            Err(_) => Err(format!("no answer in {} seconds", READ_DEADLINE.as_secs())),
        }
    }

    fn look_now(&self) -> Result<Option<Turn>, GitError> {
        let (before, troubled) = {
            let state = self.state();
            (state.checkout.clone(), state.trouble.is_some())
        };
        let tip = match self.source.repository.poll(before.as_ref().map(|c| &c.tip))? {
            Poll::Unchanged if troubled => {
                self.state().trouble = None;
                return Ok(Some(Turn::default()));
            }
            Poll::Unchanged => return Ok(None),
            Poll::Tip(tip) => tip,
        };
        let span = tracing::info_span!("checkout", repository = %self.source.display(), commit = %tip.short());
        let _entered = span.enter();
        let checkout = Checkout::read(&self.source, tip, before.as_deref(), &self.limits)?;
        for note in &checkout.survey.notes {
            tracing::debug!(%note, "noted");
        }
        tracing::info!(rollouts = checkout.survey.rollouts.len(), "a new tip was read");
        let last = self.report.tip();
        // What cannot be compared may have been rewritten.
        let relation = last.as_ref().map_or(Relation::Diverged, |last| {
            let relation = self.source.repository.relation(last, &checkout.tip);
            relation.unwrap_or(Relation::Diverged)
        });
        // A tip that was read too late for anybody to hear of it: then all are looked at for both.
        let before = before.filter(|before| last.as_ref() == Some(&before.tip));
        let concerned = before.and_then(|before| self.concerned(&before, &checkout, &relation));
        let read = (relation != Relation::Same).then(|| Read::of(&checkout.tip, relation));
        let mut state = self.state();
        state.checkout = Some(Arc::new(checkout));
        state.trouble = None;
        Ok(Some(Turn { concerned, read }))
    }

    /// Returns the Rollouts that a new tip concerns; nothing when it may concern all.
    fn concerned(
        &self,
        before: &Checkout,
        after: &Checkout,
        relation: &Relation,
    ) -> Option<BTreeSet<ObjectName>> {
        let changed = self
            .source
            .repository
            .changed_paths(&before.tip, &after.tip, &self.source.folder)
            .ok()?;
        let any_policy = changed.iter().any(|path| is_never_content(path));
        let approvals = |checkout: &Checkout| {
            checkout.repository.approvals().map(|m| m.object.clone()).collect::<Vec<_>>()
        };
        // Rewritten history concerns all, whatever the files say; so does what was said on the way and is in no file now.
        let quiet = match relation {
            Relation::Ahead(commits) => !history::any_word(&self.source, commits),
            _ => false,
        };
        if any_policy || !quiet || approvals(before) != approvals(after) {
            return None;
        }
        let (old, new) = (&before.survey.rollouts, &after.survey.rollouts);
        let names = old.keys().chain(new.keys());
        let differs = |name: &&ObjectName| {
            old.get(*name) != new.get(*name)
                || before.survey.contests.get(*name) != after.survey.contests.get(*name)
                || before.content_commits.get(*name) != after.content_commits.get(*name)
        };
        Some(names.filter(differs).cloned().collect())
    }

    /// Returns the news for a Rollout that accepted a commit before. `others` are what the other Rollouts of this source have
    /// accepted: one that is seen for the first time goes by the policy that is in force for them.
    pub(super) async fn news(
        self: &Arc<Self>,
        accepted: Option<Accepted>,
        others: impl IntoIterator<Item = Accepted>,
        tip: &CommitId,
        concerns: impl Fn(&ApprovalRecord) -> bool,
        now: jiff::Timestamp,
    ) -> Result<News, String> {
        let Some(accepted) = accepted else {
            return self.first(others, tip, now).await;
        };
        Ok(match self.range(accepted, tip, now).await? {
            Range::None => News::None,
            Range::Rewritten(why, policy_commit) => News::Rewritten { why, policy_commit },
            Range::Commits { found, policy_commit } => News::Commits {
                approvals: found.into_iter().filter(concerns).collect(),
                policy_commit,
            },
        })
    }

    async fn first(
        self: &Arc<Self>,
        others: impl IntoIterator<Item = Accepted>,
        tip: &CommitId,
        now: jiff::Timestamp,
    ) -> Result<News, String> {
        for accepted in others {
            let held = accepted.policy.clone();
            let policy_commit = match self.range(accepted, tip, now).await? {
                Range::None => held,
                Range::Rewritten(_, policy_commit) | Range::Commits { policy_commit, .. } => {
                    policy_commit
                }
            };
            if history::names_somebody(&self.source, policy_commit.as_ref()) {
                return Ok(News::First { policy_commit });
            }
        }
        Ok(News::First { policy_commit: history::first(&self.source, tip) })
    }

    /// Returns what the commits up to the tip bring. Blocking work is done aside, and kept.
    async fn range(
        self: &Arc<Self>,
        accepted: Accepted,
        tip: &CommitId,
        now: jiff::Timestamp,
    ) -> Result<Range, String> {
        if accepted.commit == *tip {
            return Ok(Range::None);
        }
        let key = (accepted, tip.clone());
        let known = self.state().ranges.get(&key).cloned();
        if let Some(range) = known {
            return Ok(range);
        }
        let (held, asked) = (self.clone(), key.clone());
        let work = tokio::task::spawn_blocking(move || {
            let (Accepted { commit, policy }, tip) = &asked;
            history::range(&held.source, commit, policy.as_ref(), tip, &held.limits, now)
        });
        let range =
            work.await.map_err(|error| error.to_string())?.map_err(|error| words(&error))?;
        let mut state = self.state();
        if state.ranges.len() >= RANGES_KEPT {
            state.ranges.clear();
        }
        state.ranges.insert(key, range.clone());
        Ok(range)
    }
}

/// How far a Rollout has read its branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Accepted {
    /// The newest commit that was accepted.
    pub(super) commit: CommitId,
    /// The commit whose policy is in force; nothing when the configured one is.
    pub(super) policy: Option<CommitId>,
}

impl Accepted {
    /// Returns what a status says of it.
    pub(super) fn of(source: &SourceStatus) -> Option<Self> {
        let policy = source.policy_commit.as_deref().and_then(|id| id.parse().ok());
        Some(Self { commit: source.commit.parse().ok()?, policy })
    }
}

async fn told(watch: Option<&mut Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

pub(super) fn words(error: &GitError) -> String {
    match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}
