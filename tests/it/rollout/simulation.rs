//! Replays what a real hub recorded.
