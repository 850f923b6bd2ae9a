//! Tidegate: GitOps for staged, multi-cluster rollouts.
//!
//! The daemon follows a Git repository, puts each commit's manifests on a Fleet hub, learns which *resource snapshot
//! index* they became, and drives a *staged update run* for that index. See `docs/architecture.md` for the house tour.

// Ground: words.
pub mod api;
pub mod model;

// First floor: judgement. Pure functions; `now` is an argument.
pub mod manifest;
pub mod placement;
pub mod release;
pub mod render;
pub mod rollout;
pub mod sync;
pub mod trust;

// Beside: hands. Each touches one outside world; none decides.
pub mod apiserver;
pub mod clock;
pub mod git;
pub mod hub;

// Second floor: controllers.
pub mod engine;

// Top: shell.
pub mod cli;
pub mod config;
pub mod daemon;
pub mod local;
pub mod telemetry;

#[cfg(test)]
mod properties {
    //! How property tests remember what failed once.

    use proptest::test_runner::{Config, FileFailurePersistence};

    /// What made a property fail is kept below this folder, in a file for each source file, and is tried first ever after.
    const REGRESSIONS: &str = "tests/regressions";

    /// Returns what every `proptest!` of this crate is configured with.
    pub(crate) fn config() -> Config {
        let kept = FileFailurePersistence::SourceParallel(REGRESSIONS);
        Config { failure_persistence: Some(Box::new(kept)), ..Config::default() }
    }

    mod tests {
        use proptest::test_runner::FailurePersistence;

        use super::config;

        fn persistence() -> Box<dyn FailurePersistence> {
            config().failure_persistence.unwrap()
        }

        #[test]
        fn what_failed_once_is_found_again() {
            let kept =
                persistence().load_persisted_failures2(Some("src/apiserver/patch/apply/tests.rs"));
            assert!(!kept.is_empty());
        }

        #[test]
        fn what_fails_is_written_down_below_tests() {
            let root = tempfile::tempdir().unwrap();
            let source = root.path().join("src/room/rule.rs");
            std::fs::create_dir_all(source.parent().unwrap()).unwrap();
            std::fs::write(root.path().join("src/lib.rs"), "").unwrap();
            std::fs::write(&source, "").unwrap();
            let source: &'static str =
                Box::leak(source.to_str().unwrap().to_owned().into_boxed_str());
            let seed = "cc 62e3f2b2b5a8090d32abee8d2e0fddda7ee476d35e561cb008fd3828c0ff7d17";
            let seed: proptest::test_runner::PersistedSeed = seed.parse().unwrap();
            persistence().save_persisted_failure2(Some(source), seed.clone(), &"a value");
            let text = std::fs::read_to_string(root.path().join("tests/regressions/room/rule.txt"))
                .unwrap();
            assert!(text.contains("shrinks to \"a value\""), "{text}");
            assert_eq!(persistence().load_persisted_failures2(Some(source)), [seed]);
        }
    }
}
