//! The definition of Rollout says what the types hold, and refuses nothing that the daemon must be able to show.

use std::{collections::BTreeSet, fmt::Debug};

use serde_json::{Value, json};
use tidegate::{
    api::{
        crd,
        rollout::{
            ApprovalRecord, InventoryEntry, Pinned, Release, Rollout, RolloutSpec, RolloutStatus,
            SourceStatus,
        },
    },
    apiserver::schema::Schema,
};

fn schema() -> Value {
    let named = |definition: &Value| definition["spec"]["names"]["kind"] == "Rollout";
    let definition = crd::all().into_iter().find(named).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// The wire's names of a type's own fields, as its debug output tells them.
fn fields<T: Default + Debug>() -> BTreeSet<String> {
    let text = format!("{:#?}", T::default());
    let own = text
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| !line.starts_with(' '));
    own.filter_map(|line| line.split_once(':'))
        .map(|(name, _)| {
            let mut words = name.split('_');
            let mut camel = words.next().unwrap_or_default().to_owned();
            for word in words {
                camel.extend(word.chars().next().map(|c| c.to_ascii_uppercase()));
                camel.push_str(&word[1..]);
            }
            if camel == "reference" { "ref".to_owned() } else { camel }
        })
        .collect()
}

#[test]
fn every_field_of_the_types_is_described() {
    let schema = schema();
    for (pointer, wanted) in [
        ("/properties/spec", fields::<RolloutSpec>()),
        ("/properties/status", fields::<RolloutStatus>()),
        ("/properties/status/properties/source", fields::<SourceStatus>()),
        ("/properties/status/properties/inventory/items", fields::<InventoryEntry>()),
        ("/properties/status/properties/approvals/items", fields::<ApprovalRecord>()),
        ("/properties/status/properties/history/items", fields::<Release>()),
        ("/properties/status/properties/pinned", fields::<Pinned>()),
    ] {
        assert!(wanted.len() > 2, "{pointer}: {wanted:?}");
        let properties = schema.pointer(pointer).unwrap()["properties"].as_object().unwrap();
        let described: BTreeSet<String> = properties.keys().cloned().collect();
        assert_eq!(described, wanted, "{pointer}");
    }
}

#[test]
fn a_rollout_that_makes_no_sense_can_be_stored_and_read() {
    let schema = Schema::compile(&schema()).unwrap();
    for spec in [
        json!({}),
        json!({"manifests": "./m", "placmentName": "p"}),
        json!({"manifests": {"path": "m", "helm": {}}, "placementName": "Not A Name", "history": 0}),
        json!({"strategyName": "s", "stages": [{"name": "Canary-1", "maxConcurrency": 0}], "start": "Maybe"}),
        json!({"failure": {"action": "Panic", "progressDeadline": "soon"}}),
    ] {
        let mut rollout = json!({"metadata": {"name": "web"}, "spec": spec});
        let before = rollout.clone();
        assert_eq!(schema.prune(&mut rollout), [] as [String; 0], "{spec}");
        schema.apply_defaults(&mut rollout);
        assert_eq!(rollout, before, "nothing is filled in: {spec}");
        assert_eq!(schema.validate(&rollout, None), [], "{spec}");
        serde_json::from_value::<Rollout>(rollout).unwrap();
    }
}
