#!/usr/bin/env bash
# Installs what `cargo bench --bench peers` compares with: make and ninja as system packages, everything else in
# target/peers. What cannot be installed is named, and the benchmark leaves it out.
set -uo pipefail
cd "$(dirname "$0")/.."
to="${CARGO_TARGET_DIR:-$PWD/target}/peers"
mkdir -p "$to/bin" "$to/node"

failed=0
# try NAME COMMAND...: one step; the others go on without it.
try() {
    local name=$1
    shift
    echo "== $name"
    "$@" || { echo "!! $name: not installed" >&2; failed=1; }
}

system() {
    command -v ninja >/dev/null && command -v make >/dev/null && command -v git >/dev/null && return
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    "${root[@]}" apt-get update -qq && "${root[@]}" apt-get install -y -qq --no-install-recommends ninja-build make git
}

# just is not in every Debian; its package here is the program itself, and so is go-task's.
python() {
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade \
        --target "$to/python" go-task-bin==3.54.0 rust-just==1.59.0 || return
    ln -sf "$to/python/bin/task" "$to/python/bin/just" "$to/bin/"
}

# turbo runs each job with the package manager; bun is the one that costs least. turbo and moon are linked without the
# script of Node around them, so that they are not charged for its start.
node() {
    npm install --prefix "$to/node" --no-fund --no-audit --loglevel=error --save-exact \
        turbo@2.11.11 nx@24.0.6 @moonrepo/cli@2.5.5 bun@1.4.5 || return
    local modules="$to/node/node_modules"
    ln -sf "$modules"/@turbo/*/bin/turbo "$modules"/@moonrepo/core-*/moon "$modules/.bin/nx" "$modules/.bin/bun" \
        "$to/bin/"
}

try "ninja, make, git" system
try "go-task, just" python
try "turbo, nx, moon" node
for program in ninja make task just turbo nx moon; do
    PATH="$to/bin:$PATH" command -v "$program" >/dev/null || { echo "!! $program: not found" >&2; failed=1; }
done
exit "$failed"
