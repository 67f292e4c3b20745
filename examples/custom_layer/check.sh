#!/usr/bin/env bash
# Builds this example outside the project against an installed build, and runs it.
#   examples/custom_layer/check.sh BUILD_FOLDER
set -euo pipefail
unset CDPATH  # with it, cd prints where it goes
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/prefix" >/dev/null
cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/build"
"$work/build/run_softsign" "$here/net.prototxt"
# The installed tool finds the layer in a preloaded library.
LD_PRELOAD=$work/build/libsoftsign.so "$work/prefix/bin/caffe" time --model="$here/net.prototxt" \
  --phase=TEST --iterations=1 >"$work/log" 2>&1 || { tail -n 3 "$work/log" >&2; exit 1; }
echo "custom layer: found by name in a program and in the installed caffe tool"
