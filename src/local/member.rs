//! Which members an embedded fleet has.

use std::collections::BTreeMap;

/// A member cluster and its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The cluster's name, and its kubeconfig context.
    pub name: String,
    /// What stages select by.
    pub labels: BTreeMap<String, String>,
}

/// Returns `count` members: the tutorial's three first, canaries in order after them.
pub fn tutorial_members(count: usize) -> Vec<Member> {
    let labels = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    };
    (1..=count)
        .map(|number| Member {
            name: format!("member{number}"),
            labels: match number {
                1 => labels(&[("environment", "canary"), ("order", "2")]),
                2 => labels(&[("environment", "staging")]),
                3 => labels(&[("environment", "canary"), ("order", "1")]),
                _ => labels(&[("environment", "canary"), ("order", &number.to_string())]),
            },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_are_the_tutorials() {
        let members = tutorial_members(4);
        let shown: Vec<String> = members
            .iter()
            .map(|m| {
                format!(
                    "{} {}",
                    m.name,
                    m.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "member1 environment=canary,order=2",
                "member2 environment=staging",
                "member3 environment=canary,order=1",
                "member4 environment=canary,order=4"
            ]
        );
    }
}
