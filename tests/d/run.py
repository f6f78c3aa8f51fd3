#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs one test of tracing: run.py DTPROC VICTIMS-DIR FILE.test

A test is a text file of sections, each begun by its name in capitals at the start of a
line and a colon; what follows on the line and on indented lines below belongs to it.

  NAME     what the test shows
  NEEDS    words: root, a command in PATH
  VICTIM   a command that is started first and killed afterwards; @V is its PID
  ARGS     the arguments of dtproc, as for a shell (no shell is run)
  SCRIPT   D text; @S in ARGS is the file that holds it
  SIGNAL   SECONDS NAME: sent to dtproc that long after it began to catch it
  STDIN    what dtproc reads
  CLOSE    its standard output is closed when that many lines were read
  FILE     expected contents of the file @T/out
  OUT      expected standard output: exact, or /regex/ for a line, or ... for any lines
  ERR      expected standard error, likewise (without it: anything)
  EXIT     expected exit status (0)

In all outputs @V stands for the victim's PID, and a line's trailing blanks are kept but
for the `|` that may mark its end.  @D is the directory of the test victims, @H the one of
the test itself.
"""
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SECTIONS = ('NAME', 'NEEDS', 'VICTIM', 'ARGS', 'SCRIPT', 'SIGNAL', 'STDIN', 'CLOSE', 'OUT',
            'FILE', 'ERR', 'EXIT')
LIMIT = 100


def parse(path):
    test, current = {}, None
    for number, line in enumerate(open(path), 1):
        line = line.rstrip('\n')
        head = re.match(r'([A-Z]+):\s?(.*)$', line)
        if line.startswith('#') and current is None:
            continue
        if head:
            current = head.group(1)
            if current not in SECTIONS or current in test:
                sys.exit(f'{path}:{number}: unknown or repeated section {current}')
            test[current] = [head.group(2)] if head.group(2) else []
        elif current is None:
            sys.exit(f'{path}:{number}: text before the first section')
        else:
            test[current].append(line[4:] if line.startswith('    ') else line.lstrip())
    for lines in test.values():
        while lines and not lines[-1].strip():
            lines.pop()
    if 'ARGS' not in test or 'NAME' not in test:
        sys.exit(f'{path}: NAME and ARGS must be there')
    return test


def skip(why):
    print(f'skipped: {why}')
    sys.exit(77)


def check_needs(words):
    for word in words:
        if word == 'root':
            if os.geteuid():
                skip('not root')
        elif not shutil.which(word):
            skip(f'{word} is not installed')


def line_regex(want, victim):
    if want.endswith('|') and not want.startswith('/'):
        want = want[:-1]
    if len(want) > 1 and want.startswith('/') and want.endswith('/'):
        return want[1:-1].replace('@V', str(victim))
    return re.escape(want.replace('@V', str(victim)))


def differs(wanted, got, victim):
    """None when the output is as expected; ... stands for any lines."""
    parts = []
    for want in wanted:
        if want.strip() == '...':
            parts.append(r'(?:[^\n]*\n)*?')
        else:
            parts.append(line_regex(want, victim) + r'\n')
    if re.fullmatch(''.join(parts), got):
        return None
    return 'expected:\n' + '\n'.join(wanted) + '\ngot:\n' + got


def wait_until(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)


def status(pid, field):
    return re.search(rf'{field}:\s*(\w+)', open(f'/proc/{pid}/status').read()).group(1)


def is_tracing(pid, number, victim):
    """Does dtproc catch that signal, and hold its victim?"""
    return int(status(pid, 'SigCgt'), 16) >> (number - 1) & 1 and (
        not victim or status(victim.pid, 'TracerPid') != '0')


def naps(pid):
    """Is it behind its start?"""
    return status(pid, 'State') == 'S' and 'libc' in open(f'/proc/{pid}/maps').read()


def start_victim(test, subst):
    command = [subst(w) for w in shlex.split(' '.join(test['VICTIM']))]
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_until(lambda: naps(p.pid))
    return p


def run(test, dtproc, victims):
    scratch = tempfile.mkdtemp(prefix='dtproc-d-')
    script = os.path.join(scratch, 'script.d')
    victim = None

    def subst(word):
        word = word.replace('@S', script).replace('@D', victims).replace('@T', scratch)
        word = word.replace('@H', os.path.dirname(os.path.abspath(__file__)))
        return word.replace('@V', str(victim.pid) if victim else '0')

    try:
        if 'VICTIM' in test:
            victim = start_victim(test, subst)
        with open(script, 'w') as f:
            f.write('\n'.join(test.get('SCRIPT', [])) + '\n')
        args = [subst(w) for w in shlex.split('\n'.join(test['ARGS']))]
        p = subprocess.Popen([dtproc] + args, stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.PIPE, stdin=subprocess.PIPE,
                             env=dict(os.environ, TZ='UTC', LC_ALL='C'))
        if 'SIGNAL' in test:
            seconds, name = test['SIGNAL'][0].split()
            number = getattr(signal, name)
            wait_until(lambda: is_tracing(p.pid, number, victim))
            time.sleep(float(seconds))
            p.send_signal(number)
        head = ''
        if 'CLOSE' in test:
            head = ''.join(p.stdout.readline() for _ in range(int(test['CLOSE'][0])))
            p.stdout.close()
            p.stdout = None
        try:
            out, err = p.communicate('\n'.join(test.get('STDIN', [])), timeout=LIMIT)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            return [f'no end after {LIMIT} s\nstdout:\n{out}\nstderr:\n{err}']
        path = os.path.join(scratch, 'out')
        written = open(path).read() if os.path.exists(path) else ''
        return judge(test, p.returncode, (out or '') + head, err, written, victim)
    finally:
        if victim:
            victim.kill()
            victim.wait()
        shutil.rmtree(scratch)


def judge(test, status, out, err, written, victim):
    pid = victim.pid if victim else 0
    faults = []
    wanted_status = int((test.get('EXIT') or ['0'])[0])
    if status != wanted_status:
        faults.append(f'exit status {status}, expected {wanted_status}')
    for name, got in (('OUT', out), ('ERR', err), ('FILE', written)):
        fault = name in test and differs(test[name], got, pid)
        if fault:
            faults.append(f'{name}: {fault}')
    if victim and victim.poll() is not None:
        faults.append(f'the victim came to its end: {victim.returncode}')
    if faults:
        faults.append(f'stdout:\n{out}\nstderr:\n{err}')
    return faults


def main():
    dtproc, victims, path = sys.argv[1:4]
    test = parse(path)
    check_needs(' '.join(test.get('NEEDS', [])).split())
    faults = run(test, dtproc, victims)
    for fault in faults:
        print(f'{os.path.basename(path)}: {fault}')
    sys.exit(1 if faults else 0)


main()
