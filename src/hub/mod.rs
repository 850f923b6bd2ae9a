//! Hands on a Kubernetes API (kube): connect, read, write. Translates, never decides.
