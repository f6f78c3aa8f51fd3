#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""tags: each tag of a diagnostic in the sources of the compiler has a test.

A test names it: in tests/unit/lang/*.txt, in a C test's table, or a test of tracing by its
file's name or in its expected output.
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def tags(pattern, regex):
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
        with open(path, encoding='utf-8', errors='replace') as f:
            for tag in re.findall(regex, f.read() + os.path.basename(path)):
                found.setdefault(tag, os.path.relpath(path, ROOT))
    return found


def main():
    used = {}
    for pattern in ('src/lang/*.c', 'src/codegen/*.c'):
        used.update(tags(pattern, r'"(D_[A-Z][A-Z0-9_]*[A-Z0-9])"'))
    tested = {}
    for pattern in ('tests/unit/lang/*.txt', 'tests/unit/*.c', 'tests/d/*.test'):
        tested.update(tags(pattern, r'(?<![A-Z_])(D_[A-Z][A-Z0-9_]*[A-Z0-9])'))
    missing = sorted(set(used) - set(tested))
    for tag in missing:
        print(f'{used[tag]}: no test names {tag}')
    print(f'{len(used)} tags, {len(missing)} without a test')
    return 1 if missing or len(used) < 80 else 0


sys.exit(main())
