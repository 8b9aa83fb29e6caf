#!/bin/sh
set -eu
cargo test --quiet --offline --locked
