#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# install.sh BUILD: what `make install` lays out works where it lies: the command finds
# its library and keeper, that its unwinder, a program is built against header and dtproc.pc alone.
build=$1
root=$(realpath "$(dirname "$0")/../..")
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT

fail() {
	echo "$*"
	exit 1
}

meson install -C "$build" --no-rebuild --quiet --destdir "$tree" >"$tree/log" 2>&1 ||
	fail "meson install: $(tail -3 "$tree/log")"
command=$(find "$tree" -path '*/bin/dtproc')
library=$(find "$tree" -name 'libdtproc.so.0')
header=$(find "$tree" -name dtproc.h)
page=$(find "$tree" -name 'dtproc.1*')
keeper=$(find "$tree" -path '*/dtproc/dtproc-keeper')
for file in "$command" "$library" "$header" "$keeper" "$page"; do
	[ -e "$file" ] || fail "not installed: one of dtproc, library, header, keeper, page"
done
export LD_LIBRARY_PATH="${library%/*}"

# It traces, with the tree's own keeper and unwinder.
# shellcheck disable=SC2016
out=$("$command" -q -n 'pid$target:libc:malloc:entry { @[ustack()] = count(); }' \
	-c 'ls -d /' 2>&1) || fail "the installed command: $out"
echo "$out" | grep -q '`__libc_start_main' || fail "it walks no stacks: $out"

PKG_CONFIG_PATH=${library%/*}/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$tree
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
# shellcheck disable=SC2046
cc -o "$tree/hold" "$root/examples/hold.c" $(pkg-config --cflags --libs dtproc) \
	>"$tree/log" 2>&1 || fail "a program of our own: $(cat "$tree/log")"
"$tree/hold" 'sh -c "exit 3"' | grep -q 'exited with status 3' ||
	fail "the example says nothing"
