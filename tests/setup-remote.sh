#!/bin/sh
# Gets what the tests of the remote cache need: moto, which simulates S3, in an environment of its own under target/.
set -eu
cd "$(dirname "$0")/.."
wanted=tests/remote/requirements.txt
place=target/moto
if cmp -s "$wanted" "$place/installed"; then
    exit 0
fi
if ! command -v python3 >/dev/null; then
    echo "no python3 found: the tests of the remote cache will be skipped" >&2
    exit 1
fi
rm -rf "$place"
python3 -m venv "$place"
"$place/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
cp "$wanted" "$place/installed"
