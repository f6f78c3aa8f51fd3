#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Stacks of real programs at random moments, beside gdb's (and eu-stack's).

A program is stopped by SIGSTOP, so that both look at the same moment.  What is compared
are the frames' addresses, from the innermost on, without those that gdb makes up from
debugging information (inlined functions, tail calls).  One that differs is shown; a program
whose code is described everywhere has to agree always.
"""
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import lib

WALK = os.path.join(lib.BUILD, 'tests', 'system', 'walk')
MOMENTS = 1000 if lib.SOAK else 2

GDB = '''
set pagination off
set debuginfod enabled off
set backtrace past-main on
set backtrace past-entry on
python
for t in gdb.selected_inferior().threads():
    t.switch()
    frames, f = [], gdb.newest_frame()
    while f and len(frames) < 4096:
        if f.type() in (gdb.NORMAL_FRAME, gdb.SIGTRAMP_FRAME):
            frames.append('%x' % f.pc())
        f = f.older()
    print('STACK', t.ptid[1], *frames)
end
'''

PYTHON = 'import re, json\nwhile True: sorted(json.dumps([[str(i)] * 9 for i in range(9)]))'
NODE = '''function f(n) { return n ? f(n - 1) + 1 : JSON.stringify({a: [1, 2, {b: 3}]}).length; }
for (;;) { f(20); [3, 1, 2].sort((a, b) => f(2) + a - b); }'''


def ours(pid):
    done = subprocess.run([WALK, str(pid)], capture_output=True, text=True, timeout=60,
                          check=False)
    lib.check(done.returncode == 0, 'walk: ' + done.stderr)
    stacks = {}
    for line in done.stdout.splitlines():
        tid, *frames = line.split()
        stacks[int(tid)] = [frame.split(':') for frame in frames]
    return stacks


def by_gdb(pid):
    with tempfile.NamedTemporaryFile('w', suffix='.gdb') as script:
        script.write(GDB)
        script.flush()
        done = subprocess.run(['gdb', '-nx', '-batch', '-p', str(pid), '-x', script.name],
                              capture_output=True, text=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL)
    return {int(tid): frames.split() for tid, frames in
            re.findall(r'^STACK (\d+) (.*)$', done.stdout, re.M)}


def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    return lib.within(2, lambda: lib.status(pid, 'State') == 'T')


class Compared:
    """How often the stacks of a program were the same."""

    def __init__(self):
        self.same, self.all, self.shown = 0, 0, []

    def add(self, mine, theirs):
        for tid in mine.keys() & theirs.keys():
            self.all += 1
            frames = [pc for pc, _ in mine[tid]]
            if frames == theirs[tid]:
                self.same += 1
            elif len(self.shown) < 5:
                at = next((i for i, (a, b) in enumerate(zip(frames, theirs[tid]))
                           if a != b), min(len(frames), len(theirs[tid])))
                self.shown.append(f'{len(frames)} frames and {len(theirs[tid])}, from '
                                  f'{at} on: {mine[tid][at:at + 2]}, '
                                  f'{theirs[tid][at:at + 2]}')


def compare(command, least, **popen):
    """At some moments: at least that share of the stacks agrees."""
    if not shutil.which('gdb'):
        raise lib.Absent('gdb')
    if not shutil.which(command[0]):
        raise lib.Absent(command[0])
    seen = Compared()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, **popen) as victim:
        try:
            time.sleep(1)
            for _ in range(MOMENTS):
                time.sleep(random.random() / 20)
                lib.check(stopped(victim.pid), 'it does not stop')
                seen.add(ours(victim.pid), by_gdb(victim.pid))
                os.kill(victim.pid, signal.SIGCONT)
        finally:
            victim.kill()
    lib.check(seen.all > 0, 'nothing to compare')
    share = seen.same / seen.all
    print(f'{os.path.basename(command[0])}: {seen.same} of {seen.all} stacks agree',
          *seen.shown, sep='\n  ')
    lib.check(share >= least, f'{share:.0%} agree')


def python():
    compare(['python3', '-c', PYTHON], 1)


def node():
    # Generated code has no rules: gdb guesses there, and so do we.
    compare(['node', '-e', NODE], 0.5)


def redis():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    compare(['redis-server', '--port', port, '--save', '', '--bind', '127.0.0.1'], 1)


def cplusplus():
    compare(['gdb', '-nx', '-batch', '-ex', 'python\nwhile True: sorted([3, 1, 2] * 99)'], 1)


def hammer(name, least):
    def run():
        with tempfile.NamedTemporaryFile() as page:
            page.truncate(4096)
            compare([os.path.join(lib.VICTIMS, name), '2', '0'], least,
                    env=dict(os.environ, VICTIM_PAGE=page.name))
    return run


lib.main([('python', python), ('node', node), ('redis', redis), ('cplusplus', cplusplus),
          ('static', hammer('hammer-static', 1)),
          # musl describes nothing: what counts is that nobody is lost in a loop.
          ('musl', hammer('hammer-musl', 0))])
