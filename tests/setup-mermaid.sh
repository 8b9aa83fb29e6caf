#!/bin/sh
# Gets what the tests with real Mermaid need: the npm packages of tests/mermaid, and Chromium where it may be installed.
set -eu
cd "$(dirname "$0")/mermaid"
npm ci --ignore-scripts --no-audit --no-fund
for browser in chromium chromium-browser google-chrome; do
    if command -v "$browser" >/dev/null; then
        exit 0
    fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    . ../apt.sh
    install_packages chromium fonts-dejavu-core
else
    echo "no Chromium found, and it cannot be installed here: the test that draws a picture will be skipped" >&2
fi
