#!/usr/bin/env bash
# Installs what is missing, builds everything with warnings as errors, and runs all tests.
#   ./test.sh [arguments for ctest, for example -R MetaPerturb]
set -euo pipefail
cd "$(dirname "$0")"
scripts/install_dependencies.sh tests
cmake --preset release -DMETAPERTURB_TESTS=ON -DMETAPERTURB_HOST= -DMETAPERTURB_WERROR=ON >/dev/null
cmake --build build
exec ctest --test-dir build --output-on-failure --no-tests=error -j2 "$@"
