//! Errors as a person reads them: what failed, why, and what would help.

use anyhow::Error;

/// A hint that travels with an error to the edge, where it is printed last.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Hinted {
    message: String,
    hint: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Adds what would help to a failing result.
pub(crate) trait OrHint<T> {
    /// Says what was being attempted, and what to do when it fails.
    fn or_hint(
        self,
        attempt: impl Into<String>,
        hint: impl FnOnce() -> String,
    ) -> anyhow::Result<T>;
}

impl<T, E: Into<Error>> OrHint<T> for Result<T, E> {
    fn or_hint(
        self,
        attempt: impl Into<String>,
        hint: impl FnOnce() -> String,
    ) -> anyhow::Result<T> {
        self.map_err(|error| because(attempt, error, hint()))
    }
}

/// Returns an error that says what failed, why, and what to do.
pub(crate) fn because(
    message: impl Into<String>,
    source: impl Into<Error>,
    hint: impl Into<String>,
) -> Error {
    let source = Some(source.into().into());
    Hinted { message: message.into(), hint: hint.into(), source }.into()
}

/// Returns an error that says what is wrong and what to do.
pub(crate) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Hinted { message: message.into(), hint: hint.into(), source: None }.into()
}

/// Returns the error as text: the error, its causes indented, and the innermost hint after a blank line.
pub(crate) fn render(error: &Error) -> String {
    let mut said = words(error.as_ref());
    let mut text = format!("error: {}\n", first_lines_indented(&said));
    for cause in error.chain().skip(1) {
        let cause = words(cause);
        // Some libraries print their source inside their own message; say it once.
        if !said.contains(&cause) {
            text.push_str(&format!("  cause: {}\n", first_lines_indented(&cause)));
        }
        said = cause;
    }
    let hint = error
        .chain()
        .filter_map(|e| e.downcast_ref::<Hinted>())
        .last()
        .map(|hinted| hinted.hint.clone());
    if let Some(hint) = hint {
        text.push_str(&format!("\nhint: {hint}\n"));
    }
    text
}

/// Returns an error's own words: an API server's are those of its answer, not the whole answer.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let answer = match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => Some(status.as_ref()),
        _ => error.downcast_ref::<Box<kube::core::Status>>().map(AsRef::as_ref),
    };
    match answer.filter(|status| !status.message.is_empty()) {
        Some(status) => status.message.clone(),
        None => error.to_string(),
    }
}

fn first_lines_indented(message: &str) -> String {
    message.trim_end().replace('\n', "\n    ")
}

/// Prints the error to stderr.
pub(crate) fn print(error: &Error) {
    anstream::eprint!("{}", render(error));
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn an_api_servers_answer_is_told_in_its_own_words() {
        let status = kube::core::Status::failure("no space left", "InternalError").with_code(500);
        let error: anyhow::Result<()> =
            Err(kube::Error::Api(status.boxed())).context("cannot install a definition");
        assert_eq!(
            render(&error.unwrap_err()),
            "error: cannot install a definition\n  cause: no space left\n"
        );
    }

    #[test]
    fn causes_follow_once_and_the_hint_comes_last() {
        let error: anyhow::Result<()> = Err(anyhow!("permission denied"))
            .context("cannot open `x`: permission denied")
            .or_hint("cannot start the hub", || "choose another --data-dir".into());
        assert_eq!(
            render(&error.unwrap_err()),
            "error: cannot start the hub\n  cause: cannot open `x`: permission denied\n\nhint: choose another --data-dir\n"
        );
    }
}
