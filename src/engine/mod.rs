//! Controllers that execute Fleet's semantics: gather, decide, carry out, record.
