//! What is wrong with a repository's files.

use std::fmt;

use crate::{
    manifest::{Manifest, Place, locate},
    model::Hint,
};

/// Something wrong in a file, with the place and, where there is one, the way out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub detail: String,
    /// What would help.
    pub hint: Option<String>,
}

impl Fault {
    /// Returns a fault without a hint.
    pub fn new(place: Place, detail: impl Into<String>) -> Self {
        Self { place, detail: detail.into(), hint: None }
    }

    /// Returns the fault with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.detail)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl Hint for Fault {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Something wrong in an object, before it is known where the object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
    /// What would help.
    pub hint: Option<String>,
}

impl Problem {
    /// Returns a problem without a hint.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into(), hint: None }
    }

    /// Returns the problem with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the problem with its place in the file that the manifest stands in.
    pub fn in_file(self, manifest: &Manifest, file: &[u8]) -> Fault {
        let pointer = format!("{}{}", manifest.pointer, self.pointer);
        let place = locate(&manifest.place, file, manifest.document, &pointer);
        let field = self.pointer.trim_start_matches('/').replace('/', ".");
        let detail =
            if field.is_empty() { self.detail } else { format!("{field}: {}", self.detail) };
        Fault { place, detail, hint: self.hint }
    }
}
