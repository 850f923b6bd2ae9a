//! Our own small nouns, each checked once, at its door. No clock, no client, no async.
