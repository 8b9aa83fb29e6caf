#!/bin/sh
# Starts Docker, rootless Podman and a registry in a network, mounts and processes of their own; they end with its input.
#   up.sh FOLDER UID
set -eu
export HERE=$1 NUMBER=$2
export PLUGIN=$(dirname "$0")/../../target/compose/cli-plugins/docker-compose
trap 'rm -rf "$HERE"' EXIT

image() {
    root=$HERE/image
    mkdir -p "$root/bin" "$root/tmp" "$root/etc"
    chmod 1777 "$root/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    tar -C "$root" -cf "$HERE/bare.tar" .
    for name in seq hostname sh sleep cat echo id ls env touch kill httpd wget pwd true false mkdir head ps tail sort test dd trap grep; do
        ln -sf busybox "$root/bin/$name"
    done
    printf '#!/bin/sh\necho serving\nmkdir -p /tmp/www\necho "$GREETING" >/tmp/www/index.html\n[ -z "$SLOW" ] || sleep "$SLOW"\n[ -z "$BROKEN" ] || exit 7\ntrap "exit 0" TERM\nhttpd -f -p 8080 -h /tmp/www &\nwait\n' >"$root/bin/serve"
    chmod +x "$root/bin/serve"
    tar -C "$root" -cf "$HERE/box.tar" .
    chmod 644 "$HERE"/*.tar
}
image

cat >"$HERE/registry.yml" <<END
version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: $HERE/registry } }
http: { addr: 127.0.0.1:5000 }
auth: { htpasswd: { realm: test, path: $HERE/htpasswd } }
END
# The password is ~~~???>>>~~~??? for the sake of its base64.
echo 'ci:$2b$04$PxKth3pJQX2T53UOAHbHnuaQR4fygGBM7vwF9MBvJ1b0HeufxKX4.' >"$HERE/htpasswd"

mkdir -p "$HERE/etc" "$HERE/podman/home/.config/containers" "$HERE/docker" "$HERE/registry"
for file in passwd group subuid subgid; do cat "/etc/$file" >"$HERE/etc/$file" 2>/dev/null || :; done
echo "piper:x:$NUMBER:$NUMBER::$HERE/podman/home:/bin/sh" >>"$HERE/etc/passwd"
echo "piper:x:$NUMBER:" >>"$HERE/etc/group"
echo "piper:3000000:65536" >>"$HERE/etc/subuid"
echo "piper:3000000:65536" >>"$HERE/etc/subgid"
printf '[[registry]]\nlocation = "127.0.0.1:5000"\ninsecure = true\n' >"$HERE/podman/home/.config/containers/registries.conf"
cat >"$HERE/podman/with" <<END
#!/bin/sh
cd $HERE/podman/home
exec env -i PATH=\$PATH HOME=$HERE/podman/home XDG_RUNTIME_DIR=$HERE/podman/run setpriv --reuid=$NUMBER --regid=$NUMBER --clear-groups podman --root $HERE/podman/root --runroot $HERE/podman/rr --runtime runc --cgroup-manager cgroupfs "\$@"
END
chmod +x "$HERE/podman/with"
# Podman's command line as its user has it, for whoever is that user already.
mkdir "$HERE/bin"
cat >"$HERE/bin/podman" <<END
#!/bin/sh
export HOME=$HERE/podman/home XDG_RUNTIME_DIR=$HERE/podman/run
exec /usr/bin/podman --root $HERE/podman/root --runroot $HERE/podman/rr --runtime runc --cgroup-manager cgroupfs "\$@"
END
chmod +x "$HERE/bin/podman"
mkdir -p "$HERE/podman/run/podman" "$HERE/podman/root" "$HERE/podman/rr"
chown -R "$NUMBER:$NUMBER" "$HERE/podman"

cat >"$HERE/inner" <<'END'
set -eu
ip link set lo up
mkdir -p /run/user
mknod "$HERE/tun" c 10 200 && chmod 666 "$HERE/tun" && mount --bind "$HERE/tun" /dev/net/tun
for file in passwd group subuid subgid; do [ ! -e "/etc/$file" ] || mount --bind "$HERE/etc/$file" "/etc/$file"; done
docker-registry serve "$HERE/registry.yml" >"$HERE/registry.log" 2>&1 &
dockerd --data-root "$HERE/docker/data" --exec-root "$HERE/docker/exec" -p "$HERE/docker/pid" \
    -H "unix://$HERE/docker.sock" >"$HERE/docker/log" 2>&1 &
"$HERE/podman/with" system service --time=0 "unix://$HERE/podman/run/podman/podman.sock" >"$HERE/podman.log" 2>&1 &
until [ -S "$HERE/docker.sock" ] && [ -S "$HERE/podman/run/podman/podman.sock" ]; do sleep 0.1; done
chmod 666 "$HERE/docker.sock"
chmod 755 "$HERE"
docker="docker -H unix://$HERE/docker.sock"
until $docker version >/dev/null 2>&1; do sleep 0.1; done
$docker import -c 'VOLUME /data' "$HERE/box.tar" localhost/box:1 >/dev/null
$docker import -c 'CMD ["/bin/serve"]' "$HERE/box.tar" localhost/web:1 >/dev/null
$docker import "$HERE/bare.tar" localhost/bare:1 >/dev/null
podman="$HERE/podman/with"
{
    $podman import -q -c 'VOLUME /data' "$HERE/box.tar" localhost/box:1
    $podman import -q -c 'CMD ["/bin/serve"]' "$HERE/box.tar" localhost/web:1
    $podman import -q "$HERE/bare.tar" localhost/bare:1
} >/dev/null
mkdir "$HERE/docker/config"
printf '{"auths":{"127.0.0.1:5000":{"auth":"%s"}}}' "$(printf 'ci:~~~???>>>~~~???' | base64 -w0)" >"$HERE/docker/config/config.json"
if [ -x "$PLUGIN" ]; then
    mkdir "$HERE/docker/config/cli-plugins"
    ln -s "$PLUGIN" "$HERE/docker/config/cli-plugins/docker-compose"
fi
$docker tag localhost/box:1 127.0.0.1:5000/team/box:1
$docker --config "$HERE/docker/config" push -q 127.0.0.1:5000/team/box:1 >/dev/null
$docker rmi 127.0.0.1:5000/team/box:1 >/dev/null
touch "$HERE/up"
cat >/dev/null
END
unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc sh "$HERE/inner" || {
    tail -n 5 "$HERE"/*.log "$HERE/docker/log" >&2
    exit 1
}
