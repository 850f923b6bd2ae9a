//! From intent to Fleet objects. Pure.
