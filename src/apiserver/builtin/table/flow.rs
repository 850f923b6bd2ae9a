//! Columns of flow schemas and priority levels.

use serde_json::Value;

use super::{
    super::value::{list, number, text},
    Column,
    shared::{age, text as words},
};

const NONE: &str = "<none>";

/// The columns of FlowSchemas.
pub(super) fn schema() -> Vec<Column> {
    vec![
        words("PriorityLevel", "The level that the requests have.", |o, _| {
            text(o, "/spec/priorityLevelConfiguration/name").into()
        }),
        words("MatchingPrecedence", "Which schema is asked first.", |o, _| {
            number(o, "/spec/matchingPrecedence").unwrap_or(0).into()
        }),
        words("DistinguisherMethod", "By what requests are told apart.", |o, _| {
            let method = o.pointer("/spec/distinguisherMethod/type").and_then(Value::as_str);
            method.unwrap_or(NONE).into()
        }),
        age(),
        words("MissingPL", "Whether the level is missing.", |o, _| {
            let conditions = list(o, "/status/conditions").iter();
            let dangling = conditions.into_iter().find(|c| c["type"] == "Dangling");
            dangling.map_or("?", |condition| text(condition, "/status")).into()
        }),
    ]
}

/// The columns of PriorityLevelConfigurations.
pub(super) fn level() -> Vec<Column> {
    fn limited(object: &Value, at: &str) -> Value {
        let value = object.pointer("/spec/limited").and_then(|limited| limited.pointer(at));
        value.cloned().unwrap_or_else(|| NONE.into())
    }
    vec![
        words("Type", "Exempt or Limited.", |o, _| text(o, "/spec/type").into()),
        words("NominalConcurrencyShares", "Share of all seats.", |o, _| {
            limited(o, "/nominalConcurrencyShares")
        }),
        words("Queues", "Number of queues.", |o, _| limited(o, "/limitResponse/queuing/queues")),
        words("HandSize", "Queues that a flow may use.", |o, _| {
            limited(o, "/limitResponse/queuing/handSize")
        }),
        words("QueueLengthLimit", "Requests that may wait in a queue.", |o, _| {
            limited(o, "/limitResponse/queuing/queueLengthLimit")
        }),
        age(),
    ]
}
