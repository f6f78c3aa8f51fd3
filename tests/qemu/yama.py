#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""dtproc under Yama's ptrace_scope 0 to 3 (rule C2), in a machine that qemu emulates.

Debian's kernel for clouds is fetched with apt-get, which needs no root; everything else
comes from this machine and this build, in an initramfs.  Part of `make soak`: an
emulated machine takes a minute to start.  The rows are those of docs/containers.md.
"""
import glob
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get('DTPROC_BUILD', os.path.join(HERE, '../../build')))
SKIP = 77
QEMU = 'qemu-system-x86_64'

# scope, who, how: what dtproc says.  "armed": it works.
EXPECTED = {
    (0, 'user', '-p'): 'armed', (0, 'user', '-c'): 'armed', (0, 'root', '-p'): 'armed',
    (1, 'user', '-p'): r"Yama's ptrace_scope 1.*-c, become root, or set /proc/sys/kernel",
    (1, 'user', '-c'): 'armed', (1, 'root', '-p'): 'armed', (1, 'root', '-c'): 'armed',
    (2, 'user', '-p'): r"Yama's ptrace_scope 2: only root",
    (2, 'user', '-c'): r"Yama's ptrace_scope 2: only root",
    (2, 'root', '-p'): 'armed', (2, 'root', '-c'): 'armed',
    (3, 'user', '-p'): r"Yama's ptrace_scope 3: nobody",
    (3, 'root', '-p'): r"Yama's ptrace_scope 3: nobody",
    (3, 'root', '-c'): r"Yama's ptrace_scope 3: nobody",
}

INIT = '''#!/bin/sh
export PATH=/bin:/usr/bin:/sbin LD_LIBRARY_PATH=/bin DTPROC_KEEPER=/bin/dtproc-keeper
mount -t proc proc /proc
mount -t devtmpfs dev /dev
user="/usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups"
clause='BEGIN { printf("armed"); exit(0); } pid$target:a.out:victim_target:entry { @ = count(); }'
try() {
	said=$($3 /bin/dtproc -q -n "$clause" $4 "$5" 2>&1)
	echo "ROW $1 $2 $4: $said" | tr '\\n' ' '
	echo
}
$user /bin/hammer 1 0 >/dev/null &
sleep 1
# setpriv executes the program: the PID stays.
victim=$!
for scope in 0 1 2 3; do
	echo $scope >/proc/sys/kernel/yama/ptrace_scope
	try $scope user "$user" -p $victim
	try $scope user "$user" -c "/bin/hammer 1 1000"
	try $scope root "" -p $victim
	try $scope root "" -c "/bin/hammer 1 1000"
done
kill $victim && echo "ROW victim alive"
exec poweroff -f
'''


def skip(why):
    print(why)
    sys.exit(SKIP)


def kernel(folder):
    """Path of a kernel with Yama."""
    command = 'apt-get download $(apt-cache depends linux-image-cloud-amd64 ' \
              "| sed -n 's/^ *Depends: *//p' | head -1)"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True,
                          timeout=300, check=False)
    packages = glob.glob(os.path.join(folder, '*.deb'))
    if done.returncode or not packages:
        skip('no kernel can be fetched: ' + done.stderr.strip()[-200:])
    subprocess.run(['dpkg-deb', '-x', packages[0], folder], check=True)
    return glob.glob(os.path.join(folder, 'boot', 'vmlinuz-*'))[0]


def libraries(path):
    said = subprocess.run(['ldd', path], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r'(/\S+) \(0x', said))


def fill(root):
    """All that the machine has."""
    built = {'dtproc': 'dtproc', 'dtproc-keeper': 'src/keeper/dtproc-keeper',
             'hammer': 'tests/victims/hammer'}
    wanted = {os.path.join('bin', name): os.path.join(BUILD, path)
              for name, path in built.items()}
    wanted['usr/bin/setpriv'] = shutil.which('setpriv')
    wanted['bin/busybox'] = shutil.which('busybox')
    for path in list(wanted.values()):
        for library in libraries(path):
            where = 'bin/' + os.path.basename(library) if library.startswith(BUILD) \
                else library[1:]
            wanted[where] = library
    for where, path in wanted.items():
        target = os.path.join(root, where)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(os.path.realpath(path), target)
    for name in ('sh', 'mount', 'sleep', 'tr', 'poweroff', 'kill'):
        os.symlink('busybox', os.path.join(root, 'bin', name))
    for name in ('proc', 'dev'):
        os.mkdir(os.path.join(root, name))
    with open(os.path.join(root, 'init'), 'w', encoding='ascii') as file:
        file.write(INIT)
    os.chmod(os.path.join(root, 'init'), 0o755)


def entry(out, name, mode, data):
    """One file of a cpio archive as the kernel reads it ("newc")."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b'070701' + b''.join(b'%08x' % field for field in fields)
    for part in (head + name.encode() + b'\0', data):
        out.write(part + b'\0' * (-len(part) % 4))


def pack(root, path):
    with open(path, 'wb') as out:
        for folder, folders, names in os.walk(root):
            for name in sorted(folders + names):
                full = os.path.join(folder, name)
                mode = os.lstat(full).st_mode
                data = os.readlink(full).encode() if stat.S_ISLNK(mode) else \
                    b'' if stat.S_ISDIR(mode) else open(full, 'rb').read()
                entry(out, os.path.relpath(full, root), mode, data)
        entry(out, 'TRAILER!!!', 0, b'')


def boot(folder):
    """What the machine printed."""
    root = os.path.join(folder, 'root')
    archive = os.path.join(folder, 'initramfs')
    os.mkdir(root)
    fill(root)
    pack(root, archive)
    command = [QEMU, '-accel', 'tcg', '-m', '512', '-nographic', '-no-reboot', '-nic', 'none',
               '-kernel', kernel(folder), '-initrd', archive, '-append',
               'console=ttyS0 loglevel=0 panic=-1 rdinit=/init']
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=900, check=False).stdout.decode(errors='replace')


def main():
    if os.environ.get('DTPROC_SOAK') != '1':
        skip('an emulated machine takes a minute: make soak')
    for name in (QEMU, 'busybox', 'apt-get'):
        if not shutil.which(name):
            skip(f'no {name}')
    with tempfile.TemporaryDirectory(prefix='dtproc-qemu-') as folder:
        text = boot(folder)
    wrong = 0
    for (scope, who, how), expected in EXPECTED.items():
        found = re.search(rf'ROW {scope} {who} {how}: (.*)$', text, re.M)
        said = found.group(1) if found else 'nothing'
        good = bool(re.search(expected, said))
        wrong += not good
        print(f"{'ok' if good else 'NOT OK'}: ptrace_scope {scope}, {who}, {how}: {said}")
    if 'ROW victim alive' not in text:
        print('NOT OK: the victim did not live to the end\n' + text[-3000:])
        wrong += 1
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
