//! Which resource snapshot index is this commit? Pure.
