#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Stop points of commands (rule C4), as -x evaltime names them: where a command waits, its
probes are armed, and what is behind that point is seen whole.
"""
import os

import lib

KINDS = ['begins', 'begins-nopie', 'begins-static', 'begins-static-pie', 'begins-musl',
         'begins-musl-static']
SEEN = 'pid$target:a.out:main:entry { @[probefunc] = count(); }'


def kinds():
    for name in KINDS:
        for path in (os.path.join(lib.VICTIMS, name + end) for end in ('', '-stripped')):
            if os.path.exists(path):
                yield path


def seen(point, command, clause=SEEN, **env):
    with lib.Trace(['-x', f'evaltime={point}', '-c', command], clause,
                   env=dict(os.environ, **env)) as t:
        return t.end(), t.text(t.err)


def main_is_seen(point):
    for path in kinds():
        out, err = seen(point, path)
        lib.check(lib.count_in(out, 'main') == 1, f'{point} of {path}: {out}{err}')
    lib.check(lib.within(1.5, lambda: not lib.keepers()), 'keepers are left')


def carried():
    """A constructor executes another program; the point is in that one."""
    path = os.path.join(lib.VICTIMS, 'begins')
    for name in 'begins-nopie', 'begins-static-pie':
        out, err = seen('main', path, SEEN, BEGINS_EXEC=os.path.join(lib.VICTIMS, name))
        lib.check(lib.count_in(out, 'main') == 1, f'{name}: {out}{err}')


lib.main([(point, lambda point=point: main_is_seen(point))
          for point in ('exec', 'preinit', 'postinit', 'main')] + [('carried', carried)])
