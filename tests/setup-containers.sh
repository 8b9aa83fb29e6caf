#!/bin/sh
# Gets what the tests with real containers need: Docker's and Podman's daemons, a registry, and a static busybox of which
# their images are made. Starts nothing: the tests start their own, apart from everything else.
set -eu
for program in dockerd podman runc newuidmap slirp4netns docker-registry busybox unshare setpriv nsenter skopeo; do
    command -v "$program" >/dev/null || missing=1
done
if [ -z "${missing:-}" ] && [ -x /usr/lib/podman/aardvark-dns ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    . "$(dirname "$0")/apt.sh"
    install_packages \
        docker.io podman runc uidmap slirp4netns netavark aardvark-dns iptables busybox-static docker-registry \
        skopeo
else
    echo "no container engines found, and they cannot be installed here: the tests with them will be skipped" >&2
fi
