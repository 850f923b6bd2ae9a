//! A small Kubernetes API server. Knows Kubernetes, not Fleet.
