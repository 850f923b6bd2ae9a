//! One GitOps pass: what Git says and what the hub shows, to what to do next.
//!
//! ```text
//! commit --accept--> files --render--> objects --apply, prune--> hub --bind--> index --prove--> run --> done
//! ```
//!
//! [`decide`] is called whenever something changed, for one Rollout at a time. It is pure and level-triggered: it looks
//! at everything, writes down in the status what is so, and orders the next step only. The status is written before the
//! orders are carried out, so that a crash between them loses nothing: the inventory names an object before it exists, an
//! approval is known before it is used, and a run is found again by its annotations.

pub mod approval;
pub mod decide;
pub mod drift;
pub mod inventory;
mod lineage;
pub mod news;
pub mod owner;
pub mod pass;
pub mod reading;
pub mod release;
pub mod seen;
pub mod standing;
pub mod status;

pub use decide::{UNREAD_SINCE, decide};
pub use news::{ApprovalDocument, CommitNews, Policy, PolicyChange, read_news};
pub use pass::{Apply, Order, Pass};
pub use seen::{ApplyOutcome, Git, News, Seen, Tip};
pub use status::is_made_up_for;
