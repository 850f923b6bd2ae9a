//! The cases of each chapter, played on both servers.

use std::{collections::BTreeSet, path::PathBuf, sync::LazyLock};

use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{
    normal::NOT_SERVED,
    play::{compare, play},
    script::{self, Case},
    target::{Sent, Target},
};
use crate::support::kubernetes::{Kubernetes, Plan};

/// Cases that are played at the same time.
const AT_ONCE: usize = 12;

/// One real server for all tests of this process, as its start takes seconds.
static REAL: LazyLock<Option<Kubernetes>> = LazyLock::new(|| {
    Kubernetes::start(
        "conformance with kube-apiserver",
        Plan::servers(["hub"]).with_controllers("hub"),
    )
});

/// The definitions that cases use.
static DEFINED: OnceCell<()> = OnceCell::const_new();

/// The real servers; none where they cannot run.
pub fn real_kubernetes() -> Option<&'static Kubernetes> {
    REAL.as_ref()
}

/// The real server with the definitions that cases use; none where it cannot run.
pub async fn real() -> Option<Target> {
    let kubernetes = real_kubernetes()?;
    let target = Target::real(kubernetes, "hub");
    DEFINED.get_or_init(|| define(&target)).await;
    Some(target)
}

/// An embedded server with them.
pub async fn embedded() -> Target {
    let target = Target::embedded().await;
    define(&target).await;
    target
}

async fn define(target: &Target) {
    let cases = script::read(&folder().join("definitions.txt"));
    for case in &cases {
        let story = play(case, target).await;
        for (step, answer) in case.steps.iter().zip(story) {
            assert!(answer["code"].as_u64().unwrap() < 300, "{}\n{answer:#}", step.line);
        }
    }
}

pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/conformance/cases"))
}

/// All cases of a chapter; `CONFORMANCE` in the environment picks those whose name or title has that word.
pub fn chapter(name: &str) -> Vec<Case> {
    let picked = std::env::var("CONFORMANCE").unwrap_or_default();
    let mut cases = script::read(&folder().join(format!("{name}.txt")));
    cases.retain(|case| case.id.contains(&picked) || case.title.contains(&picked));
    cases
}

async fn check(name: &str) {
    let Some(real) = real().await else { return };
    let embedded = embedded().await;
    let cases = chapter(name);
    let played = stream::iter(cases.iter().map(|case| {
        let (real, embedded) = (&real, &embedded);
        async move {
            match (compare(case, real, embedded).await, &case.known) {
                (None, None) | (Some(_), Some(_)) => None,
                (Some(report), None) => Some(report),
                (None, Some(why)) => {
                    Some(format!("== {} ({})\n    no longer differs: {why}", case.title, case.id))
                }
            }
        }
    }));
    let wrong: Vec<String> =
        played.buffered(AT_ONCE).filter_map(|report| async { report }).collect().await;
    assert!(
        wrong.is_empty(),
        "{} of {} cases differ:\n\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// The page that tells users.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/embedded-hub.md");

#[test]
fn known_differences_are_documented() {
    let cases =
        CHAPTERS.iter().flat_map(|chapter| script::read(&folder().join(format!("{chapter}.txt"))));
    let known: BTreeSet<String> = cases.filter_map(|case| case.known).collect();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let list = page.split_once("## Known differences").expect("the page has the list").1;
    let list = list.split("\n## ").next().unwrap_or_default();
    let documented: BTreeSet<String> =
        list.lines().filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect();
    assert_eq!(documented, known, "the list of {PAGE} is that of the cases");
}

/// Else the comparison of discovery would leave out what is there.
#[tokio::test]
async fn what_is_listed_as_missing_is_missing() {
    let embedded = Target::embedded().await;
    for path in NOT_SERVED {
        let mut parts = path.splitn(4, '/');
        let [group, version] = [(); 2].map(|()| parts.next().unwrap());
        let list = match group {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        };
        let (code, _, body) = embedded.ask(Sent::get(&list)).await;
        let name = parts.collect::<Vec<_>>().join("/");
        let list: Value = serde_json::from_slice(&body).unwrap_or_default();
        let found = list["resources"].as_array().into_iter().flatten();
        let served = match name.as_str() {
            "" => code == 200,
            name => found.map(|resource| &resource["name"]).any(|found| found == name),
        };
        assert!(!served, "{path} is served");
    }
}

macro_rules! chapters {
    ($($chapter:ident)*) => {
        /// Every chapter's name.
        const CHAPTERS: &[&str] = &[$(stringify!($chapter)),*];

        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $chapter() {
                check(stringify!($chapter)).await;
            }
        )*
    };
}

chapters! {
    objects strict patches apply schemas lists watches deletion discovery kinds pods cluster access bounds
}
