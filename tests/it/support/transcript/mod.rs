//! Transcripts: commands and what they print, run for real, one after the other, as in one shell: `cd` and `export` last.
//!
//! ```text
//! # A sentence about what comes.
//! $ kubectl get configmap test-cm -n test-namespace
//! NAME      DATA   AGE
//! test-cm   1      <age>
//!
//! % kubectl get csur example-run
//! …
//! ```
//!
//! A command starts with `$ ` and its output must match at once, or with `% ` and is run again until it matches, within
//! the patience of the transcript. Lines that start with `> ` continue the command. One that ends with ` &` is left
//! running; what it says at first must match within the patience. Expected output ends at a blank line, or at the next
//! command.
//!
//! In expected output `<age>`, `<time>`, `<uid>`, `<any>` stand for what differs from run to run, `...` alone on a line
//! for any lines, `<rest>` at the end of a line for what newer programs add there, and white space between columns does
//! not count (leading white space does); `~` alone on a line is an empty one. An expected output of nothing but `...` accepts anything from a command that
//! succeeds. `(fails)` as the last line says that the command must fail, `(fails N)` that it must end with N.
//!
//! Of a Markdown page, the `console` blocks are the transcript. People read it, so it has no signs of its own:
//! ages, times, ids, digests, ports and keys are examples, where one id must mean the same throughout; a blank line does
//! not end expected output; a command without output may print what it likes; one whose output begins with `error: ` must
//! fail; and commands that only look are run again until they match.

mod compare;
mod parse;
mod session;

pub use self::session::Session;

use std::{path::Path, time::Duration};

use super::process::path_with;

/// Above the one-minute wait that the tutorial asks for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the commands of the page or transcript at `path`.
pub fn commands(path: &Path) -> Vec<String> {
    parse::commands(path)
}

/// Types `tests/transcripts/NAME` in `folder`, with this kubectl and nothing but it.
pub fn run(name: &str, folder: &Path, kubectl: &Path, kubeconfig: &Path) {
    let environment = [
        ("KUBECONFIG", kubeconfig.to_string_lossy().into_owned()),
        ("PATH", path_with(&[kubectl])),
    ];
    let mut session = Session::start(folder, &environment, PATIENCE);
    session.play(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(name));
    session.finish();
}
