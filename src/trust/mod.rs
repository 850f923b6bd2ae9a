//! May this commit release, may this approval count? Pure judgement over evidence.
