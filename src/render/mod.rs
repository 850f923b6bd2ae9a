//! What a repository wants, as objects: Rollouts read strictly, their content, placement and strategy found, and the
//! objects that go to the hub made from them.
//!
//! Nothing here talks to a hub. What only a hub can tell (members, labels, snapshots) is asked of
//! [`preflight`], which is handed what was seen there.

pub mod check;
pub mod fault;
pub mod intent;
mod nearest;
pub mod object;
pub mod preflight;
pub mod repository;
pub mod wanted;
pub mod yaml;

pub use fault::{Fault, Problem};
pub use intent::{Intent, OnFailure, Start, StrategyChoice, WhenSuperseded};
pub use preflight::{Nature, Obstacle, preflight};
pub use repository::{File, Parsed, Repository};
pub use wanted::{Contest, Survey, Wanted, wanted};
