//! The staged update run state machine. Pure: `now` is an argument.
