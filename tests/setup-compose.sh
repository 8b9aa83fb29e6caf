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
apt-get update
if ! postgres || ! command -v redis-server >/dev/null; then
    # The daemons and the cluster that come with the packages are not wanted.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold postgresql redis-server
fi
if [ ! -x "$plugin" ]; then
    # From the release after, by the mirror that this machine uses.
    here=$(dirname "$(dirname "$plugin")")
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
    mkdir -p "$here/lists/partial" "$here/cache/archives/partial" "$here/unpacked" "$(dirname "$plugin")"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror%/} trixie main" >"$here/sources.list"
    set -- -o "Dir::Etc::SourceList=$here/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$here/lists" \
        -o "Dir::Cache=$here/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User= -o Debug::NoLocking=1
    apt-get "$@" update
    (cd "$here/cache" && apt-get "$@" download docker-compose)
    dpkg-deb -x "$here"/cache/docker-compose_*.deb "$here/unpacked"
    cp "$here/unpacked/usr/libexec/docker/cli-plugins/docker-compose" "$plugin.new"
    mv "$plugin.new" "$plugin"
fi
