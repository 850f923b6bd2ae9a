#!/usr/bin/env bash
# build.sh FOLDER PROGRAM…: builds pinned Kubernetes programs into FOLDER, unless they are there. A program is one of
# Kubernetes (kubectl, kube-apiserver, …), or kubectl-oldest or kubectl-newest, which have modules of their own here.
set -euo pipefail
folder=$1; shift
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
for program in "$@"; do
  [ -x "$folder/$program" ] && continue
  cd "$here"
  [ ! -d "$program" ] || cd "$program"
  version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
  minor=${version#v1.}; minor=${minor%%.*}
  stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor"
  echo "building $program $version" >&2
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w $stamp" -o "$folder/$program.part" "k8s.io/kubernetes/cmd/${program%%-*est}"
  mv "$folder/$program.part" "$folder/$program"
done
