# SPDX-License-Identifier: BSD-2-Clause
"""What tests in python share: cases with a time limit, the dtproc command, /proc."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get('DTPROC_BUILD', os.path.join(HERE, '..', '..', 'build'))
BUILD = os.path.abspath(BUILD)
DTPROC = os.path.join(BUILD, 'dtproc')
KEEPER = os.path.join(BUILD, 'src', 'keeper', 'dtproc-keeper')
VICTIMS = os.path.join(BUILD, 'tests', 'victims')
SOAK = os.environ.get('DTPROC_SOAK') == '1'
os.environ.setdefault('DTPROC_KEEPER', KEEPER)


class Failed(Exception):
    """The case has failed; the text says how."""


class Absent(Exception):
    """What the case needs is not on this machine."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def slack():
    """How much longer things take on this machine now, as t_slack() of lib.c."""
    least = 6 if 'build-san' in BUILD else 4
    return min(16, max(least, os.getloadavg()[0] / (os.cpu_count() or 1)))


def within(seconds, condition):
    end = time.monotonic() + seconds * slack()
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def main(cases):
    """Runs the cases (or those named); prints a line for each; exits."""
    wrong = 0
    for name, run in cases:
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        begin = time.monotonic()
        try:
            run()
            said = 'ok'
        except Absent as why:
            said = f'left out ({why})'
        except Failed as why:
            said = f'NOT OK: {why}'
            wrong += 1
        except Exception:  # pylint: disable=broad-except
            said = 'NOT OK: ' + traceback.format_exc()
            wrong += 1
        print(f'{name}: {said} ({time.monotonic() - begin:.1f} s)', flush=True)
    sys.exit(1 if wrong else 0)


def status(pid, field):
    try:
        with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as text:
            found = re.search(rf'^{field}:\s*(\S+)', text.read(), re.M)
    except OSError:
        return None
    return found.group(1) if found else None


def keepers():
    """PIDs of keepers that live."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if os.readlink(f'/proc/{pid}/exe') == os.environ['DTPROC_KEEPER']:
                found.append(int(pid))
        except OSError:
            pass
    return found


def text_differs(pid):
    """Bytes of the process' text that are not those of its files."""
    differs = 0
    with open(f'/proc/{pid}/maps', encoding='ascii') as maps, \
            open(f'/proc/{pid}/mem', 'rb', buffering=0) as mem:
        for line in maps:
            fields = line.split(None, 5)
            if 'x' not in fields[1] or len(fields) < 6 or not fields[5].startswith('/'):
                continue
            low, high = (int(x, 16) for x in fields[0].split('-'))
            try:
                with open(fields[5].strip(), 'rb') as file:
                    file.seek(int(fields[2], 16))
                    theirs = file.read(high - low)
                mem.seek(low)
                ours = mem.read(high - low)
            except OSError:
                continue
            differs += sum(a != b for a, b in zip(ours, theirs)) if \
                ours[:len(theirs)] != theirs[:len(ours)] else 0
    return differs


def check_free(pid, when):
    check(within(1, lambda: status(pid, 'TracerPid') == '0'),
          f"{when}: traced by {status(pid, 'TracerPid')}")
    check(within(1, lambda: status(pid, 'State') not in ('t', 'T')), f'{when}: stopped')
    differs = text_differs(pid)
    check(differs == 0, f'{when}: {differs} bytes of text differ')
    check(within(1.5, lambda: not keepers()), f'{when}: keepers are left')


class Trace:
    """A dtproc command at work; `with Trace(['-p', ...], clause) as t:`."""

    def __init__(self, arguments, *clauses, **popen):
        self.out = tempfile.TemporaryFile('w+')
        self.err = tempfile.TemporaryFile('w+')
        command = [DTPROC, '-q'] + arguments
        for clause in ('BEGIN { printf("armed\\n"); }',) + clauses:
            command += ['-n', clause]
        popen.setdefault('stdout', self.out)
        self.process = subprocess.Popen(command, stderr=self.err, **popen)

    def text(self, file=None):
        file = file or self.out
        file.seek(0)
        return file.read()

    def armed(self):
        if not within(15, lambda: 'armed' in self.text() or self.process.poll() is not None):
            raise Failed('not armed: ' + self.text(self.err))
        check('armed' in self.text(), 'dtproc: ' + self.text(self.err))

    def end(self, timeout=15):
        """Waits for its own end; its output."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed('dtproc does not end') from None
        check(code == 0, f'dtproc: status {code}: {self.text(self.err)}')
        return self.text()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def count_in(text, key=''):
    """The number behind a key of an aggregation (or the last number there is)."""
    found = re.findall(rf'^\s*{re.escape(key)}\s*(\d+)\s*$', text, re.M)
    return int(found[-1]) if found else None
