#!/usr/bin/env bash
# pin.sh VERSION FOLDER: writes a Go module that pins the kubectl of Kubernetes VERSION into FOLDER, such as kubectl-newest.
#
# Kubernetes' own module replaces its staging modules by folders of its repository; ours must name their releases.
set -euo pipefail
version=$1 folder=$2
staging=v0.${version#v1.}
mkdir -p "$folder"; cd "$folder"
cat > tools.go <<'GO'
//go:build tools

// Package kubectl pins a kubectl that the tests run.
package kubectl

import _ "k8s.io/kubernetes/cmd/kubectl"
GO
source=$(cd "$(mktemp -d)" && go mod download -json "k8s.io/kubernetes@$version")
upstream=$(sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p' <<<"$source")
{
  echo "// Pins a kubectl that the tests run; written by pin.sh."
  echo "module tidegate.dev/tests/kubernetes/${folder##*/}"
  echo
  sed -n '/^go /p' "$upstream"
  echo
  echo "require k8s.io/kubernetes $version"
  echo
  echo "replace ("
  sed -n "s|^\t\(k8s.io/[a-z-]*\) => ./staging/.*|\t\1 => \1 $staging|p" "$upstream"
  echo ")"
} > go.mod
go mod tidy
