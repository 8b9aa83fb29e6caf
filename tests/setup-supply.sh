#!/bin/sh
# Gets what the tests of builds with buildx and of signatures need, which Debian 12 has not: Docker's plugin buildx and
# cosign, unpacked under target/supply. Starts nothing.
set -eu
cd "$(dirname "$0")/.."
folder=$PWD/target/supply
[ -x "$folder/bin/cosign" ] && [ -x "$folder/config/cli-plugins/docker-buildx" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "no buildx and no cosign found, and they cannot be had here: the tests with them will be skipped" >&2
    exit 0
fi
. tests/apt.sh
unpack_newer "$folder" docker-buildx cosign
mkdir -p "$folder/bin" "$folder/config/cli-plugins"
mv "$folder/root/usr/bin/cosign" "$folder/bin/"
mv "$folder/root/usr/libexec/docker/cli-plugins/docker-buildx" "$folder/config/cli-plugins/"
rm -rf "$folder/root" "$folder/debs" "$folder/cache" "$folder/lists"
