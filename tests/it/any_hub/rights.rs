//! What `tidegate install` grants, held against what real API servers were asked for.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::kubernetes::Audited;

/// One verb on one resource; `*` for any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub group: String,
    pub resource: String,
    pub verb: String,
}

/// Returns every single right that the roles among `manifests` grant; each must be granted once.
pub fn granted(manifests: &[Value]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    let texts = |value: &Value| -> Vec<String> {
        let texts = value.as_array().unwrap().iter();
        texts.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let roles = manifests.iter().filter(|object| object.get("rules").is_some());
    for rule in roles.flat_map(|role| role["rules"].as_array().unwrap()) {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    let right = Right { group: group.clone(), resource: resource.clone(), verb };
                    assert!(all.insert(right.clone()), "granted twice: {right:?}");
                }
            }
        }
    }
    assert!(!all.is_empty());
    all
}

impl Right {
    fn covers(&self, asked: &Audited) -> bool {
        let any = |own: &str, other: &str| own == "*" || own == other;
        any(&self.group, &asked.group)
            && any(&self.resource, &asked.resource)
            && any(&self.verb, &asked.verb)
    }
}

/// Checks that `account` was refused nothing, and that every right was needed: something was asked for that this right
/// alone allows. So a role that lacks any one of them would have been refused that, and one with another would fail here.
pub fn hold_against(granted: &BTreeSet<Right>, asked: &[Audited], account: &str) {
    let asked: BTreeSet<&Audited> =
        asked.iter().filter(|asked| asked.user == account && !asked.resource.is_empty()).collect();
    let refused: Vec<_> = asked.iter().filter(|asked| asked.code == 403).collect();
    assert!(refused.is_empty(), "refused: {refused:#?}");
    // Who creates by applying is asked for both verbs; the log has one, and tells by the code.
    let created = asked.iter().filter(|asked| asked.verb == "patch" && asked.code == 201);
    let created: Vec<Audited> = created
        .map(|asked| Audited { verb: "create".to_owned(), ..Audited::clone(asked) })
        .collect();
    let asked: Vec<&Audited> = asked.into_iter().chain(&created).collect();
    let needed = |right: &&Right| {
        asked.iter().any(|asked| {
            let mut covering = granted.iter().filter(|right| right.covers(asked));
            covering.next() == Some(right) && covering.next().is_none()
        })
    };
    let superfluous: Vec<_> = granted.iter().filter(|right| !needed(right)).collect();
    assert!(superfluous.is_empty(), "never needed: {superfluous:#?}");
}

#[test]
fn a_right_that_nothing_needs_is_found() {
    let right = |resource: &str, verb: &str| Right {
        group: String::new(),
        resource: resource.to_owned(),
        verb: verb.to_owned(),
    };
    let asked = |resource: &str, verb: &str, code| Audited {
        user: "me".to_owned(),
        verb: verb.to_owned(),
        group: String::new(),
        resource: resource.to_owned(),
        namespace: String::new(),
        name: String::new(),
        code,
    };
    let fails = |granted: &[Right], asked: &[Audited]| {
        let granted = granted.iter().cloned().collect();
        let asked = asked.to_vec();
        std::panic::catch_unwind(move || hold_against(&granted, &asked, "me")).is_err()
    };
    let get = || right("pods", "get");
    assert!(!fails(&[get()], &[asked("pods", "get", 200)]));
    assert!(fails(&[get(), right("pods", "list")], &[asked("pods", "get", 200)]), "one too many");
    assert!(fails(&[get()], &[asked("pods", "get", 200), asked("pods", "list", 403)]), "too few");
    assert!(fails(&[get(), right("*", "get")], &[asked("pods", "get", 200)]), "covered twice");
}
