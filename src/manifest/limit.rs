//! How much a repository may ask of us.

use super::Place;

/// Bounds on everything that a repository controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Manifest files.
    pub files: usize,
    /// Bytes of one file.
    pub file_bytes: usize,
    /// Bytes of all manifest files together.
    pub total_bytes: usize,
    /// Documents of one file.
    pub documents: usize,
    /// Nesting of one document.
    pub depth: usize,
    /// Values in one file, aliases expanded.
    pub nodes: usize,
    /// Aliases in one file.
    pub aliases: usize,
    /// Objects of all files together.
    pub objects: usize,
}

impl Default for Limits {
    /// Generous for people, small for a machine: an object on a hub holds at most about 1.5 MB.
    fn default() -> Self {
        Self {
            files: 100_000,
            file_bytes: 4 << 20,
            total_bytes: 256 << 20,
            documents: 5_000,
            depth: 64,
            nodes: 500_000,
            aliases: 1_000,
            objects: 100_000,
        }
    }
}

/// More files, bytes or objects than allowed, all files together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Too many files.
    #[error("{place}: this is manifest file number {count}, and at most {limit} are read")]
    Files {
        /// The first file too many.
        place: Place,
        /// Its number.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many bytes.
    #[error(
        "{place}: with this file the manifests have {bytes} bytes, and at most {limit} are read"
    )]
    Bytes {
        /// The first file too many.
        place: Place,
        /// Bytes so far.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many objects.
    #[error("{place}: this is object number {count}, and at most {limit} are read")]
    Objects {
        /// The first object too many.
        place: Place,
        /// Its number.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

/// Counts what all files together ask for.
#[derive(Clone, Debug)]
pub struct Usage {
    limits: Limits,
    files: usize,
    bytes: usize,
    objects: usize,
}

impl Usage {
    /// Returns a count that begins at nothing.
    pub fn new(limits: Limits) -> Self {
        Self { limits, files: 0, bytes: 0, objects: 0 }
    }

    /// Counts a file, before it is read.
    ///
    /// # Errors
    /// When it is one too many.
    pub fn file(&mut self, path: &str, bytes: usize) -> Result<(), LimitError> {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.files > self.limits.files {
            return Err(LimitError::Files {
                place: Place::file(path),
                count: self.files,
                limit: self.limits.files,
            });
        }
        if self.bytes > self.limits.total_bytes {
            return Err(LimitError::Bytes {
                place: Place::file(path),
                bytes: self.bytes,
                limit: self.limits.total_bytes,
            });
        }
        Ok(())
    }

    /// Counts an object.
    ///
    /// # Errors
    /// When it is one too many.
    pub fn object(&mut self, place: &Place) -> Result<(), LimitError> {
        self.objects += 1;
        if self.objects > self.limits.objects {
            return Err(LimitError::Objects {
                place: place.clone(),
                count: self.objects,
                limit: self.limits.objects,
            });
        }
        Ok(())
    }
}
