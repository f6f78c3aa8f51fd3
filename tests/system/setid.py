#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Set-id programs that a held process of an ordinary user starts keep their rights.

Rule F4 (and C2, D3): sudo from a held python works as from one that is not held, and so
does a set-id program of our own, started by fork, vfork, posix_spawn, a shell, and by
the victim itself.  Runs as root, which makes the ordinary user; sudo gets its
configuration in a mount namespace, so that nothing of the machine changes.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import lib

NOBODY = 65534
CLAUSE = ('pid$target:libc:malloc:entry,pid$target:libc:read:entry,'
          'pid$target:libc:execve:entry { @ = count(); }')
SUDO = 'import subprocess; subprocess.run(["sudo", "-n", "id", "-u"])'
WAYS = {
    'spawn': 'import subprocess; subprocess.run([{0!r}, "-u"])',
    'fork': 'import subprocess; subprocess.run([{0!r}, "-u"], preexec_fn=lambda: None)',
    'posix_spawn': 'import os; os.waitpid(os.posix_spawn({0!r}, ["id", "-u"], '
                   'os.environ), 0)',
    'shell': 'import os; os.system({0!r} + " -u")',
    'many': 'import subprocess as s\n'
            'for p in [s.Popen([{0!r}, "-u"]) for i in range(10)]: p.wait()',
}
PYTHON = '/usr/bin/python3' if os.path.exists('/usr/bin/python3') else sys.executable


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


class House:
    """A folder that the ordinary user reaches, with dtproc, keeper and a set-id id."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='dtproc-test-', dir='/var/tmp')
        os.chmod(self.path, 0o755)
        shutil.copy(lib.KEEPER, self.path)
        shutil.copy(lib.DTPROC, self.path)
        self.library = lib.BUILD
        for folder, _, names in os.walk(os.path.join(lib.BUILD, 'src')):
            for name in names:
                if name.startswith('libdtproc.so'):
                    shutil.copy(os.path.join(folder, name), self.path)
        self.id = os.path.join(self.path, 'id')
        shutil.copy('/usr/bin/id', self.id)
        os.chmod(self.id, 0o4755)
        os.environ['DTPROC_KEEPER'] = os.path.join(self.path, 'dtproc-keeper')
        os.environ['LD_LIBRARY_PATH'] = self.path
        return self

    def __exit__(self, *what):
        shutil.rmtree(self.path)

    def program(self, text):
        path = os.path.join(self.path, 'program.py')
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def free(self, text):
        return subprocess.run([PYTHON, self.program(text)], preexec_fn=become_nobody,
                              capture_output=True, text=True, timeout=30, check=False)

    def created(self, text):
        """(what the victim printed, what dtproc said)."""
        command = [os.path.join(self.path, 'dtproc'), '-o', '/dev/null', '-c',
                   f'{PYTHON} {self.program(text)}', '-n', CLAUSE]
        done = subprocess.run(command, preexec_fn=become_nobody, capture_output=True,
                              text=True, timeout=60, check=False)
        return done.stdout, done.stderr

    def grabbed(self, text):
        victim = subprocess.Popen([PYTHON, self.program('input()\n' + text)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True,
                                  preexec_fn=become_nobody)
        command = [os.path.join(self.path, 'dtproc'), '-x', 'switchrate=100hz', '-p',
                   str(victim.pid), '-n', 'BEGIN { printf("armed\\n"); }', '-n', CLAUSE]
        lib.within(2, lambda: lib.status(victim.pid, 'State') == 'S')
        with subprocess.Popen(command, preexec_fn=become_nobody, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as client:
            line = 'no output'
            while line and 'armed' not in line:
                line = client.stdout.readline()
            if not line:
                victim.kill()
                victim.wait()
                raise lib.Failed('not armed: ' + client.stderr.read())
            try:
                said = victim.communicate('go\n', timeout=20)[0]
            except subprocess.TimeoutExpired:
                victim.kill()
                client.kill()
                raise lib.Failed('the held victim hangs') from None
            errors = client.communicate(timeout=20)[1]
        lib.check(victim.returncode == 0, f'victim: {victim.returncode}, {errors}')
        return said, errors


def both_ways(house, text):
    want = house.free(text)
    lib.check(want.returncode == 0 and want.stdout.startswith('0\n'),
              f'free: {want.stdout!r} {want.stderr!r}')
    said, errors = house.created(text)
    lib.check(said == want.stdout, f'-c: {said!r}, not {want.stdout!r}; {errors}')
    said, errors = house.grabbed(text)
    lib.check(said == want.stdout, f'-p: {said!r}, not {want.stdout!r}; {errors}')
    lib.check(lib.within(1.5, lambda: not lib.keepers()), 'keepers are left')


def root_only():
    if os.getuid():
        raise lib.Absent('not root')


def helper(way):
    def run():
        root_only()
        with House() as house:
            if os.statvfs(house.path).f_flag & os.ST_NOSUID:
                raise lib.Absent('/var/tmp is mounted nosuid')
            both_ways(house, WAYS[way].format(house.id))
    return run


def itself():
    """The victim itself becomes set-id: it runs as unheld, and the client is told."""
    root_only()
    with House() as house:
        text = f'import os; os.execv({house.id!r}, ["id", "-u"])'
        want = house.free(text).stdout
        lib.check(want == '0\n', f'free: {want!r}')
        for how in (house.created, house.grabbed):
            said, errors = how(text)
            lib.check(said == want, f'{how.__name__}: {said!r}; {errors}')
            lib.check('set-id' in errors, f'{how.__name__}: said {errors!r}')
        lib.check(lib.within(1.5, lambda: not lib.keepers()), 'keepers are left')


def sudo():
    """In a mount namespace with a sudoers of ours; this program again inside it."""
    root_only()
    if not shutil.which('sudo'):
        raise lib.Absent('no sudo')
    if '--inside' not in sys.argv:
        namespace = ['unshare', '-m', '--propagation', 'private']
        can = subprocess.run(namespace + ['true'], capture_output=True, text=True,
                             check=False)
        if can.returncode:
            raise lib.Absent(can.stderr.strip())
        done = subprocess.run(namespace + [sys.executable, os.path.abspath(__file__),
                                           'sudo-inside', '--inside'],
                              capture_output=True, text=True, timeout=120, check=False)
        if 'left out' in done.stdout:
            raise lib.Absent(done.stdout.strip())
        lib.check(done.returncode == 0, done.stdout + done.stderr)


def sudo_inside():
    if '--inside' not in sys.argv:
        return
    with tempfile.NamedTemporaryFile('w', dir='/var/tmp') as rules, House() as house:
        rules.write('nobody ALL=(ALL:ALL) NOPASSWD: ALL\nDefaults !syslog\n')
        rules.flush()
        os.chown(rules.name, 0, 0)
        os.chmod(rules.name, 0o440)
        subprocess.run(['mount', '--bind', rules.name, '/etc/sudoers'], check=True)
        want = house.free(SUDO)
        if want.stdout != '0\n':
            raise lib.Absent(f'sudo does not work here: {want.stderr!r}')
        both_ways(house, SUDO)


if __name__ == '__main__':
    lib.main([(way, helper(way)) for way in WAYS] +
             [('itself', itself), ('sudo', sudo), ('sudo-inside', sudo_inside)])
