//! Why a run cannot go on, in Fleet's words (fleet-semantics §5.2).
//!
//! People and dashboards search conditions for these beginnings, so they are part of the contract.

/// Begins every error that ends a run.
pub const ABORT: &str = "cannot continue the updateRun";
/// Begins the errors of initialization, and those that are found again by later validation.
pub const INVALID: &str = "cannot continue the updateRun: failed to validate the updateRun";
/// Somebody has to change something.
pub const USER: &str = "failed to process the request due to a client error";
/// Ought not to happen.
pub const UNEXPECTED: &str = "unexpected behavior which cannot be handled by the controller";

/// Why a pass stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The whole text, as conditions show it.
    pub text: String,
    /// What to do about it.
    pub kind: FaultKind,
}

/// What to do about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The run is over.
    Terminal,
    /// The run is over, unless it is so young that what is missing may still be on its way.
    TerminalUnlessYoung,
    /// Passes by itself.
    Transient,
}

impl Fault {
    fn new(prefixes: &[&str], text: &str) -> Self {
        let mut whole = prefixes.join(": ");
        whole.push_str(": ");
        whole.push_str(text);
        Self { text: whole, kind: FaultKind::Terminal }
    }

    pub(super) fn invalid(text: impl AsRef<str>) -> Self {
        Self::new(&[INVALID], text.as_ref())
    }

    pub(super) fn invalid_user(text: impl AsRef<str>) -> Self {
        Self::new(&[INVALID, USER], text.as_ref())
    }

    pub(super) fn invalid_unexpected(text: impl AsRef<str>) -> Self {
        Self::new(&[INVALID, UNEXPECTED], text.as_ref())
    }

    /// As [`Fault::invalid_unexpected`], joined as Fleet joins it where it reads a policy's cluster count.
    pub(super) fn invalid_comma_unexpected(text: impl AsRef<str>) -> Self {
        Self::new(&[&format!("{INVALID}, {UNEXPECTED}")], text.as_ref())
    }

    pub(super) fn abort(text: impl AsRef<str>) -> Self {
        Self::new(&[ABORT], text.as_ref())
    }

    pub(super) fn abort_user(text: impl AsRef<str>) -> Self {
        Self::new(&[ABORT, USER], text.as_ref())
    }

    pub(super) fn abort_unexpected(text: impl AsRef<str>) -> Self {
        Self::new(&[ABORT, UNEXPECTED], text.as_ref())
    }

    pub(super) fn transient(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: FaultKind::Transient }
    }

    /// Forgives the fault while the run is young.
    pub(super) fn unless_young(mut self) -> Self {
        self.kind = FaultKind::TerminalUnlessYoung;
        self
    }

    /// Joins faults of one pass as Kubernetes aggregates errors: one is itself, several are a list in brackets.
    pub(super) fn join(faults: Vec<Self>) -> Result<(), Self> {
        let mut texts: Vec<String> = Vec::new();
        for fault in faults {
            if !texts.contains(&fault.text) {
                texts.push(fault.text);
            }
        }
        let text = match texts.len() {
            0 => return Ok(()),
            1 => texts.swap_remove(0),
            _ => format!("[{}]", texts.join(", ")),
        };
        Err(Self { text, kind: FaultKind::Terminal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_faults_print_as_a_list_and_the_same_one_once() {
        let join = |texts: &[&str]| {
            Fault::join(texts.iter().map(Fault::abort).collect()).map_err(|fault| fault.text)
        };
        assert_eq!(join(&[]), Ok(()));
        assert_eq!(join(&["a"]), Err("cannot continue the updateRun: a".to_owned()));
        assert_eq!(
            join(&["a", "b", "a"]),
            Err("[cannot continue the updateRun: a, cannot continue the updateRun: b]".to_owned())
        );
    }
}
