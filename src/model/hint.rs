//! What would help.

/// An error that knows what a person can do about it.
pub trait Hint {
    /// Returns one sentence that can be acted on, if there is one.
    fn hint(&self) -> Option<String>;
}
