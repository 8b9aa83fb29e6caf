#!/bin/sh
# Gets what the tests of ECS need, in an environment of its own under target/: the real command line of AWS, which talks to
# a fake service of the tests. That AWS would understand the same calls is asked of the moto of setup-remote.sh.
set -eu
cd "$(dirname "$0")/.."
. tests/venv.sh
if ! python3 -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        . tests/apt.sh
        install_packages python3 python3-venv
    else
        echo "no python3 with venv found: the tests of ECS will be skipped" >&2
        exit 1
    fi
fi
venv target/ecs tests/ecs/requirements.txt
