//! Names of runs: recomputable, told apart, and short enough.

use crate::model::{CommitId, Digest};

/// Fleet's limit: the name is a label value on approval requests (fleet-semantics §2.2).
pub const RUN_NAME_MAX: usize = 63;

/// Returns the name of the `attempt`-th run (from 1) for a commit: `<rollout>-<commit 8>`, with the number from the
/// second on. A Rollout's name that is too long is cut, and told apart by six digits of its digest.
pub fn run_name(rollout: &str, commit: &CommitId, attempt: u32) -> String {
    let tail = match attempt {
        0 | 1 => format!("-{}", commit.short()),
        again => format!("-{}-{again}", commit.short()),
    };
    let room = RUN_NAME_MAX - tail.len();
    if rollout.len() <= room {
        return format!("{rollout}{tail}");
    }
    let digest = Digest::of(rollout.as_bytes());
    let digits = &digest.as_str()["sha256:".len()..][..6];
    // Names are ASCII: every byte is a place to cut.
    let mut head: String = rollout.chars().take(room - digits.len() - 1).collect();
    head.truncate(head.trim_end_matches(['-', '.']).len());
    format!("{head}-{digits}{tail}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn commit() -> CommitId {
        "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4".parse().unwrap()
    }

    #[test]
    fn names_are_as_documented() {
        assert_eq!(run_name("web", &commit(), 1), "web-3f2a91c0");
        assert_eq!(run_name("web", &commit(), 12), "web-3f2a91c0-12");
        let (a, b) = ("a".repeat(80), format!("{}b", "a".repeat(79)));
        assert_eq!(run_name(&a, &commit(), 1).len(), 63);
        assert_ne!(run_name(&a, &commit(), 1), run_name(&b, &commit(), 1));
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn names_are_valid(rollout in "[a-z0-9]([-.a-z0-9]{0,250}[a-z0-9])?", attempt in 1_u32..) {
            let name = run_name(&rollout, &commit(), attempt);
            prop_assert!(name.len() <= RUN_NAME_MAX);
            prop_assert!(name.starts_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(!name.contains("--") || rollout.contains("--"));
        }
    }
}
