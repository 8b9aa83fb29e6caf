#!/bin/sh
# Gets what the tests with real registries need: a registry, and skopeo, which says independently what is in one.
set -eu
command -v docker-registry >/dev/null && command -v skopeo >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    . "$(dirname "$0")/apt.sh"
    install_packages docker-registry skopeo
else
    echo "no registry and no skopeo found, and they cannot be installed here: the tests with them will be skipped" >&2
fi
