#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Where processes live: each row of docs/containers.md is a case here (C2, F2, A7).

Containers are made of what they are made of: unshare(1), a root of their own by
pivot_root on an overlay, seccomp filters, capabilities taken away.  The ordinary user
is nobody, with the programs in a folder that he may read.
"""
import ctypes
import os
import shlex
import struct
import subprocess
import sys
import tempfile

import lib
from setid import House, become_nobody, root_only

ALL = 'BEGIN { printf("armed\\n"); } '
CLAUSE = 'pid$target:a.out:victim_target:entry { @ = count(); }'
NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
NO_PTRACE = ['setpriv', '--bounding-set', '-sys_ptrace', '--inh-caps', '-sys_ptrace']

# Numbers of x86-64, and the errno that the profile gives.
EPERM, ENOSYS = 1, 38
NUMBERS = {'ptrace': 101, 'perf_event_open': 298, 'process_vm_readv': 310,
           'process_vm_writev': 311, 'kcmp': 312, 'bpf': 321, 'userfaultfd': 323,
           'pidfd_open': 434, 'clone3': 435, 'close_range': 436, 'pidfd_getfd': 438,
           'process_madvise': 440}
# What Docker's default profile refuses to a container without CAP_SYS_PTRACE.
DOCKER = {name: EPERM for name in ('perf_event_open', 'process_vm_readv', 'kcmp', 'bpf',
                                   'process_vm_writev', 'userfaultfd', 'pidfd_getfd',
                                   'process_madvise')} | {'clone3': ENOSYS}


def confine(rules):
    """For this process and its children: these system calls fail with these errnos."""
    code = [(0x20, 0, 0, 0)]
    for name, errno in rules.items():
        code += [(0x15, 0, 1, NUMBERS[name]), (0x06, 0, 0, 0x50000 | errno)]
    code.append((0x06, 0, 0, 0x7fff0000))
    text = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *c) for c in code))
    program = struct.pack('HxxxxxxQ', len(code), ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, program, 0, 0):
        raise OSError(ctypes.get_errno(), 'seccomp')


def under(rules):
    return lambda: confine(rules)


def run(command, **more):
    """(status, standard output, standard error) of a command that ends soon."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False, **more)
    return done.returncode, done.stdout, done.stderr


def dtproc(house, *arguments):
    return [os.path.join(house.path, 'dtproc'), *arguments]


def refused(house, pid, words, *before, **more):
    """dtproc -p says all of these words."""
    status, _, said = run([*before, *dtproc(house, '-n', CLAUSE, '-p', str(pid))], **more)
    lib.check(status == 1, f'-p: status {status}: {said}')
    for word in words:
        lib.check(word in said, f'-p: no {word!r} in {said!r}')


def works(house, pid, *before, **more):
    """dtproc -p counts calls of the victim, and leaves it as it was."""
    clause = CLAUSE + ' tick-200ms { exit(0); }'
    status, out, said = run([*before, *dtproc(house, '-q', '-n', clause, '-p', str(pid))],
                            **more)
    lib.check(status == 0, f'-p: status {status}: {said}')
    lib.check((lib.count_in(out) or 0) > 0, f'-p: counted nothing: {out!r} {said!r}')


def creates(house, *before, **more):
    command = dtproc(house, '-q', '-n', 'pid$target:libc:malloc:entry { @ = count(); }',
                     '-c', 'sh -c "ls -d /"')
    status, out, said = run([*before, *command], **more)
    lib.check(status == 0 and (lib.count_in(out) or 0) > 0,
              f'-c: status {status}: {out!r} {said!r}')


class Victim:
    """`hammer`, which calls victim_target for ever, started in some way."""

    def __init__(self, house, *before, **more):
        house.victim = os.path.join(house.path, 'hammer')
        if not os.path.exists(house.victim):
            subprocess.run(['cp', os.path.join(lib.VICTIMS, 'hammer'), house.victim],
                           check=True)
        self.process = subprocess.Popen([*before, house.victim, '1', '0'],
                                        stdout=subprocess.DEVNULL, **more)
        lib.check(lib.within(5, lambda: self.find() is not None), 'no victim')
        self.pid = self.find()

    def find(self):
        """The PID that it has out here: of the last in the chain of only children."""
        pid = self.process.pid
        while True:
            try:
                if os.readlink(f'/proc/{pid}/exe').endswith('/hammer'):
                    return pid
                with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
                    pid = int(file.read().split()[0])
            except (OSError, IndexError):
                return None

    def __enter__(self):
        return self

    def __exit__(self, *what):
        os.kill(self.pid, 9)
        self.process.wait(10)


# ------------------------------------------------------------------ in one container

def docker_profile():
    """Docker's default seccomp profile on client and victim: all works, children too."""
    for case in ('vfork', 'spawn', 'clone', 'client-ends'):
        status, out, said = run([os.path.join(lib.BUILD, 'tests/system/system-forks'), case],
                                preexec_fn=under(DOCKER))
        lib.check(status == 0, f'{case}: {out} {said}')
    root_only()
    with House() as house, Victim(house, preexec_fn=under(DOCKER)) as victim:
        works(house, victim.pid, preexec_fn=under(DOCKER))
        creates(house, preexec_fn=under(DOCKER))
        lib.check_free(victim.pid, 'docker')


def ptrace_refused():
    """A profile that refuses ptrace(2): the error says what to start it with."""
    for errno in (EPERM, ENOSYS):
        filtered = {'preexec_fn': under(DOCKER | {'ptrace': errno})}
        with House() as house, Victim(house) as victim:
            refused(house, victim.pid, ['seccomp', '--cap-add=SYS_PTRACE'], **filtered)
            status, _, said = run(dtproc(house, '-n', CLAUSE, '-c', 'true'), **filtered)
            lib.check(status == 1 and '--cap-add=SYS_PTRACE' in said, f'-c: {said!r}')
            lib.check_free(victim.pid, 'refused')


def pidfd_refused():
    filtered = {'preexec_fn': under({'pidfd_open': EPERM})}
    with House() as house, Victim(house) as victim:
        refused(house, victim.pid, ['pidfd_open', 'seccomp'], **filtered)


def close_range_refused():
    """The keeper has nothing open that is its client's, who may be inside of $(...)."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    with House() as house, Victim(house) as victim, \
            lib.Trace(['-p', str(victim.pid)], CLAUSE, pass_fds=[writer],
                      preexec_fn=under({'close_range': EPERM})) as trace:
        trace.armed()
        os.close(writer)
        keeper = lib.status(victim.pid, 'TracerPid')
        ours = os.readlink(f'/proc/self/fd/{reader}')
        theirs = [os.readlink(f'/proc/{keeper}/fd/{fd}')
                  for fd in os.listdir(f'/proc/{keeper}/fd')]
        lib.check(ours not in theirs, f'the keeper has {theirs}')
        trace.interrupt()
    os.close(reader)


def capability_missing():
    """Root of a container: no CAP_SYS_PTRACE.  What has no more rights can be held."""
    root_only()
    with House() as house:
        with Victim(house, *NO_PTRACE) as victim:
            works(house, victim.pid, *NO_PTRACE)
            creates(house, *NO_PTRACE)
        with Victim(house) as victim:
            refused(house, victim.pid, ['capabilities', '--cap-add=SYS_PTRACE'], *NO_PTRACE)
        with Victim(house, *NOBODY) as victim:
            refused(house, victim.pid, ['(nobody)', '--cap-add=SYS_PTRACE'], *NO_PTRACE)


def no_new_privs():
    root_only()
    lone = [*NOBODY, '--no-new-privs']
    with House() as house, Victim(house, *lone) as victim:
        works(house, victim.pid, *lone)
        creates(house, *lone)


def bare():
    """A root that is read only, no /tmp, no /dev/shm, and not even /dev/null."""
    root_only()
    script = ('set -e; r=$1; shift; mount --bind / $r; mount --rbind /proc $r/proc; '
              'mount --bind /var/tmp $r/var/tmp; mount -o remount,ro,bind $r; '
              'mount -t tmpfs -o ro none $r/dev; mount -t tmpfs -o ro none $r/tmp; '
              'exec chroot $r "$@"')
    base = tempfile.mkdtemp(prefix='dtproc-test-')
    inside = ['unshare', '-m', 'sh', '-c', script, 'sh', base]
    with House() as house, Victim(house) as victim:
        works(house, victim.pid, *inside)
        status, out, said = run([*inside, *dtproc(
            house, '-q', '-n', 'pid$target:libc:malloc:entry { @ = count(); }',
            '-c', '/bin/ls -d /')])
        lib.check(status == 0 and (lib.count_in(out) or 0) > 0, f'-c: {out} {said}')
    os.rmdir(base)


# ------------------------------------------------------------------------------ /proc

def proc_missing():
    root_only()
    inside = ['unshare', '-m', 'sh', '-c', 'umount -l /proc && exec "$@"', 'sh']
    with House() as house, Victim(house) as victim:
        refused(house, victim.pid, ['/proc is not mounted', 'mount -t proc'], *inside)
        status, _, said = run([*inside, *dtproc(house, '-n', CLAUSE, '-c', 'true')])
        lib.check(status == 1 and '/proc is not mounted' in said, f'-c: {said!r}')


def proc_of_others():
    """/proc of the outer PID namespace: PID 1 in there is not the 1 that it shows."""
    root_only()
    inside = ['unshare', '-pf']
    with House() as house:
        refused(house, 1, ['another PID namespace', 'nsenter'], *inside)
        status, _, said = run([*inside, *dtproc(house, '-n', CLAUSE, '-c', 'true')])
        lib.check(status == 1 and 'another PID namespace' in said, f'-c: {said!r}')


def proc_hides():
    root_only()
    for mode in ('2', '4'):
        inside = ['unshare', '-m', 'sh', '-c',
                  f'mount -t proc -o hidepid={mode} proc /proc && exec "$@"', 'sh', *NOBODY]
        with House() as house:
            with Victim(house) as victim:
                refused(house, victim.pid, ['another user', '/proc hides'], *inside)
            with Victim(house, *NOBODY) as victim:
                works(house, victim.pid, *inside)
                creates(house, *inside)


# ------------------------------------------------- across the border of a container

# A container: PID and mount namespace, an overlay as its root, its own /proc.
ENTER = '''set -e
base=$1; shift
mount -t tmpfs none $base
mkdir $base/upper $base/work $base/root
mount -t overlay overlay -o lowerdir=/,upperdir=$base/upper,workdir=$base/work $base/root
mount --rbind /dev $base/root/dev
mount -t proc proc $base/root/proc
mkdir -p $base/root/old $base/root/only-here
cp "$1" $base/root/only-here/hammer
cd $base/root
pivot_root . old
umount -l /old
shift
exec "$@"
'''


class Container:
    """A container that runs /only-here/hammer, which nobody else has."""

    def __init__(self, house, *before, outer=()):
        self.base = tempfile.mkdtemp(prefix='dtproc-test-')
        source = os.path.join(lib.VICTIMS, 'hammer')
        self.process = subprocess.Popen(
            [*outer, 'unshare', '-m', '-p', '-f', '--kill-child', 'sh', '-c', ENTER, 'sh',
             self.base, source, *before, '/only-here/hammer', '1', '0'],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        house.victim = None
        if not lib.within(5, lambda: Victim.find(self) or self.process.poll() is not None) \
                or self.process.poll() is not None:
            self.process.kill()
            raise lib.Absent('no container: ' + self.process.stderr.read().strip())
        self.pid = Victim.find(self)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        os.kill(self.pid, 9)  # one that changed its user outlives its parent
        self.process.kill()
        self.process.wait(10)
        self.process.stderr.close()
        os.rmdir(self.base)


def from_the_host():
    """The victim's PID is another in there, and its files are found through its root."""
    root_only()
    with House() as house:
        with Container(house) as box:
            works(house, box.pid)
            lib.check_free(box.pid, 'from the host')
        with Container(house, *NOBODY) as box:
            works(house, box.pid, *NOBODY)


def inside_a_container():
    """dtproc entered into the container: it sees PIDs as they are there (1)."""
    root_only()
    with House() as house, Container(house) as box:
        enter = ['nsenter', '-t', str(box.pid), '-m', '-p']
        refused(house, 4000000, ['no such process'], *enter)
        works(house, 1, *enter)
        creates(house, *enter)


def sidecar():
    """The same PID namespace, but another mount namespace, /proc, and root."""
    root_only()
    with House() as house, Container(house) as box:
        base = tempfile.mkdtemp(prefix='dtproc-test-')
        enter = ['nsenter', '-t', str(box.pid), '-p', 'unshare', '-m', 'sh', '-c', ENTER, 'sh',
                 base, '/bin/true']
        works(house, 1, *enter)
        os.rmdir(base)


def sidecar_without_pids():
    """In the container's mount namespace alone: the numbers do not fit, and that is said."""
    root_only()
    with House() as house, Container(house) as box:
        refused(house, 1, ['another PID namespace'], 'nsenter', '-t', str(box.pid), '-m')


def user_namespaces():
    """In its own user namespace dtproc holds what is in there, and nothing outside."""
    root_only()
    root_there = [*NOBODY, 'unshare', '-U', '-r']
    with House() as house:
        if run([*root_there, 'true'])[0]:
            raise lib.Absent('no user namespaces for an ordinary user')
        creates(house, *root_there)
        with Victim(house, *NOBODY) as victim:
            refused(house, victim.pid, ['user namespace'], *root_there)
            refused(house, victim.pid, ['user namespace'], *NOBODY, 'unshare', '-U')
        with Victim(house, *root_there) as victim:
            works(house, victim.pid, *NOBODY)
            works(house, victim.pid, 'nsenter', '-t', str(victim.pid), '-U')
            works(house, victim.pid)


if __name__ == '__main__':
    lib.main([('docker-profile', docker_profile), ('ptrace-refused', ptrace_refused),
              ('pidfd-refused', pidfd_refused), ('close-range-refused', close_range_refused),
              ('capability-missing', capability_missing), ('no-new-privs', no_new_privs),
              ('bare', bare), ('proc-missing', proc_missing),
              ('proc-of-others', proc_of_others), ('proc-hides', proc_hides),
              ('from-the-host', from_the_host), ('inside', inside_a_container),
              ('sidecar', sidecar), ('sidecar-without-pids', sidecar_without_pids),
              ('user-namespaces', user_namespaces)])
