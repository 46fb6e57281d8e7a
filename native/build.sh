#!/bin/sh
# Build the native addon into build/keepward.node with the headers of the pinned Node.js; quick when nothing changed.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) echo "keepward: no Node.js package is pinned for machine type $(uname -m); x86_64 and aarch64 are supported" >&2; exit 1 ;;
esac
include=$root/node_modules/node-linux-$arch/include/node
out=$root/build/keepward.node
# The folder itself is newer when a file has gone.
if [ -e "$out" ] && [ -z "$(find "$root/native" -newer "$out")" ]; then exit 0; fi
if ! command -v "${CC:-gcc}" >/dev/null; then echo "keepward: no C compiler; install it with: apt-get install gcc libc6-dev" >&2; exit 1; fi
if [ ! -e "$include/node_api.h" ]; then echo "keepward: $include/node_api.h is missing; run npm ci" >&2; exit 1; fi
mkdir -p "$root/build"
# Written beside and renamed: a running agent keeps the file that it has mapped. Hidden, no function of ours can be
# replaced by one of Node.js that bears the same name.
"${CC:-gcc}" -shared -fPIC -O2 -std=gnu11 -Wall -Wextra -Werror -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
  -fvisibility=hidden -Wl,-z,relro,-z,now -DNAPI_VERSION=8 -DNODE_GYP_MODULE_NAME=keepward -I"$include" \
  -o "$out.$$" "$root"/native/*.c
mv -f "$out.$$" "$out"
