//! An embedded hub and its members in one process.
