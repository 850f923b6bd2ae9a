//! Names of stored objects.

use std::{fmt, sync::Arc};

/// What is stored together: one plural name in one group, whatever versions serve it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ResourceId {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural name.
    pub plural: String,
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.plural),
            group => write!(f, "{}.{group}", self.plural),
        }
    }
}

/// The name of one object. Keys sort by resource, namespace and name, which is the order of lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// What it is stored with.
    pub resource: Arc<ResourceId>,
    /// Its namespace; empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// Between the parts of a key on disk. No part of a valid name holds it.
const SEPARATOR: char = '\0';

impl Key {
    /// Names an object.
    pub(crate) fn new(resource: &Arc<ResourceId>, namespace: &str, name: &str) -> Key {
        Key { resource: Arc::clone(resource), namespace: namespace.into(), name: name.into() }
    }

    /// The key on disk.
    pub(super) fn encode(&self) -> String {
        let ResourceId { group, plural } = &*self.resource;
        let (namespace, name) = (&self.namespace, &self.name);
        format!("{group}{SEPARATOR}{plural}{SEPARATOR}{namespace}{SEPARATOR}{name}")
    }

    /// Reads a key as written by [`Key::encode`].
    pub(super) fn decode(text: &str) -> Option<Key> {
        let mut parts = text.split(SEPARATOR);
        let (group, plural) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let (namespace, name) = (parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Key::new(&Arc::new(ResourceId { group, plural }), namespace, name))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => write!(f, "{} {}", self.resource, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.resource, self.name),
        }
    }
}
