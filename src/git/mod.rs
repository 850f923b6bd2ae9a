//! Hands on Git (gix): mirror, trees, signature evidence, credentials. Translates, never decides.
