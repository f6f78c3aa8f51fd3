#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Programs as machine code: where it is, where -x interpret keeps it out, same outcome."""
import os
import subprocess

import lib

CLAUSE = 'pid$target:a.out:first_call:entry /arg0 % 2 == 1/ { @[arg0 % 3] = count(); }'
CALLS = os.path.join(lib.BUILD, 'tests', 'd', 'calls')


def code_of(pid):
    """Executable mappings without a file; none may be writable too."""
    found = []
    with open(f'/proc/{pid}/maps', encoding='ascii') as maps:
        for line in maps:
            fields = line.split()
            lib.check('wx' not in fields[1], f'writable and executable: {line}')
            if 'x' in fields[1] and len(fields) == 5:
                found.append(line)
    return found


def mappings(*options):
    """Of client and keeper."""
    with subprocess.Popen([CALLS, 'loop']) as victim:
        try:
            with lib.Trace([*options, '-p', str(victim.pid)], CLAUSE) as trace:
                trace.armed()
                keeper = lib.status(victim.pid, 'TracerPid')
                found = code_of(trace.process.pid), code_of(keeper)
                trace.interrupt()
        finally:
            victim.kill()
    return found


def code():
    client, keeper = mappings()
    lib.check(client and keeper, f'no machine code: {client} {keeper}')


def interpret():
    client, keeper = mappings('-x', 'interpret')
    lib.check(not client and not keeper, f'machine code: {client} {keeper}')


def same():
    texts = []
    for options in ([], ['-x', 'interpret']):
        with lib.Trace([*options, '-c', f'{CALLS} 60 0'], CLAUSE) as trace:
            texts.append(trace.end(60))
    lib.check(texts[0] == texts[1] and texts[0].count(' 10\n') == 3, f'{texts[0]} and {texts[1]}')


lib.main([('code', code), ('interpret', interpret), ('same', same)])
