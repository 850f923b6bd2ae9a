//! What a misspelt word was meant to be.

/// Returns the known word that a misspelt one is nearest to, if it is near.
pub(super) fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let best = known.iter().map(|word| (distance(text, word), *word)).min()?;
    (best.0 <= 2 || best.0 * 3 <= text.chars().count()).then_some(best.1)
}

/// Levenshtein's distance, blind to case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
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
