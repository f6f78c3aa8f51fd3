#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""dtproc stack, maps, threads, files, tree: of processes, core files, and wrong ones."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import lib

# Threads that sleep in a function of libc, and one file that is open at an offset.
PYTHON = '''import sys, threading, time
file = open(sys.argv[1])
file.seek(3)
for i in range(int(sys.argv[2])): threading.Thread(target=time.sleep, args=[900]).start()
print(1, flush=True)
time.sleep(900)
'''


class Victim:
    """A python with so many threads more."""

    def __init__(self, threads=3):
        self.threads = threads

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(b'some bytes')
        self.file.flush()
        self.process = subprocess.Popen([sys.executable, '-c', PYTHON, self.file.name,
                                         str(self.threads)], stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.pid = self.process.pid
        lib.within(2, lambda: lib.status(self.pid, 'State') == 'S')
        return self

    def __exit__(self, *what):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.file.close()

    def tids(self):
        return sorted(int(tid) for tid in os.listdir(f'/proc/{self.pid}/task'))


def dtproc(*arguments, code=0):
    done = subprocess.run([lib.DTPROC, *map(str, arguments)], capture_output=True, text=True,
                          timeout=60 * lib.slack(), check=False)
    lib.check(done.returncode == code, f'{arguments}: {done.returncode}, {done.stderr}')
    return done


def stack():
    """Every thread is there, as it sleeps, down to where it began; and it goes on."""
    with Victim() as v, Victim(0) as other:
        out = dtproc('stack', v.pid, other.pid).stdout
        lib.check_free(v.pid, 'behind a snapshot')
        heads = re.findall(r'^thread (\d+) (\S+), (\w+)$', out, re.M)
        want = v.tids() + other.tids()
        lib.check([int(tid) for tid, _, _ in heads] == want, f'{heads}, not {want}')
        lib.check({state for _, _, state in heads} == {'sleeping'}, f'{heads}')
        lib.check(out.startswith(f'{v.pid}:\t{sys.executable} -c'), out[:80])
        for one in out.split('\nthread ')[1:]:
            lib.check(re.search(r'^  [0-9a-f]{16} libc\.so\.6`\S*nanosleep\S*\+0x', one, re.M),
                      'not asleep: ' + one)
            lib.check(re.search(r'`(_start|\S*clone\S*)\+0x', one), 'no beginning: ' + one)
            lib.check('  ...' not in one, 'it is cut: ' + one)


def formats():
    with Victim() as v:
        said = json.loads(dtproc('stack', '--format', 'json', v.pid).stdout)
        lib.check(said['pid'] == v.pid and
                  [t['tid'] for t in said['threads']] == v.tids(), f'{said}')
        for t in said['threads']:
            lib.check(any('nanosleep' in f.get('symbol', '') and
                          f['object'] == 'libc.so.6' for f in t['frames']), f'{t}')
        folded = dtproc('stack', '--format=folded', v.pid).stdout.splitlines()
        lib.check(len(folded) == 4, f'{folded}')
        for line in folded:
            lib.check(re.match(r'python3[^;]*;.*nanosleep[^;]* 1$', line), line)


def core():
    """A core file says the same as the process that it was taken of."""
    if not shutil.which('gcore'):
        raise lib.Absent('gcore')
    with Victim() as v, tempfile.TemporaryDirectory() as there:
        subprocess.run(['gcore', '-o', there + '/core', str(v.pid)], check=True,
                       capture_output=True, timeout=120)
        file = f'{there}/core.{v.pid}'
        of_core = json.loads(dtproc('stack', '--format=json', file).stdout)
        of_process = json.loads(dtproc('stack', '--format=json', v.pid).stdout)
        frames = [{t['tid']: t['frames'] for t in said['threads']}
                  for said in (of_core, of_process)]
        lib.check(frames[0] == frames[1], f'{frames}')
        os.truncate(file, 3000)
        done = subprocess.run([lib.DTPROC, 'stack', file], capture_output=True, text=True,
                              timeout=60, check=False)
        lib.check(done.returncode in (0, 1), f'{done}')


def dies():
    """Ends in the midst of it are told, and nothing hangs."""
    for delay in (0, 0.005, 0.01, 0.02, 0.04):
        with Victim(20) as v:
            said = subprocess.Popen([lib.DTPROC, 'stack', str(v.pid)], text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(delay)
            v.process.kill()
            out, err = said.communicate(timeout=20 * lib.slack())
            lib.check(said.returncode == 0 and 'thread' in out or
                      said.returncode == 1 and f'stacks of {v.pid}: ' in err,
                      f'{said.returncode}: {out[-200:]}{err}')
    lib.check(lib.within(1.5, lambda: not lib.keepers()), 'keepers are left')


def stays_stopped():
    with Victim() as v:
        os.kill(v.pid, signal.SIGSTOP)
        lib.within(2, lambda: lib.status(v.pid, 'State') == 'T')
        lib.check(', stopped\n' in dtproc('stack', v.pid).stdout, 'not stopped')
        lib.check(lib.within(2, lambda: lib.status(v.pid, 'State') == 'T'), 'it runs')


def wrong():
    """Each error names what it is about and why; the others are dealt with."""
    with Victim(0) as v:
        done = dtproc('stack', 999999999, '/etc/passwd', '/none', v.pid, code=1)
        lib.check(re.search(r'stacks of 999999999: .*no such process', done.stderr) and
                  '/etc/passwd: not a core file' in done.stderr and
                  '/none: No such file' in done.stderr and
                  f'thread {v.pid}' in done.stdout, f'{done}')
        gdb = shutil.which('gdb') and subprocess.Popen(
            ['gdb', '-nx', '-p', str(v.pid)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if gdb:
            lib.check(lib.within(20, lambda: lib.status(v.pid, 'TracerPid') == str(gdb.pid)),
                      'gdb does not attach')
            done = dtproc('stack', v.pid, code=1)
            gdb.kill()
            gdb.wait()
            gdb.stdin.close()
            lib.check(f'{gdb.pid}' in done.stderr and 'gdb' in done.stderr, done.stderr)
    for tool in ('maps', 'threads', 'files', 'tree'):
        done = dtproc(tool, 999999999, 'x', code=1)
        lib.check(re.search('999999999: no such process\n.* x: that is no process ID\n',
                            done.stderr), done.stderr)
    for tool in ('stack', 'maps', 'threads', 'files'):
        lib.check(f'Usage: dtproc {tool} ' in dtproc(tool, code=2).stderr, tool)
    dtproc('stack', '--format', 'x', '1', code=2)
    dtproc('stack', '--format', code=2)


def maps():
    with Victim() as v:
        out = dtproc('maps', v.pid).stdout
        with open(f'/proc/{v.pid}/maps', encoding='ascii') as text:
            lines = [line.split(None, 5) for line in text]
        lib.check(len(out.splitlines()) == len(lines) + 2, out)
        kib = 0
        for line in lines:
            low, high = (int(x, 16) for x in line[0].split('-'))
            kib += (high - low) // 1024
            name = line[5].strip() if len(line) > 5 else '[anon]'
            want = rf'^{low:016x} +{(high - low) // 1024}K {line[1]}  {re.escape(name)}$'
            lib.check(re.search(want, out, re.M), f'{want} is not in {out}')
        lib.check(re.search(rf'^total +{kib}K$', out, re.M), f'{kib}: {out}')


def threads():
    with Victim() as v:
        out = dtproc('threads', v.pid).stdout
        rows = re.findall(r'^ +(\d+) (\S+) +sleeping +\d+\.\d\ds$', out, re.M)
        lib.check([int(tid) for tid, _ in rows] == v.tids(), out)


def files():
    with Victim() as v:
        out = dtproc('files', v.pid).stdout
        lib.check(re.search(rf'^ +3 file +r,cloexec +\d+  {v.file.name}$', out, re.M), out)
        lib.check(re.search(r'^ +1 pipe +w +0  pipe:\[\d+\]$', out, re.M), out)
        with open(v.file.name, 'rb') as mine:
            mine.seek(7)
            out = dtproc('files', os.getpid()).stdout
            lib.check(re.search(rf'^ +{mine.fileno()} file +r\S* +7  {v.file.name}$', out,
                                re.M), out)


def tree():
    with subprocess.Popen(['sh', '-c', 'sleep 900 & wait'], start_new_session=True) as shell:
        lib.within(2, lambda: b'sleep' in subprocess.run(
            ['ps', '--ppid', str(shell.pid), '-o', 'comm='], capture_output=True,
            check=False).stdout)
        out = dtproc('tree', shell.pid).stdout
        every = dtproc('tree').stdout
        os.killpg(shell.pid, signal.SIGKILL)
    found = re.search(rf'^( *){os.getpid()} .*proctools.*\n( *){shell.pid} sh -c .*\n'
                      r'( *)\d+ sleep 900$', out, re.M)
    lib.check(found and len(found[2]) == len(found[1]) + 2 and
              len(found[3]) == len(found[2]) + 2, out)
    lib.check(f'{shell.pid} sh -c' in every, every)


lib.main([('stack', stack), ('formats', formats), ('core', core), ('dies', dies),
          ('stays_stopped', stays_stopped), ('wrong', wrong), ('maps', maps),
          ('threads', threads), ('files', files), ('tree', tree)])
