//! Whether Fleet's controllers know that content changed, and wait for changes to settle before they cut a snapshot
//! (fleet-semantics §3.8).
//!
//! A run without an index does not wait with them: it takes the snapshot that is there, with the content of before.

use jiff::{SignedDuration, Timestamp};

use crate::placement::snapshot::Group;

/// How long changes are collected, and how old the snapshot before must be, where nobody said otherwise …
const COLLECTED: SignedDuration = SignedDuration::from_secs(15);
const APART: SignedDuration = SignedDuration::from_secs(30);
/// … and the most that a hub agent can be told.
const COLLECTED_AT_MOST: SignedDuration = SignedDuration::from_mins(1);
const APART_AT_MOST: SignedDuration = SignedDuration::from_mins(5);

/// A change that Fleet noted and has not taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settling {
    /// When Fleet first saw it.
    pub since: Timestamp,
    /// When a hub agent with the usual settings takes it up.
    pub due: Timestamp,
}

/// Returns the change that Fleet waits with, if it may still do so at `now`. What was noted longer ago than any hub waits
/// was undone since.
pub fn settling(groups: &[Group], now: Timestamp) -> Option<Settling> {
    let latest = groups.iter().rev().find(|group| group.labelled_latest())?;
    let since: Timestamp = latest.change_detected()?.parse().ok()?;
    let cut = latest.master.as_ref()?.metadata.creation_timestamp.as_ref();
    let cut = cut.map_or(since, |cut| cut.0);
    let due = |collected: SignedDuration, apart: SignedDuration| {
        Some(since.checked_add(collected).ok()?.max(cut.checked_add(apart).ok()?))
    };
    let last = due(COLLECTED_AT_MOST, APART_AT_MOST)?;
    (now < last).then_some(Settling { since, due: due(COLLECTED, APART)? })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::api::meta;

    fn group(latest: &str, cut: &str, detected: Option<&str>) -> Group {
        let mut snapshot = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterResourceSnapshot",
            "metadata": {"name": "p-0-snapshot", "creationTimestamp": cut,
                "labels": {meta::RESOURCE_INDEX: "0", meta::IS_LATEST_SNAPSHOT: latest},
                "annotations": {meta::RESOURCE_HASH: "h"}}, "spec": {"selectedResources": []}});
        if let Some(detected) = detected {
            snapshot["metadata"]["annotations"][meta::CHANGE_DETECTED] = detected.into();
        }
        Group::all(&[Arc::new(serde_json::from_value(snapshot).unwrap())]).remove(0)
    }

    #[test]
    fn a_change_settles_as_long_as_a_hub_may_wait() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (long_ago, just_now) = ("2026-01-01T00:00:00Z", "2026-01-01T11:59:50Z");
        let noted = Some("2026-01-01T12:00:00Z");
        for (group, now, due) in [
            (group("true", long_ago, noted), "2026-01-01T12:00:01Z", Some("2026-01-01T12:00:15Z")),
            (group("true", long_ago, noted), "2026-01-01T12:00:59Z", Some("2026-01-01T12:00:15Z")),
            (group("true", long_ago, noted), "2026-01-01T12:01:00Z", None),
            (group("true", just_now, noted), "2026-01-01T12:00:01Z", Some("2026-01-01T12:00:20Z")),
            (group("true", just_now, noted), "2026-01-01T12:04:49Z", Some("2026-01-01T12:00:20Z")),
            (group("true", just_now, noted), "2026-01-01T12:04:50Z", None),
            (group("true", long_ago, None), "2026-01-01T12:00:01Z", None),
            (group("true", long_ago, Some("soon")), "2026-01-01T12:00:01Z", None),
            (group("false", long_ago, noted), "2026-01-01T12:00:01Z", None),
        ] {
            let found = settling(std::slice::from_ref(&group), at(now));
            assert_eq!(found.map(|found| found.due), due.map(at), "{now}");
            assert!(found.is_none_or(|found| Some(found.since) == noted.map(at)));
        }
    }
}
