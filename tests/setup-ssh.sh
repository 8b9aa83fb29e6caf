#!/bin/sh
# Gets what the tests with a host behind SSH need: a server, which the tests start themselves.
set -eu
command -v ssh >/dev/null && [ -x /usr/sbin/sshd ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openssh-server openssh-client
else
    echo "no ssh server found, and it cannot be installed here: the tests with it will be skipped" >&2
fi
