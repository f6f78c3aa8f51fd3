#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How victims end and stop, and what is told of it: stop(), raise(), exit statuses, core
dumps, and dtproc stop, run and wait.  Rules A10, D3, G1, G2, H1.
"""
import os
import re
import resource
import signal
import subprocess
import tempfile
import time

import lib

CALLS = os.path.join(lib.BUILD, 'tests', 'd', 'calls')
PROBE = 'pid$target::first_call:entry'
ONCE = 'int done; ' + PROBE + '/!done/ { done = 1; stop(); '


class Loop:
    """calls loop, until the test ends."""

    def __enter__(self):
        self.process = subprocess.Popen([CALLS, 'loop'], stdout=subprocess.DEVNULL)
        self.pid = self.process.pid
        lib.check(lib.within(5, lambda: lib.status(self.pid, 'State') == 'S'),
                  'calls loop does not run')
        return self

    def __exit__(self, *what):
        self.process.kill()
        self.process.wait()

    def stands(self):
        return lib.status(self.pid, 'State') in ('T', 't')

    def naps(self):
        return int(lib.status(self.pid, 'voluntary_ctxt_switches'))

    def rests(self):
        naps = self.naps()
        time.sleep(0.1)
        return self.naps() == naps

    def runs(self):
        naps = self.naps()
        return lib.within(5, lambda: self.naps() > naps + 3)


def dtproc(*arguments, **more):
    return subprocess.run([lib.DTPROC, *map(str, arguments)], text=True, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)


def said(result, status, out='', err=''):
    lib.check(result.returncode == status and re.fullmatch(out, result.stdout) and
              re.fullmatch(err, result.stderr),
              f'{result.args[1:]}: {result.returncode}, {result.stdout!r}, {result.stderr!r}')


def stopped_by_a_probe():
    """A thread that hits stop() stands there, once, until somebody runs it (G1, G2)."""
    with Loop() as v, lib.Trace(['-w', '-p', str(v.pid)], ONCE + 'printf("hit\\n"); }') as t:
        t.armed()
        lib.check(lib.within(10, v.stands), 'it was not stopped')
        lib.check(lib.within(5, lambda: 'hit' in t.text()), 'no record of it')
        lib.check(lib.within(5, v.rests) and v.stands(), 'it went on by itself')
        said(dtproc('run', v.pid), 0)
        lib.check(v.runs(), 'it does not run')
        t.interrupt()
        lib.check_free(v.pid, 'let go')
        lib.check(v.runs(), 'it does not run on')


def stopped_and_left():
    """The client goes while its victim is stopped: it stays so (G1), with clean text."""
    for kill in (False, True):
        with Loop() as v, lib.Trace(['-w', '-p', str(v.pid)], ONCE + '}') as t:
            t.armed()
            lib.check(lib.within(10, v.stands), 'it was not stopped')
            if kill:
                t.process.kill()
                t.process.wait()
            else:
                t.interrupt()
            lib.check(lib.within(5, lambda: lib.status(v.pid, 'State') == 'T'),
                      f"it is {lib.status(v.pid, 'State')}")
            lib.check(lib.text_differs(v.pid) == 0, 'traps are left')
            said(dtproc('run', v.pid), 0)
            lib.check(v.runs(), 'it does not run on')
            lib.check_free(v.pid, 'run')


def created_and_stopped():
    """stop() suspends kill on last close (G1)."""
    with lib.Trace(['-w', '-c', CALLS + ' loop'], PROBE + '{ stop(); trace(pid); }') as t:
        t.armed()
        lib.check(lib.within(10, lambda: re.search(r'\d', t.text())), 'not hit')
        pid = int(re.search(r'\d+', t.text()).group())
        lib.check(lib.within(10, lambda: lib.status(pid, 'State') in ('T', 't')), 'runs')
        t.interrupt()
    try:
        lib.check(lib.within(5, lambda: lib.status(pid, 'State') == 'T'),
                  f"it is {lib.status(pid, 'State')}")
    finally:
        os.kill(pid, signal.SIGKILL)


def raised():
    """A signal at each hit, none lost, none twice: a handler that counts them (D3)."""
    program = ('import ctypes, signal\nn = 0\ndef count(s, f):\n    global n\n    n += 1\n'
               'signal.signal(signal.SIGUSR1, count)\n'
               'for i in range(300): ctypes.CDLL(None).getppid()\nprint(n)\n')
    with tempfile.NamedTemporaryFile('w', suffix='.py') as f:
        f.write(program)
        f.flush()
        r = dtproc('-wq', '-c', f'python3 {f.name}', '-n',
                   f'pid$target:libc:getppid:entry {{ raise({int(signal.SIGUSR1)}); '
                   '@ = count(); }')
    lib.check(r.stdout.split() == ['300', '300'], f'{r.stdout!r} {r.stderr!r}')


def ends():
    """Each way to end, in DTrace's words; the client's own status stays its own."""
    trace = [lib.DTPROC, '-x', 'switchrate=10ms', '-n', 'BEGIN { trace("armed"); }']
    for command, words in (('exit 0', 'has exited'), ('exit 3', 'exited with status 3'),
                           ('kill -9 $$', 'terminated by SIGKILL'),
                           ('kill -40 $$', 'terminated by signal 40')):
        for how in ('-c', '-p'):
            with subprocess.Popen(['sh', '-c', 'read x; ' + command],
                                  stdin=subprocess.PIPE) as p, \
                    subprocess.Popen(trace + ([how, str(p.pid)] if how == '-p' else
                                              [how, f"sh -c '{command}'"]), text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE) as t:
                while how == '-p' and 'armed' not in t.stdout.readline():
                    lib.check(t.poll() is None, 'it did not begin')
                p.stdin.close()
                err = t.communicate(timeout=30)[1]
                lib.check(re.fullmatch("dtproc: description 'BEGIN ' matched 1 probe\n"
                                       rf'dtproc: pid \d+ {words}\n', err) and
                          t.returncode == 0, f'{how} {command}: {t.returncode} {err!r}')


def core():
    """A core dump is told, and made as if we were not there."""
    def allow():
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 24, 1 << 24))

    with tempfile.TemporaryDirectory() as there:
        pid = os.posix_spawn('/bin/sh', ['sh', '-c', f'cd {there}; ulimit -c 16384; '
                                         'kill -SEGV $$'], {})
        dumps = os.WCOREDUMP(os.waitpid(pid, 0)[1])
        r = dtproc('-c', "sh -c 'kill -SEGV $$'", '-n', 'BEGIN {x = 1;}', cwd=there,
                   preexec_fn=allow)
    want = r'terminated by SIGSEGV' + (r' \(core dumped\)' if dumps else '')
    lib.check(re.search(want + '\n', r.stderr), f'{r.stderr!r}')
    if not dumps:
        raise lib.Absent('no core is dumped here')


def tools():
    """stop, run, wait: one and several, done already, wrong ones among them."""
    with Loop() as a, Loop() as b:
        said(dtproc('stop', a.pid, b.pid), 0)
        lib.check(a.stands() and b.stands(), 'they run')
        said(dtproc('stop', a.pid), 0, err=f'dtproc: pid {a.pid} is stopped already\n')
        said(dtproc('run', a.pid, 999999999, 'x', b.pid), 1,
             err='dtproc: cannot run 999999999: no such process\n'
                 'dtproc: cannot run x: that is no process ID\n')
        lib.check(a.runs() and b.runs(), 'they do not run')
        said(dtproc('run', a.pid), 0, err=f'dtproc: pid {a.pid} is not stopped\n')
        wait = subprocess.Popen([lib.DTPROC, 'wait', '-v', str(a.pid), str(b.pid)],
                                stdout=subprocess.PIPE, text=True)
        lib.within(10, lambda: len(os.listdir(f'/proc/{wait.pid}/fd')) > 4)
        a.process.terminate()
        a.process.wait()
        lib.check(re.match(rf'{a.pid}: terminated(, wait status 0x000f)?\n',
                           wait.stdout.readline()), 'what was told')
        lib.check(wait.poll() is None, 'it did not wait for both')
        b.process.kill()
        b.process.wait()
        said(subprocess.CompletedProcess(wait.args, wait.wait(10), wait.stdout.read(), ''), 0,
             rf'{b.pid}: terminated(, wait status 0x0009)?\n')
        said(dtproc('wait', a.pid), 1, err=f'dtproc: cannot wait for {a.pid}: no such process\n')
    said(dtproc('stop'), 2, err='Usage: dtproc stop pid...\n')
    said(dtproc('wait', '-x'), 2, err=r'Usage: dtproc wait \[-v\] pid...\n')


def held_and_stopped():
    """What a tracer holds can be stopped and run by others; the keeper stays out of it."""
    with Loop() as v, lib.Trace(['-p', str(v.pid)], PROBE + '{ @ = count(); }') as t:
        t.armed()
        said(dtproc('stop', v.pid), 0)
        lib.check(lib.within(5, v.rests), 'it runs')
        said(dtproc('run', v.pid), 0)
        lib.check(v.runs(), 'it does not run')
        t.interrupt()


def waited_for():
    """--name: one that runs already is told and let be, the next one is held."""
    with tempfile.TemporaryDirectory() as there:
        path = os.path.join(there, 'waited-for')
        os.symlink(CALLS, path)
        with subprocess.Popen([path, 'loop'], stdout=subprocess.DEVNULL) as old:
            try:
                lib.check(lib.within(5, lambda: 'waited' in (lib.status(old.pid, 'Name') or '')),
                          'no victim')
                with subprocess.Popen([lib.DTPROC, '--name', 'waited-for', '-n',
                                       'int n; ' + PROBE + '/n++ > 3/ { trace(pid); exit(0); }'],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True) as t:
                    said_first = t.stderr.readline()
                    lib.check(said_first == f'dtproc: pid {old.pid} is called waited-for '
                              'already: waiting for the next one\n', said_first)
                    new = subprocess.Popen([path, 'loop'], stdout=subprocess.DEVNULL)
                    try:
                        out, err = t.communicate(timeout=30)
                    finally:
                        new.kill()
                        new.wait()
                lib.check(re.search(rf'\b{new.pid}\b', out) and t.returncode == 0,
                          f'{out!r} {err!r}')
                lib.check(re.search(rf'pid {new.pid} is waited-for, held [0-9.]+ ms or less', err),
                          err)
                lib.check_free(old.pid, 'not meant')
            finally:
                old.kill()


lib.main([('waited-for', waited_for), ('stopped-by-a-probe', stopped_by_a_probe), ('stopped-and-left', stopped_and_left),
          ('created-and-stopped', created_and_stopped), ('raised', raised), ('ends', ends),
          ('core', core), ('tools', tools), ('held-and-stopped', held_and_stopped)])
