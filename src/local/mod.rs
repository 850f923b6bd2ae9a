//! An embedded hub and its members in one process.
//!
//! The same API server once for the hub and once a member, the built-in engine beside them. In process for `demo` and
//! tests, over TLS on loopback for `local`. Nothing here knows what a rollout is.

mod directory;
mod fleet;
mod kubeconfig;
mod member;
mod serve;

pub use directory::{DataDirectory, DirectoryError, write_private};
pub use fleet::{Fleet, FleetError, Storage};
pub use kubeconfig::{Context, kubeconfig, loses};
pub use member::{Member, tutorial_members};
pub use serve::{Endpoint, ServeError, serve};
