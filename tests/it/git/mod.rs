//! Repositories of the real git, read with our hands.

mod follow;
mod https;
mod signature;
