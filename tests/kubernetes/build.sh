#!/usr/bin/env bash
# build.sh FOLDER PROGRAM…: builds pinned Kubernetes programs (kubectl, kube-apiserver, …) into FOLDER, unless they are there.
set -euo pipefail
folder=$1; shift
cd "$(dirname "$0")"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}; minor=${minor%%.*}
stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor"
mkdir -p "$folder"
for program in "$@"; do
  [ -x "$folder/$program" ] && continue
  echo "building $program $version" >&2
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w $stamp" -o "$folder/$program.part" "k8s.io/kubernetes/cmd/$program"
  mv "$folder/$program.part" "$folder/$program"
done
