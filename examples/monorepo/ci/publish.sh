#!/usr/bin/env bash
# Publishes public/next/site as public/current; `--undo` brings the page before it back.
set -euo pipefail
cd public
if [[ ${1:-} == --undo ]]; then
    rm -rf current
    if [[ -d previous ]]; then mv previous current; fi
    echo "page taken back"
else
    rm -rf previous
    if [[ -d current ]]; then mv current previous; fi
    mv next/site current
    rm -rf next
    echo "page published"
fi
