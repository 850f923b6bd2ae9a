//! Progress in words: for terminals, logs and conditions of our own.

use std::fmt;

use jiff::Timestamp;

use super::{Cause, Phase, Progress};

/// How many stuck clusters a sentence names.
const NAMES_MAX: usize = 3;

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Initialized => "initialized",
            Self::Updating => "updating",
            Self::Waiting => "waiting",
            Self::Stuck => "stuck",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clause = |f: &mut fmt::Formatter<'_>, since: &Option<Timestamp>| match since {
            Some(since) => write!(f, " since {since}"),
            None => Ok(()),
        };
        match self {
            Self::Start { since } => {
                f.write_str("a start")?;
                clause(f, since)
            }
            Self::Resume { since } => {
                f.write_str("a resume")?;
                clause(f, since)
            }
            Self::Approval { request, since, .. } => {
                write!(f, "approval `{request}`")?;
                clause(f, since)
            }
            Self::Timer { stage, until } => write!(f, "the timer of stage {stage} until {until}"),
            Self::Clusters { stage, names, since } => {
                let (named, more) = names.split_at(names.len().min(NAMES_MAX));
                write!(f, "{}", named.join(", "))?;
                if !more.is_empty() {
                    write!(f, " and {} more", more.len())?;
                }
                write!(f, " in stage {stage} since {since}")
            }
        }
    }
}

impl fmt::Display for Progress {
    /// Writes one line: phase, stage, clusters, and what the run waits on or why it failed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.phase)?;
        if !self.stages.is_empty() {
            let (stage, stages) = self.stage_number();
            write!(f, ", stage {stage}/{stages}, clusters {}/{}", self.updated, self.total)?;
        }
        for (at, cause) in self.waiting_on.iter().enumerate() {
            write!(f, "{} {cause}", if at == 0 { ", waiting for" } else { " and" })?;
        }
        match &self.failure {
            Some(failure) => write!(f, ": {failure}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_cause_is_a_clause_with_a_name_and_a_time() {
        let stage = || "canary".to_owned();
        for (cause, text) in [
            (Cause::Start { since: None }, "a start"),
            (Cause::Resume { since: Some(at(0)) }, "a resume since 1970-01-01T00:00:00Z"),
            (
                Cause::Approval {
                    request: "r-before-canary".into(),
                    stage: stage(),
                    since: Some(at(60)),
                },
                "approval `r-before-canary` since 1970-01-01T00:01:00Z",
            ),
            (
                Cause::Timer { stage: stage(), until: at(3600) },
                "the timer of stage canary until 1970-01-01T01:00:00Z",
            ),
            (
                Cause::Clusters {
                    stage: stage(),
                    names: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
                    since: at(1),
                },
                "a, b, c and 2 more in stage canary since 1970-01-01T00:00:01Z",
            ),
        ] {
            assert_eq!(cause.to_string(), text);
        }
    }
}
