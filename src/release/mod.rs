//! Which snapshot index is this commit, and which run rolled it out?

pub mod bind;
pub mod ledger;
pub mod name;
pub mod proof;
pub mod settle;

pub use bind::{Bound, Content, bind};
pub use ledger::{ledger, release_of};
pub use name::run_name;
pub use proof::{Applied, Difference, key_of, prove};
pub use settle::{Settling, settling};
