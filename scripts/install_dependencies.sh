#!/usr/bin/env bash
# Installs with apt what the project builds and runs with, on Debian 12 and 13 and Ubuntu 24.04; nothing when it is all there.
#   scripts/install_dependencies.sh [tests|bench]  adds what the tests or the benchmarks need
#   scripts/install_dependencies.sh --check        installs nothing; exit code 1 when something is missing
set -euo pipefail

packages=(g++ cmake ninja-build libdnnl-dev libopenblas-dev libprotobuf-dev protobuf-compiler
          libgoogle-glog-dev libgflags-dev libboost-dev libopencv-core-dev libopencv-imgproc-dev
          libopencv-imgcodecs-dev liblmdb-dev zlib1g-dev libarchive-dev libmatio-dev dataset-fashion-mnist)
case ${1:-} in
  tests) packages+=(libgtest-dev libopencv-dnn-dev libopenmpi-dev openmpi-bin) ;;
  bench) packages+=(libbenchmark-dev) ;;
  '' | --check) ;;
  *) echo "install_dependencies.sh: $1: tests, bench or --check is expected" >&2; exit 1 ;;
esac

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] ||
    missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
[ "${1:-}" = --check ] && exit 1

run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install_dependencies.sh: needs root or sudo to install: ${missing[*]}" >&2; exit 1; }
  run=(sudo)
fi
echo "Installing ${#missing[@]} packages with apt: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# apt's pages of output are of interest only when it fails.
if ! { "${run[@]}" apt-get update && "${run[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; } \
     >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "install_dependencies.sh: apt failed" >&2
  exit 1
fi
