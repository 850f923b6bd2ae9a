//! Bytes of a tree to typed manifests to a digest. Pure.
