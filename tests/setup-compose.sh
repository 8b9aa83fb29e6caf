#!/bin/sh
# Gets what the tests with Compose need: Compose 2, unpacked under target/ where this release of Debian has none, and the
# programs of PostgreSQL and Redis, of which the tests make images. Starts nothing.
set -eu
cd "$(dirname "$0")/.."
plugin=$PWD/target/compose/cli-plugins/docker-compose
postgres() { ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; }
if [ -x "$plugin" ] && postgres && command -v redis-server >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "no Compose, PostgreSQL or Redis found, and they cannot be installed here: the tests with them will be skipped" >&2
    exit 0
fi
. tests/apt.sh
if ! postgres || ! command -v redis-server >/dev/null; then
    # The cluster that comes with the packages is not wanted.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    fi
    install_packages postgresql redis-server
fi
if [ ! -x "$plugin" ]; then
    here=$PWD/target/compose
    unpack_newer "$here" docker-compose
    mkdir -p "$(dirname "$plugin")"
    mv "$here/root/usr/libexec/docker/cli-plugins/docker-compose" "$plugin"
    rm -rf "$here/root" "$here/debs" "$here/cache" "$here/lists"
fi
