//! One GitOps pass, decided from one reading of the world. Pure.
