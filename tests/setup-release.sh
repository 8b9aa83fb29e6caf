#!/bin/sh
# Gets what the tests of releases need: GitHub's command line, which talks to a fake of theirs.
set -eu
command -v gh >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    . "$(dirname "$0")/apt.sh"
    install_packages gh
else
    echo "no gh found, and it cannot be installed here: the tests of GitHub's releases will be skipped" >&2
fi
