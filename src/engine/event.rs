//! Kubernetes Events about runs: what a person sees in `kubectl describe`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{Api, api::PostParams};

use super::{Context, Key};
use crate::{
    api::{self, kind, meta},
    rollout::{Transition, Weight},
};

/// How many events one write of a status may make: a run over a thousand clusters must not flood the hub.
const EVENTS_MAX: usize = 50;
/// Kubernetes refuses longer messages.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Tells what happened to a run, beside the run's own work: an event that gets lost is no loss.
pub(super) fn tell(ctx: &Arc<Context>, key: &Key, run: &api::Run, transitions: Vec<Transition>) {
    let client = ctx.hub.client().clone();
    let now = ctx.now();
    let namespace = key.scope.namespace().unwrap_or("default").to_owned();
    let about = ObjectReference {
        api_version: Some(kind::run(&key.scope).api_version()),
        kind: Some(kind::run(&key.scope).name.to_owned()),
        name: Some(key.name.clone()),
        namespace: key.scope.namespace().map(str::to_owned),
        uid: run.metadata.uid.clone(),
        resource_version: run.metadata.resource_version.clone(),
        field_path: None,
    };
    tokio::spawn(async move {
        let events: Api<Event> = Api::namespaced(client, &namespace);
        for (number, transition) in transitions.into_iter().take(EVENTS_MAX).enumerate() {
            let event = event(&about, &namespace, transition, now, number);
            if let Err(error) = events.create(&PostParams::default(), &event).await {
                tracing::debug!(%error, "an event was lost");
                return;
            }
        }
    });
}

/// `number` is its place among those of the same moment: lists are in the order of names, which are in the order of time.
fn event(
    about: &ObjectReference,
    namespace: &str,
    told: Transition,
    now: Timestamp,
    number: usize,
) -> Event {
    let mut message = told.message;
    if message.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX - 3).rev().find(|at| message.is_char_boundary(*at));
        message.truncate(end.unwrap_or_default());
        message.push_str("...");
    }
    let kind = if told.weight == Weight::Warning { "Warning" } else { "Normal" };
    let name = about.name.as_deref().unwrap_or_default();
    let nanoseconds = now.as_nanosecond();
    // Another process may tell of the same moment.
    let unique = uuid::Uuid::new_v4().as_fields().0;
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{nanoseconds:016x}{number:02x}{unique:08x}")),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: about.clone(),
        reason: Some(told.reason),
        message: Some(message),
        type_: Some(kind.to_owned()),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        source: Some(EventSource { component: Some(meta::ENGINE_MANAGER.to_owned()), host: None }),
        reporting_component: Some(meta::ENGINE_MANAGER.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_too_long_is_cut_between_characters() {
        let told = Transition {
            reason: "UpdateRunFailed".to_owned(),
            message: "\u{e9}".repeat(1000),
            weight: Weight::Warning,
        };
        let event = event(&ObjectReference::default(), "default", told, Timestamp::UNIX_EPOCH, 0);
        let message = event.message.unwrap();
        assert!(message.len() <= MESSAGE_BYTES_MAX && message.ends_with("\u{e9}..."));
        assert_eq!(event.type_.as_deref(), Some("Warning"));
    }

    #[test]
    fn names_are_in_the_order_of_what_happened() {
        let name = |second: i64, number: usize| {
            let now = Timestamp::from_second(second).unwrap();
            let told = Transition {
                reason: "R".to_owned(),
                message: String::new(),
                weight: Weight::Normal,
            };
            event(&ObjectReference::default(), "default", told, now, number).metadata.name.unwrap()
        };
        let at = 1_795_851_200;
        let names = [name(at, 0), name(at, 1), name(at, 49), name(at + 1, 0), name(at + 1, 1)];
        assert!(names.is_sorted(), "{names:?}");
    }
}
