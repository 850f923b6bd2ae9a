//! What a misspelt word was meant to be.

use crate::model::distance;

/// Returns the known word that a misspelt one is nearest to, if it is near. Blind to case.
pub(super) fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = text.to_lowercase();
    let best = known.iter().map(|word| (distance(&lower, &word.to_lowercase()), *word)).min()?;
    (best.0 <= 2 || best.0 * 3 <= text.chars().count()).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_meant() {
        for (text, meant) in [
            ("stage", Some("stages")),
            ("Suspend", Some("suspend")),
            ("placmentName", Some("placementName")),
            ("replicas", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, &["stages", "suspend", "placementName"]), meant, "{text}");
        }
    }
}
