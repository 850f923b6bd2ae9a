//! Fleet's kinds, and ours, exactly as on the wire. Meaning starts where a pure module parses it.
