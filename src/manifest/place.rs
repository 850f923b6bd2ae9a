//! Where in the repository something stands.

use std::fmt;

/// A file, and where in it. Lines and columns count from 1; 0 means unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Path in the repository.
    pub path: String,
    /// Line.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
}

impl Place {
    /// Returns the place of a whole file.
    pub fn file(path: impl Into<String>) -> Self {
        Self { path: path.into(), line: 0, column: 0 }
    }

    /// Returns a place in a file.
    pub fn new(path: impl Into<String>, line: u64, column: u64) -> Self {
        Self { path: path.into(), line, column }
    }
}

impl fmt::Display for Place {
    /// Writes `path:line:column`, as far as it is known: terminals and editors jump there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}
