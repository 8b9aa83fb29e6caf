#!/bin/sh
# Gets what the tests with a real Kubernetes need, into target/kubernetes: its control plane, kubelet and proxy, built from
# the distribution's own source, with etcd and kubectl as the distribution has them. Nothing is installed for the machine
# but small tools. Built once; three minutes on two processors that have nothing else to do.
set -eu
cd "$(dirname "$0")/.."
tests=$PWD/tests
here=$PWD/target/kubernetes
wanted=$(cat "$0" "$tests/kubernetes/together.go" | cksum)
[ "$(cat "$here/built" 2>/dev/null)" = "$wanted" ] && exit 0

. /etc/os-release
if [ "${VERSION_CODENAME:-}" != bookworm ] || ! command -v apt-get >/dev/null; then
    echo "Kubernetes is built from the source that Debian 12 has: the tests with it will be skipped" >&2
    exit 1
fi
missing=
for pair in python3:python3 openssl:openssl ip:iproute2 iptables:iptables; do
    command -v "${pair%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || { echo "not here:$missing" >&2; exit 1; }
    apt-get update
    # shellcheck disable=SC2086 # several words
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
fi

rm -rf "$here"
work=$here/work
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial" "$work/debs"
trap 'rm -rf "$work"' EXIT
# The machine's own sources of packages, and the source packages of the same places.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$file" ] || continue
    grep -E "^deb (\[[^]]*\] )?[^ ]+ $VERSION_CODENAME[ -]" "$file" |
        sed 'p; s/^deb /deb-src /' >>"$work/parts/all.list" || :
done
for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk -v RS= -v ORS='\n\n' -v suite="(^|\n)Suites: *$VERSION_CODENAME" '$0 ~ suite' "$file" |
        sed 's/^Types:.*/Types: deb deb-src/' >>"$work/parts/all.sources"
done
apt() {
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/parts" \
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User= -o Debug::NoLocking=1 "$@"
}
apt update
cd "$work/debs"
apt source --download-only kubernetes
apt download golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev etcd-server kubernetes-client
for deb in *.deb; do dpkg-deb -x "$deb" "$work/x"; done
mkdir -p "$work/go/src/k8s.io/kubernetes"
tar -xzf kubernetes_*.orig.tar.gz -C "$work/go/src/k8s.io/kubernetes" --strip-components=1
rm -rf "$work/debs" "$work/lists" "$work/cache"
cp "$work/x/usr/bin/etcd" "$work/x/usr/bin/kubectl" "$here/"

export GOROOT="$work/x/usr/lib/go-1.19" GOPATH="$work/go" GOCACHE="$work/built" GOTMPDIR="$work" \
    GO111MODULE=off CGO_ENABLED=0 GOGC=200
go=$GOROOT/bin/go
cd "$GOPATH/src/k8s.io/kubernetes"
# Its own copy walks maps in a way that this Go does not have any more: the API server died of custom resources.
rm -rf vendor/github.com/modern-go/reflect2
cp -r "$work/x/usr/share/gocode/src/github.com/modern-go/reflect2" vendor/github.com/modern-go/
mkdir cmd/together
cp "$tests/kubernetes/together.go" cmd/together/main.go
# What the API server tells of its types is not in the source, and made from it.
types=$(grep -rlE '^// \+k8s:openapi-gen=' --include='*.go' staging/src/k8s.io/api staging/src/k8s.io/apimachinery \
    staging/src/k8s.io/apiserver/pkg/apis/audit staging/src/k8s.io/apiextensions-apiserver/pkg/apis \
    staging/src/k8s.io/kube-aggregator/pkg/apis |
    xargs -n1 dirname | sort -u | sed 's,^staging/src/,k8s.io/kubernetes/vendor/,' | paste -sd,)
"$go" run -trimpath ./vendor/k8s.io/kube-openapi/cmd/openapi-gen --report-filename "$work/report" \
    --go-header-file hack/boilerplate/boilerplate.generatego.txt -i "$types" -O zz_generated.openapi \
    -p k8s.io/kubernetes/pkg/generated/openapi --output-base "$GOPATH/src"
flags="-s -w"
for package in component-base/version client-go/pkg/version; do
    for value in gitVersion=v1.20.2 gitMajor=1 gitMinor=20; do
        flags="$flags -X k8s.io/kubernetes/vendor/k8s.io/$package.$value"
    done
done
# Without the clouds, whose libraries are the greater part.
"$go" build -trimpath -tags providerless -ldflags "$flags" -o "$here/kubernetes" ./cmd/together
chmod -R u+w "$work"
echo "$wanted" >"$here/built"
