//! Member clusters (fleet-semantics §2.10).

use super::{
    definition::{Column, Definition},
    schema::{Schema, int32, list, map, object, quantity, root, text, time},
    shared::{Version, conditions},
};
use crate::api::kind;

/// `MemberCluster`.
pub(super) fn member() -> Definition {
    Definition::of_fleet(
        kind::MEMBER_CLUSTER,
        &["cluster"],
        |version| {
            root([("spec", spec(version)), ("status", status(version))])
                .require(["spec"])
                .rule("size(self.metadata.name) < 64", "metadata.name max length is 63")
                .about("A cluster of the fleet. Its labels are what stages select by.")
        },
        vec![
            Column::text("Joined", r#".status.conditions[?(@.type=="Joined")].status"#),
            Column::age(),
            Column::date(
                "Member-Agent-Last-Seen",
                r#".status.agentStatus[?(@.type=="MemberAgent")].lastReceivedHeartbeat"#,
            ),
            Column::text("Node-Count", r".status.properties.kubernetes-fleet\.io/node-count.value"),
            Column::text("Available-CPU", ".status.resourceUsage.available.cpu"),
            Column::text("Available-Memory", ".status.resourceUsage.available.memory"),
            Column::wide("Allocatable-CPU", ".status.resourceUsage.allocatable.cpu"),
            Column::wide("Allocatable-Memory", ".status.resourceUsage.allocatable.memory"),
        ],
    )
}

/// `InternalMemberCluster`.
pub(super) fn internal() -> Definition {
    Definition::of_fleet(
        kind::INTERNAL_MEMBER_CLUSTER,
        &["imc"],
        |version| {
            root([
                (
                    "spec",
                    object([
                        (
                            "state",
                            text().one_of(["Join", "Leave"]).about("What the member should do."),
                        ),
                        ("heartbeatPeriodSeconds", heartbeat_period()),
                    ])
                    .require(["state"])
                    .about("What the member should do."),
                ),
                ("status", status(version).without("namespaces")),
            ])
            .require(["spec"])
            .about("What hub and member tell each other about one member, in that member's namespace on the hub.")
        },
        vec![
            Column::text(
                "Joined",
                r#".status.agentStatus[?(@.type=="MemberAgent")].conditions[?(@.type=="Joined")].status"#,
            ),
            Column::age(),
        ],
    )
}

fn heartbeat_period() -> Schema {
    int32().at_least(1).at_most(600).default(60).about("Seconds between signs of life.")
}

fn spec(version: Version) -> Schema {
    let whole = object([
        (
            "identity",
            object([
                ("kind", text().about("User, Group or ServiceAccount.")),
                ("apiGroup", text().about("Empty for a ServiceAccount.")),
                ("name", text().about("Name.")),
                ("namespace", text().about("Namespace of a ServiceAccount.")),
            ])
            .require(["kind", "name"])
            .atomic()
            .about("The member agent's account on the hub."),
        ),
        ("heartbeatPeriodSeconds", heartbeat_period()),
        (
            "taints",
            list(
                object([
                    ("key", text().about("Key of the taint.")),
                    ("value", text().about("Value of the taint.")),
                    ("effect", text().one_of(["NoSchedule"]).about("What the taint does.")),
                ])
                .require(["effect", "key"]),
            )
            .items_at_most(100)
            .about("Keep placements away that do not tolerate them."),
        ),
        (
            "deleteOptions",
            object([(
                "validationMode",
                text().one_of(["Strict", "Skip"]).default("Strict").about(
                    "Whether the deletion of a member that still has placements is refused.",
                ),
            )])
            .about("What happens when the member is deleted."),
        ),
    ])
    .require(["identity"])
    .about("Who the member is.");
    match version {
        Version::V1 => whole.without("deleteOptions"),
        Version::V1Beta1 => whole,
    }
}

fn status(version: Version) -> Schema {
    let amounts = |about: &str| map(quantity()).about(about);
    let whole = object([
        ("conditions", conditions("ReadyToJoin, Joined, Healthy.")),
        (
            "properties",
            map(object([
                ("value", text().about("The value.")),
                ("observationTime", time().about("When it was read.")),
            ])
            .require(["observationTime", "value"]))
            .about("What the cluster says of itself, by name."),
        ),
        (
            "resourceUsage",
            object([
                ("capacity", amounts("What the nodes have.")),
                ("allocatable", amounts("What of it pods may have.")),
                ("available", amounts("What of it is free.")),
                ("observationTime", time().about("When it was read.")),
            ])
            .about("What the cluster has."),
        ),
        (
            "agentStatus",
            list(
                object([
                    ("type", text().about("Which agent.")),
                    ("conditions", conditions("Joined, Healthy.")),
                    ("lastReceivedHeartbeat", time().about("Its last sign of life.")),
                ])
                .require(["type"]),
            )
            .about("One an agent."),
        ),
        (
            "namespaces",
            map(text()).about(
                "Namespaces that Fleet made on the member, and the AppliedWork that owns each.",
            ),
        ),
    ])
    .about("How the member is.");
    match version {
        Version::V1 => whole.without("namespaces"),
        Version::V1Beta1 => whole,
    }
}
