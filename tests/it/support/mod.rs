//! Shared test furniture: worlds, repositories, waiting on conditions.
