#!/bin/sh
# Gets what the tests of the remote cache need: moto, which simulates S3, in an environment of its own under target/.
set -eu
cd "$(dirname "$0")/.."
. tests/venv.sh
if ! command -v python3 >/dev/null; then
    echo "no python3 found: the tests of the remote cache will be skipped" >&2
    exit 1
fi
venv target/moto tests/remote/requirements.txt
