#!/bin/sh
# Makes the programs from inside.c, with Debian's gcc and gcc-aarch64-linux-gnu: build.sh [FOLDER]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
for cc in gcc aarch64-linux-gnu-gcc; do
    command -v "$cc" >/dev/null || continue
    arch=$("$cc" -dumpmachine | cut -d- -f1)
    case $arch in x86_64) also=-fcf-protection=none ;; *) also= ;; esac
    "$cc" -Os -Wall -Wextra -Werror -ffreestanding -fno-builtin -fno-stack-protector -fno-pie -no-pie -static -nostdlib \
        -fno-asynchronous-unwind-tables -fno-ident $also \
        -Wl,--build-id=none,-z,noseparate-code,-s,-z,noexecstack -o "$out/inside.$arch" "$here/inside.c"
done
