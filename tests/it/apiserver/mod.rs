//! See the folder's files.

mod crd_rules;
