# SPDX-License-Identifier: BSD-2-Clause
all:
	@test -d build || meson setup build
	ninja -C build
.PHONY: all
