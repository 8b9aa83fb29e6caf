#!/bin/sh
# Gets what the tests with a host behind SSH need: a server, which the tests start themselves.
set -eu
command -v ssh >/dev/null && [ -x /usr/sbin/sshd ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    . "$(dirname "$0")/apt.sh"
    install_packages openssh-server openssh-client
else
    echo "no ssh server found, and it cannot be installed here: the tests with it will be skipped" >&2
fi
