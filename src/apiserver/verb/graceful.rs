//! The end of objects that take their time: a pod goes when its node has stopped it, or at once where none runs it
//! (`rest.BeforeDelete` and the strategy of pods).

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::delete::{Deleted, Deletion, check_preconditions, set_propagation};
use crate::apiserver::{
    failure::Failure,
    object,
    registry::Resource,
    server::Server,
    store::{CommitError, Key, Write},
};

/// Whether objects of a kind are given time to end.
pub(super) fn takes_time(resource: &Resource) -> bool {
    resource.is("", "Pod")
}

/// What a deletion means for an object.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It has this many seconds from now on.
    Marked(i64),
    /// It is ending already, and not sooner for this.
    Pending,
    /// Its time is over.
    Over,
}

/// Deletes a pod, or lets it end.
pub(super) async fn delete(
    server: &Server,
    resource: &Resource,
    key: &Key,
    deletion: &Deletion,
) -> Result<Deleted, Failure> {
    let definition = &resource.definition;
    loop {
        let stored =
            server.store.get(key).ok_or_else(|| Failure::not_found(definition, &key.name))?;
        check_preconditions(resource, &stored, deletion)?;
        let mut last = stored.value();
        let step = mark(&mut last, deletion.grace, server.now());
        if step == Step::Pending {
            return Ok(Deleted::Waiting(stored));
        }
        set_propagation(&mut last, deletion.propagation);
        let held = !object::finalizers(&last).is_empty();
        let goes = !held && matches!(step, Step::Over | Step::Marked(0));
        if deletion.dry_run {
            return Ok(Deleted::WouldWait(last));
        }
        let mut from = stored.revision;
        let mut object = last;
        let waiting = if object == stored.value() {
            stored
        } else {
            // A pod that goes at once is seen as going first, as watches of kube-apiserver see it.
            let write = Write {
                key: key.clone(),
                from: Some(from),
                object,
                delete: false,
                relies_on: None,
            };
            match server.store.commit(write).await {
                Ok(stored) => stored,
                Err(CommitError::Stale) => continue,
                Err(other) => return Err(other.into()),
            }
        };
        if !goes {
            return Ok(Deleted::Waiting(waiting));
        }
        (from, object) = (waiting.revision, waiting.value());
        let write =
            Write { key: key.clone(), from: Some(from), object, delete: true, relies_on: None };
        match server.store.commit(write).await {
            Ok(stored) => return Ok(Deleted::Gone(stored)),
            // It changed in between; what is left of it is deleted the same way.
            Err(CommitError::Stale) if server.store.get(key).is_none() => {
                return Ok(Deleted::Gone(waiting));
            }
            Err(CommitError::Stale) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

/// Gives a pod its time, or less of it.
fn mark(pod: &mut Value, grace: Option<i64>, now: Timestamp) -> Step {
    // What is negative is the shortest time there is.
    let grace = grace.map(|seconds| if seconds < 0 { 1 } else { seconds });
    if let Some(deleted) = object::metadata(pod, "deletionTimestamp") {
        let until = deleted.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let had = object::metadata(pod, "deletionGracePeriodSeconds").and_then(Value::as_i64);
        let had = had.map(|seconds| if seconds < 0 { 1 } else { seconds }).unwrap_or(0);
        return match (grace, until) {
            _ if had == 0 => Step::Over,
            (Some(grace), Some(until)) if grace < had => {
                let sooner = until.saturating_sub(SignedDuration::from_secs(had - grace));
                set_end(pod, sooner.unwrap_or(until), grace);
                Step::Marked(grace)
            }
            _ => Step::Pending,
        };
    }
    let number = |at: &str| pod.pointer(at).and_then(Value::as_i64);
    let text = |at: &str| pod.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let own = number("/spec/terminationGracePeriodSeconds").unwrap_or(0);
    let runs = !text("/spec/nodeName").is_empty()
        && !matches!(text("/status/phase"), "Failed" | "Succeeded");
    let grace = match (runs, grace.unwrap_or(own)) {
        (false, _) => 0,
        (true, seconds) if seconds < 0 => 1,
        (true, seconds) => seconds,
    };
    let until = now.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(now);
    set_end(pod, until, grace);
    if let Some(generation) = object::metadata(pod, "generation").and_then(Value::as_i64) {
        object::set(pod, "generation", (generation + 1).into());
    }
    Step::Marked(grace)
}

fn set_end(pod: &mut Value, until: Timestamp, grace: i64) {
    object::set(pod, "deletionTimestamp", object::time(until).into());
    object::set(pod, "deletionGracePeriodSeconds", grace.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_has_the_time_that_it_says_or_less() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let running = json!({"metadata": {"generation": 1}, "status": {"phase": "Running"},
                             "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}});
        let mut waiting = running.clone();
        waiting["spec"]["nodeName"] = Value::Null;
        let mut done = running.clone();
        done["status"]["phase"] = "Succeeded".into();
        let table = [
            (&running, None, 30, "2026-01-01T00:00:30Z"),
            (&running, Some(5), 5, "2026-01-01T00:00:05Z"),
            (&running, Some(-7), 1, "2026-01-01T00:00:01Z"),
            (&running, Some(0), 0, "2026-01-01T00:00:00Z"),
            (&waiting, Some(5), 0, "2026-01-01T00:00:00Z"),
            (&done, None, 0, "2026-01-01T00:00:00Z"),
        ];
        for (pod, asked, grace, until) in table {
            let mut pod = pod.clone();
            assert_eq!(mark(&mut pod, asked, now), Step::Marked(grace));
            assert_eq!(pod["metadata"]["deletionTimestamp"], until);
            assert_eq!(pod["metadata"]["generation"], 2);
        }
        let mut pod = running;
        mark(&mut pod, None, now);
        assert_eq!(mark(&mut pod, None, now), Step::Pending);
        assert_eq!(mark(&mut pod, Some(60), now), Step::Pending);
        assert_eq!(mark(&mut pod, Some(10), now), Step::Marked(10));
        assert_eq!(pod["metadata"]["deletionTimestamp"], "2026-01-01T00:00:10Z");
        assert_eq!(mark(&mut pod, Some(0), now), Step::Marked(0));
        assert_eq!(mark(&mut pod, Some(0), now), Step::Over);
        assert_eq!(pod["metadata"]["generation"], 2);
    }
}
