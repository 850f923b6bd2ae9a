//! The order of API versions: which one clients should prefer.

use std::cmp::Ordering;

/// Compares versions as Kubernetes ranks them, the most preferred first: `v2`, `v1`, `v2beta1`, `v1beta2`, `v1alpha1`,
/// then names of another form by spelling (the rule of `apimachinery/pkg/version.CompareKubeAwareVersionStrings`).
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (rank(a), rank(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Stability (2 for general availability, 1 beta, 0 alpha), major and minor number.
fn rank(version: &str) -> Option<(u8, u64, u64)> {
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // As upstream's pattern, numbers do not start with zero.
        if plain && !text.starts_with('0') { text.parse().ok() } else { None }
    };
    let rest = version.strip_prefix('v')?;
    for (word, stability) in [("alpha", 0), ("beta", 1)] {
        if let Some((major, minor)) = rest.split_once(word) {
            return Some((stability, number(major)?, number(minor)?));
        }
    }
    Some((2, number(rest)?, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_and_new_versions_come_first() {
        let mut versions = [
            "foo1",
            "v1alpha1",
            "v10beta3",
            "v2",
            "v1beta2",
            "v11alpha2",
            "foo10",
            "v1",
            "v10",
            "v3beta1",
            "v11beta2",
            "v12alpha1",
            "v01",
        ];
        versions.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(
            versions,
            [
                "v10",
                "v2",
                "v1",
                "v11beta2",
                "v10beta3",
                "v3beta1",
                "v1beta2",
                "v12alpha1",
                "v11alpha2",
                "v1alpha1",
                "foo1",
                "foo10",
                "v01"
            ]
        );
    }
}
