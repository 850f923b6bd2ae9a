//! Keeps time: polls Git, drives `sync`, shuts down.
