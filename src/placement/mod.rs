//! What Fleet's hub agent decides: selection, snapshots, scheduling, works, placement status. Pure.
