#!/bin/sh
# Starts Kubernetes with one node, Docker and a registry in a network, mounts and processes of their own; they end with its
# input. The programs are those that tests/setup-kubernetes.sh built.
#   up.sh FOLDER PROGRAMS
set -eu
export HERE=$1 K=$2
trap 'rm -rf "$HERE"' EXIT

root=$HERE/image
mkdir -p "$root/bin" "$root/tmp" "$root/etc" "$HERE/docker" "$HERE/registry" "$HERE/certs" "$HERE/kubelet" "$HERE/var/lib" \
    "$HERE/var/log" "$HERE/sys" "$HERE/logs"
chmod 1777 "$root/tmp"
cp "$(command -v busybox)" "$root/bin/busybox"
for name in sh sleep cat echo httpd wget mkdir touch kill; do ln -sf busybox "$root/bin/$name"; done
cp "${0%/*}/serve" "$root/bin/serve"
cp "${0%/*}/pause" "$root/bin/pause"
chmod +x "$root/bin/serve" "$root/bin/pause"
tar -C "$root" -cf "$HERE/box.tar" .

cat >"$HERE/registry.yml" <<END
version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: $HERE/registry } }
http: { addr: 127.0.0.1:5000 }
END
cat >"$HERE/kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: test, user: {token: test}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
END
echo 'test,admin,1,"system:masters"' >"$HERE/tokens"
openssl genrsa -out "$HERE/certs/sa.key" 2048 2>/dev/null
openssl rsa -in "$HERE/certs/sa.key" -pubout -out "$HERE/certs/sa.pub" 2>/dev/null
# A root without CAP_SYS_RESOURCE cannot make a process less likely to be killed, which the kubelet asks for.
cat >"$HERE/runc" <<'END'
#!/bin/sh
before=
for word in "$@"; do
    [ "$before" != --bundle ] || sed -i 's/"oomScoreAdj": *-[0-9]*/"oomScoreAdj":0/' "$word/config.json"
    before=$word
done
exec runc "$@"
END
chmod +x "$HERE/runc"

cat >"$HERE/inner" <<'END'
set -eu
ip link set lo up
# The node asks for a way out, although it needs none.
ip link add way type bridge && ip addr add 10.250.0.1/24 dev way && ip link set way up
ip route add default via 10.250.0.2
docker-registry serve "$HERE/registry.yml" >"$HERE/logs/registry" 2>&1 &
dockerd --data-root "$HERE/docker/data" --exec-root "$HERE/docker/exec" -p "$HERE/docker/pid" \
    --add-runtime "patient=$HERE/runc" --default-runtime patient -H "unix://$HERE/docker.sock" >"$HERE/logs/dockerd" 2>&1 &
"$K/etcd" --data-dir "$HERE/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync >"$HERE/logs/etcd" 2>&1 &
"$K/kubernetes" kube-apiserver --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range=10.96.0.0/16 \
    --service-account-key-file="$HERE/certs/sa.pub" --service-account-signing-key-file="$HERE/certs/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc --cert-dir="$HERE/certs" --token-auth-file="$HERE/tokens" \
    --authorization-mode=AlwaysAllow --disable-admission-plugins=ServiceAccount --bind-address=127.0.0.1 \
    --advertise-address=10.250.0.1 --secure-port=6443 \
    --kubelet-preferred-address-types=InternalIP >"$HERE/logs/apiserver" 2>&1 &
kubectl="$K/kubectl --kubeconfig=$HERE/kubeconfig"
until $kubectl get --raw=/readyz >/dev/null 2>&1; do sleep 0.1; done
"$K/kubernetes" kube-controller-manager --kubeconfig="$HERE/kubeconfig" --leader-elect=false --cert-dir="$HERE/certs" \
    --service-account-private-key-file="$HERE/certs/sa.key" --bind-address=127.0.0.1 --port=0 >"$HERE/logs/controllers" 2>&1 &
"$K/kubernetes" kube-scheduler --kubeconfig="$HERE/kubeconfig" --leader-elect=false --cert-dir="$HERE/certs" \
    --bind-address=127.0.0.1 --port=0 >"$HERE/logs/scheduler" 2>&1 &
docker="docker -H unix://$HERE/docker.sock"
until $docker version >/dev/null 2>&1; do sleep 0.1; done
$docker import -c 'CMD ["/bin/pause"]' "$HERE/box.tar" pause:local >/dev/null
# A pod whose container never began is gone only when what held its network is, and the kubelet looks for such once in a
# minute. Here they are taken away when they have ended.
$docker events --filter event=die --filter label=io.kubernetes.docker.type=podsandbox --format '{{.ID}}' |
    while read -r id; do sleep 0.5; $docker rm "$id" >/dev/null 2>&1 || :; done &
# What the kubelet writes is kept off the machine.
mount --bind "$HERE/var/log" /var/log
mount --bind "$HERE/var/lib" /var/lib
for file in vm/overcommit_memory kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    cat "/proc/sys/$file" >"$HERE/sys/${file##*/}"
    mount --bind "$HERE/sys/${file##*/}" "/proc/sys/$file"
done
"$K/kubernetes" kubelet --kubeconfig="$HERE/kubeconfig" --root-dir="$HERE/kubelet" --cert-dir="$HERE/certs" \
    --container-runtime=docker --docker-endpoint="unix://$HERE/docker.sock" \
    --experimental-dockershim-root-directory="$HERE/dockershim" --pod-infra-container-image=pause:local \
    --cgroup-driver=cgroupfs --cgroups-per-qos=false --enforce-node-allocatable= --fail-swap-on=false \
    --hostname-override=node --node-ip=10.250.0.1 --network-plugin= --address=0.0.0.0 --read-only-port=0 \
    --anonymous-auth=true --authorization-mode=AlwaysAllow --eviction-hard= --image-gc-high-threshold=100 \
    --serialize-image-pulls=false --node-status-update-frequency=2s --sync-frequency=1s \
    --event-qps=0 --make-iptables-util-chains=false --volume-plugin-dir="$HERE/plugins" >"$HERE/logs/kubelet" 2>&1 &
"$K/kubernetes" kube-proxy --kubeconfig="$HERE/kubeconfig" --hostname-override=node --proxy-mode=iptables \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0 \
    --healthz-bind-address=127.0.0.1 --metrics-bind-address=127.0.0.1 --iptables-min-sync-period=0s >"$HERE/logs/proxy" 2>&1 &
until $kubectl get nodes 2>/dev/null | grep -q ' Ready'; do sleep 0.2; done
touch "$HERE/up"
cat >/dev/null
END
unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc sh "$HERE/inner" || {
    tail -n 5 "$HERE"/logs/* >&2
    exit 1
}
