//! The commands of every day: what they print, to whom, how they end, and what they say to bad input.

use super::shell::play;

#[test]
fn a_day_with_a_rollout() {
    play(&["tests/transcripts/settings/server.txt", "tests/transcripts/daily.txt"]);
}

#[test]
fn hubs_that_are_none() {
    play(&["tests/transcripts/hubs.txt"]);
}

#[test]
fn files_without_a_hub() {
    play(&["tests/transcripts/files.txt"]);
}
