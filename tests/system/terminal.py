#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The command where people use it: in pipes, command substitution, on terminals with job
control, under a debugger, and on victims that are its terminal or its shell.  Rules B3,
C1, G1, H5.
"""
import fcntl
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time

import lib

HAMMER = 'pid$target:a.out:victim_target:entry '
COUNT = HAMMER + '{ @ = count(); }'
LINES = HAMMER + '{ printf("%d\\n", tid); }'


class Victim:
    """hammer, running until the test ends."""

    def __init__(self, *arguments):
        env = {k: v for k, v in os.environ.items() if k != 'VICTIM_PAGE'}
        self.process = subprocess.Popen(
            [os.path.join(lib.VICTIMS, 'hammer'), *(arguments or ('2', '100000000000'))],
            env=env, stdout=subprocess.DEVNULL)
        self.pid = self.process.pid

    def ticks(self):
        """CPU time that it has used, in ticks."""
        with open(f'/proc/{self.pid}/stat', encoding='ascii') as text:
            fields = text.read().rsplit(')', 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def runs(self, when):
        before = self.ticks()
        lib.check(lib.within(5, lambda: self.ticks() > before), f'{when}: it does not run')

    def free(self, when):
        lib.check(self.process.poll() is None, f'{when}: it has ended')
        lib.check_free(self.pid, when)
        self.runs(when)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.process.kill()
        self.process.wait()


class Terminal:
    """A program that leads a session on a terminal of its own."""

    def __init__(self, *command, env=None):
        self.master, slave = pty.openpty()

        def lead():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        env = dict(os.environ if env is None else env, TERM='xterm', PS1='$ ', HISTFILE='')
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                                        preexec_fn=lead, env=env)
        os.close(slave)
        self.shown = ''
        self.reading = threading.Event()
        self.reading.set()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while self.reading.wait():
            try:
                got = os.read(self.master, 65536)
            except OSError:
                return
            if not got:
                return
            self.shown += got.decode('utf-8', 'replace')

    def type(self, keys):
        os.write(self.master, keys.encode())

    def expect(self, text, seconds=15):
        """Waits for text (a regular expression), and forgets all up to it."""
        if not lib.within(seconds, lambda: re.search(text, self.shown)):
            raise lib.Failed(f'no {text!r} on the terminal but {self.shown[-600:]!r}')
        found = re.search(text, self.shown)
        self.shown = self.shown[found.end():]
        return found

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.reading.set()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            pass
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def shell():
    term = Terminal('bash', '--norc', '-i')
    term.expect(r'\$ ')
    return term


def sh(text, seconds=30, **more):
    return subprocess.run(['sh', '-c', text], capture_output=True, text=True, check=False,
                          timeout=seconds, env=dict(os.environ, D=lib.DTPROC), **more)


def dtprocs(victim):
    """PIDs of dtproc commands that name the victim."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as line:
                words = line.read().split(b'\0')
        except OSError:
            continue
        if words[0].endswith(b'dtproc') and str(victim).encode() in words:
            found.append(int(pid))
    return found


# ---------------------------------------------------------------- pipes and substitution

def substitution():
    got = sh('x=$($D -q -c "echo from the victim" -n "BEGIN { printf(\\"from us\\"); }"); '
             'echo "[$x]"')
    lib.check('from the victim' in got.stdout and 'from us' in got.stdout, got)
    with Victim() as victim:
        with subprocess.Popen(
                ['sh', '-c', f"x=$('{lib.DTPROC}' -q -p {victim.pid} -n '{COUNT}'); echo end"],
                stdout=subprocess.PIPE) as reader:
            lib.check(lib.within(10, lambda: lib.status(victim.pid, 'TracerPid') != '0'),
                      'not held')
            os.kill(dtprocs(victim.pid)[0], signal.SIGKILL)
            lib.check(reader.communicate(timeout=10)[0] == b'end\n',
                      'the shell waits for a keeper')
        victim.free('killed in $()')


def closed_pipe():
    with Victim() as victim:
        for command in (f"-q -x switchrate=50hz -p {victim.pid} -n '{LINES}'",
                        f"-l -p {victim.pid} -n 'pid$target:libc::entry'",
                        f"-S -q -p {victim.pid} -n '{LINES}'"):
            got = sh(f'$D {command} 2>&1 | head -1')
            lib.check(got.stdout.count('\n') == 1, f'{command}: {got}')
            victim.free(command)
    got = sh("$D -q -c 'yes' -n 'BEGIN { }' | head -1")
    lib.check(got.stdout.strip() in ('', 'y'), got)
    lib.check(lib.within(2, lambda: not lib.keepers()), 'keepers are left')


def closed_files():
    """A standard file that is closed is closed for the victim too, and none of ours."""
    show = "sh -c 'ls /proc/self/fd >&7'"
    for closed in ('<&-', '>&-', '2>&-', '<&- >&- 2>&-'):
        with tempfile.TemporaryFile('w+') as out:
            fd = out.fileno()
            for command in (show, f"$D -q -x switchrate=100hz -c \"{show}\" -n "
                            "'pid$target:libc:*:entry { @[probefunc] = count(); }'"):
                sh(f'exec 7>&{fd}; {command} {closed}; exit 0', pass_fds=[fd])
            out.seek(0)
            said = out.read().split()
            lib.check(said and said[:len(said) // 2] == said[len(said) // 2:],
                      f'{closed}: {said}')
    got = sh("$D -q -n 'BEGIN { trace(1); exit(0); }' >&-")
    lib.check(got.returncode == 1 and 'Bad file descriptor' in got.stderr, got)
    with tempfile.NamedTemporaryFile('r') as out:
        sh(f"$D -o {out.name} -n 'BEGIN {{ trace(1); exit(0); }}' 2>&-")
        said = out.read()
        lib.check('matched' not in said and 'BEGIN' in said, said)


# --------------------------------------------------------------------- under a debugger

def need(tool):
    path = shutil.which(tool)
    if not path:
        raise lib.Absent(tool)
    return path


def no_leaks():
    """An environment in which no sanitizer ptraces its own process."""
    options = os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'
    return dict(os.environ, ASAN_OPTIONS=options)


def straced():
    """The keeper and what it creates are left out of a trace of the client's children."""
    with tempfile.NamedTemporaryFile() as log:
        got = subprocess.run(
            [need('strace'), '-f', '-o', log.name, lib.DTPROC, '-q', '-c', 'echo created',
             '-n', 'pid$target:libc:write:entry { @[probefunc] = count(); }'],
            capture_output=True, text=True, check=False, timeout=60, env=no_leaks())
    lib.check(got.returncode == 0 and 'created' in got.stdout, got)
    lib.check(lib.count_in(got.stdout, 'write') == 1, got)


def watched(tool, *arguments):
    """A debugger stops the client, looks, lets it go on: the victim never waits."""
    with Victim() as victim, lib.Trace(['-p', str(victim.pid)], COUNT) as trace:
        trace.armed()
        command = [need(tool)] + [a.replace('PID', str(trace.process.pid)) for a in arguments]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as debugger:
            lib.check(lib.within(10, lambda: lib.status(trace.process.pid, 'TracerPid')
                                 not in ('0', None)), f'{tool} does not hold the client')
            time.sleep(0.3)
            victim.runs(tool)
            debugger.send_signal(signal.SIGTERM if tool == 'strace' else signal.SIGINT)
            debugger.wait(20)
        lib.check((lib.count_in(trace.interrupt()) or 0) > 0, 'nothing was counted')
        victim.free(tool)


def strace_client():
    watched('strace', '-f', '-o', '/dev/null', '-p', 'PID')


def gdb_client():
    watched('gdb', '-nx', '-q', '-batch', '-p', 'PID', '-ex', 'shell sleep 1', '-ex', 'detach')


# ------------------------------------------------------------------- on a terminal

def ctrl_c():
    with Victim() as victim, Terminal(
            lib.DTPROC, '-q', '-p', str(victim.pid), '-n', 'BEGIN { printf("armed\\n"); }',
            '-n', HAMMER + '{ @ = count(); } END { printf("the end\\n"); }') as term:
        term.expect('armed')
        term.type('\x03')
        term.expect(r'\^C\r\nthe end\r\n\s+\d+')
        lib.check(term.process.wait(10) == 0, f'status {term.process.returncode}')
        victim.free('Ctrl-C')


def ctrl_c_twice():
    """What the END clause leaves is printed to a terminal that nobody reads."""
    with Victim() as victim, Terminal(
            lib.DTPROC, '-q', '-x', 'aggsize=16m', '-p', str(victim.pid), '-n',
            'BEGIN { printf("armed\\n"); }', '-n',
            HAMMER + '{ @["a long key that is to fill terminals", timestamp] = count(); }'
            ) as term:
        term.expect('armed')
        time.sleep(1)
        term.reading.clear()
        term.type('\x03')
        lib.check(lib.within(20, lambda: lib.status(victim.pid, 'TracerPid') == '0' or
                             lib.status(term.process.pid, 'State') == 'S'), 'no end')
        time.sleep(1)
        victim.runs('while nobody reads')
        lib.check(term.process.poll() is None, 'it has ended: nothing was blocked')
        term.type('\x03')
        lib.check(lib.within(5, lambda: term.process.poll() is not None),
                  'a second Ctrl-C does not end it')
        victim.free('a second Ctrl-C')


def ctrl_c_held():
    """A keeper that does not answer: the second Ctrl-C waits for nothing."""
    with Victim() as victim, Terminal(
            lib.DTPROC, '-q', '-p', str(victim.pid), '-n', 'BEGIN { printf("armed\\n"); }',
            '-n', COUNT) as term:
        term.expect('armed')
        keeper = int(lib.status(victim.pid, 'TracerPid'))
        lib.check(keeper > 0, 'armed and not held')
        os.kill(keeper, signal.SIGSTOP)
        try:
            term.type('\x03')
            time.sleep(0.5)
            lib.check(term.process.poll() is None, 'it did not wait for its keeper')
            term.type('\x03')
            lib.check(lib.within(3, lambda: term.process.poll() is not None),
                      'a second Ctrl-C does not end it')
        finally:
            os.kill(keeper, signal.SIGCONT)
        victim.free('a keeper that was stopped')


def editor():
    for name in ('vim', 'vi', 'vim.tiny', 'nano'):
        if shutil.which(name):
            return os.path.realpath(shutil.which(name))
    raise lib.Absent('an editor')


def ctrl_z():
    """A full-screen program has the terminal and job control as without us."""
    vi = editor()
    lib.check('vi' in os.path.basename(vi), vi)
    with tempfile.TemporaryDirectory() as folder, shell() as term:
        file = os.path.join(folder, 'text')
        term.type(f"'{lib.DTPROC}' -q -o {folder}/out -c '{vi} -u NONE -i NONE -N -n {file}' "
                  "-n 'pid$target:libc:read:entry { @ = count(); }'\n")
        term.expect('~')
        lib.check(lib.within(10, lambda: len(lib.keepers()) == 1), 'no keeper')
        keeper = lib.keepers()[0]
        with open(f'/proc/{keeper}/task/{keeper}/children', encoding='ascii') as text:
            victim = int(text.read().split()[0])
        for _ in range(3 if lib.SOAK else 2):
            term.type('iHello, \x1b')
            time.sleep(0.3)
            term.type('\x1a')
            term.expect('Stopped')
            lib.check(lib.within(3, lambda: lib.status(victim, 'State') in ('T', 't')),
                      f'vi is not stopped but {lib.status(victim, "State")}')
            term.type('echo in the $((1 + 1))nd place\n')
            term.expect('in the 2nd place')
            term.type('fg\n')
            term.expect('~')
            lib.check(lib.within(3, lambda: lib.status(victim, 'State') not in ('T', 't')),
                      'vi is stopped still')
        term.type(':wq\n')
        term.expect(r'\$ $')
        with open(file, encoding='ascii') as text:
            said = text.read()
        lib.check(said.count('Hello') == (3 if lib.SOAK else 2), repr(said))
        term.type('stty -a; echo done\n')
        lib.check(' icanon' in term.expect(r'(?s)speed.*done').group(0), 'not icanon')
        with open(f'{folder}/out', encoding='ascii') as text:
            lib.check((lib.count_in(text.read()) or 0) > 0, 'no read() was counted')
    lib.check(lib.within(2, lambda: not lib.keepers()), 'keepers are left')


def tostop():
    """A job in the background that writes is stopped, and its victim is not."""
    with Victim() as victim, shell() as term:
        term.type('stty tostop\n')
        term.type(f"'{lib.DTPROC}' -q -x switchrate=50hz -p {victim.pid} -n '{COUNT}"
                  " tick-5hz { printf(\"tick\\n\"); }' &\n")
        lib.check(lib.within(15, lambda: any(lib.status(p, 'State') == 'T'
                                             for p in dtprocs(victim.pid))), 'not stopped')
        victim.runs('client stopped by SIGTTOU')
        term.type('fg\n')
        term.expect('tick')
        victim.runs('client in the foreground again')
        term.type('\x03')
        term.expect(r'\d+')
        term.expect(r'\$ ')
        victim.free('tostop')


# ------------------------------------------------------------- the victim is the terminal

EMULATOR = '''
import os, pty, sys
out, *command = sys.argv[1:]
pid, master = pty.fork()
if pid == 0:
    os.execv(command[0], [w.replace('EMULATOR', str(os.getppid())) for w in command])
shown = b''
while True:
    try:
        got = os.read(master, 4096)
    except OSError:
        break
    shown += got
status = os.waitpid(pid, 0)[1]
open(out, 'wb').write(shown + b'status %d' % status)
'''


def emulated(*arguments):
    """dtproc on a terminal that its victim emulates; what was shown there."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'shown')
        victim = subprocess.Popen([sys.executable, '-c', EMULATOR, out, lib.DTPROC,
                                   *arguments])
        try:
            victim.wait(60)
        except subprocess.TimeoutExpired:
            raise lib.Failed(f'{arguments}: terminal and client wait for each other') from None
        finally:
            victim.kill()
            victim.wait()
        with open(out, encoding='ascii', errors='replace') as text:
            return text.read()


def emulator():
    shown = emulated('-l', '-p', 'EMULATOR', '-n', 'pid$target:libc::entry')
    lib.check(len(shown) > 100000 and shown.endswith('status 0'), shown[-300:])
    shown = emulated('-S', '-p', 'EMULATOR', '-n', 'pid$target:libc:read:entry { ' +
                     '@ = count(); ' * 600 + '}', '-n', 'tick-1sec { exit(0); }')
    lib.check(len(shown) > 50000 and shown.endswith('status 0'), shown[-300:])
    shown = emulated('-p', 'EMULATOR', '-n', 'pid$target:libc:no_such_thing:entry')
    lib.check('no_such_thing' in shown and shown.endswith('status 256'), shown[-300:])


def tmux():
    tool = need('tmux')
    with tempfile.TemporaryDirectory() as folder:
        run = [tool, '-S', f'{folder}/socket', '-f', '/dev/null']
        subprocess.run(run + ['new-session', '-d', '-x', '100', '-y', '30', 'sh'], check=True)
        try:
            pid = subprocess.run(run + ['display', '-p', '#{pid}'], capture_output=True,
                                 text=True, check=True).stdout.strip()
            for k, options in enumerate(("-l -n 'pid$target:libc::entry'",
                                         "-q -n 'pid$target:libc:write*:entry, tick-10hz "
                                         "{ trace(probefunc); } tick-2sec { exit(0); }'")):
                subprocess.run(run + ['send-keys', f"'{lib.DTPROC}' -p {pid} {options}; "
                                      f'echo $? >{folder}/status{k}', 'Enter'], check=True)
                status = pathlib.Path(f'{folder}/status{k}')
                lib.check(lib.within(30, lambda: status.exists() and status.read_text()),
                          f'{options}: tmux and client wait for each other')
                lib.check(status.read_text() == '0\n', f'{options}: failed')
                lib.check_free(int(pid), options)
        finally:
            for keeper in lib.keepers():
                os.kill(keeper, signal.SIGKILL)
            subprocess.run(run + ['kill-server'], check=False)


def own_shell():
    """The victim is the shell that would continue us; Ctrl-Z comes at any moment."""
    with shell() as term:
        pid = term.process.pid
        command = f"'{lib.DTPROC}' -q -p {pid} -n 'pid$target:::entry {{ @ = count(); }}'\n"
        for k in range(20 if lib.SOAK else 4):
            term.type(command)
            lib.check(lib.within(5, lambda: os.tcgetpgrp(term.master) in dtprocs(pid)),
                      'not in the foreground')
            time.sleep(random.random() * 0.15)
            term.type('\x1a')
            term.expect('Stopped')
            term.type('fg\n')
            lib.check(lib.within(5, lambda: lib.status(dtprocs(pid)[0], 'State') != 'T'), 'T')
            time.sleep(0.5)
            term.type('\x03')
            term.expect(r'\$ ')
            term.type('echo alive: $((k + 40))\n')
            term.expect('alive: 40')
            term.expect(r'\$ ')
            lib.check_free(pid, f'round {k}')


if __name__ == '__main__':
    lib.main([('substitution', substitution), ('closed-pipe', closed_pipe),
              ('closed-files', closed_files), ('straced', straced),
              ('strace-client', strace_client), ('gdb-client', gdb_client),
              ('ctrl-c', ctrl_c), ('ctrl-c-twice', ctrl_c_twice),
              ('ctrl-c-held', ctrl_c_held), ('ctrl-z', ctrl_z),
              ('tostop', tostop), ('emulator', emulator), ('tmux', tmux),
              ('own-shell', own_shell)])
