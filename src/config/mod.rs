//! File, environment and flags to one checked configuration.
