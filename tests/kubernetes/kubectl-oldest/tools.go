//go:build tools

// Package kubectl pins a kubectl that the tests run.
package kubectl

import _ "k8s.io/kubernetes/cmd/kubectl"
