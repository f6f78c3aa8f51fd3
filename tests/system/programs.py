#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Real programs, held, probed and let go: their output is what it is without us.

Each runs three times: free, grabbed in the middle (-p) and let go before its end, and
created (-c).  Rules C1, D2, D6, H5.
"""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

import lib

MALLOC = 'pid$target:libc:malloc:entry { @[probefunc] = count(); }'
# node allocates a hundred thousand times before its first line.
SYSTEM = 'pid$target:libc:mmap64:entry,pid$target:libc:madvise:entry,' \
         'pid$target:libc:mprotect:entry,pid$target:libc:read:entry,' \
         'pid$target:libc:epoll_wait:entry { @["calls"] = count(); }'

PYTHON = '''
import hashlib, sys, threading
def work(seed):
    h = hashlib.sha256(str(seed).encode())
    for i in range(3000):
        d = {str(k): [k] * 40 for k in range(6)}
        h.update(repr(sorted(d.items())).encode())
    results[seed] = h.hexdigest()
results = {}
if len(sys.argv) > 1: input()
print("ready", flush=True)
threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(results.items()))
try:
    raise KeyError("the end")
except KeyError as e:
    print(e)
'''

NODE = '''
const crypto = require("crypto");
const h = crypto.createHash("sha256");
console.log("ready");
let n = 0;
function step() {
    for (let i = 0; i < 400; i++) h.update(JSON.stringify({n: n++, s: "x".repeat(n % 50)}));
    if (n < 8000) setImmediate(step);
    else console.log(h.digest("hex"));
}
if (process.argv.includes("wait")) process.stdin.once("data", () => { step(); process.stdin.pause(); });
else step();
'''

BASH = '''
[ "$1" ] && read x
echo ready
sum=0
for ((i = 0; i < 500; i++)); do
    s="$sum-$i"
    sum=$(( (sum * 31 + ${#s} + i) % 1000003 ))
    (( i % 1000 == 0 )) && sum=$(( sum + $(echo $i | wc -c) ))
done
echo $sum
'''


def need(name):
    path = f'/usr/bin/{name}'
    if not os.path.exists(path):
        path = shutil.which(name)
    if not path:
        raise lib.Absent(f'no {name}')
    return path


def free(command):
    return subprocess.run(command, capture_output=True, text=True, check=True,
                          timeout=60).stdout


def let_go(victim):
    """It is free, unless it has come to its end by itself."""
    try:
        lib.check_free(victim.pid, 'let go')
    except (OSError, lib.Failed):
        if not lib.within(0.5, lambda: victim.poll() is not None):
            raise


def grabbed(command, clause, share=0.4):
    """Runs it waiting for a line, grabs it, lets go before its end."""
    victim = subprocess.Popen(command + ['wait'], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.15)
        with lib.Trace(['-p', str(victim.pid)], clause) as trace:
            trace.armed()
            victim.stdin.write('go\n')
            victim.stdin.flush()
            time.sleep(share)
            counted = trace.interrupt()
        let_go(victim)
        text = victim.communicate(timeout=60)[0]
        lib.check(victim.returncode == 0, f'ended with {victim.returncode}')
        return text, counted
    finally:
        if victim.poll() is None:
            victim.kill()
            victim.wait()


def created(command, clause):
    with tempfile.TemporaryDirectory() as folder:
        script = os.path.join(folder, 'program')
        with open(script, 'w', encoding='ascii') as file:
            file.write(command[-1])
        if command[-2] in ('-c', '-e'):
            line = f'{command[0]} {script}'
        result = subprocess.run([lib.DTPROC, '-q', '-o', os.path.join(folder, 'out'), '-c',
                                 line, '-n', clause], capture_output=True, text=True,
                                timeout=120, check=False)
        lib.check(result.returncode == 0, f'dtproc: {result.returncode} {result.stderr}')
        with open(os.path.join(folder, 'out'), encoding='ascii') as file:
            return result.stdout, file.read()


def three_ways(command, clause=MALLOC, key='malloc'):
    want = free(command)
    with_line = grabbed(command + (['sh'] if command[0].endswith('bash') else []), clause)
    lib.check(with_line[0] == want, f'-p: {with_line[0]!r}, not {want!r}')
    lib.check((lib.count_in(with_line[1], key) or 0) > 0, f'-p: {with_line[1]!r}')
    text, counted = created(command, clause)
    lib.check(text == want, f'-c: {text!r}, not {want!r}')
    lib.check((lib.count_in(counted, key) or 0) > 0, f'-c: {counted!r}')
    lib.check(lib.within(1.5, lambda: not lib.keepers()), 'keepers are left')


def python3():
    three_ways([need('python3'), '-c', PYTHON])


def node():
    three_ways([need('node'), '-e', NODE], SYSTEM, 'calls')


def bash():
    three_ways([need('bash'), '-c', BASH])


def redis_values(port, cli):
    return free([cli, '-p', port, 'eval', "local s = '' for i = 1, 50 do redis.call('set', "
                 "'k' .. i, i * i) s = s .. redis.call('get', 'k' .. i) end return s", '0'])


def redis():
    server, bench, cli = need('redis-server'), need('redis-benchmark'), need('redis-cli')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        victim = subprocess.Popen([server, '--port', port, '--bind', '127.0.0.1', '--save',
                                   '', '--dir', folder, '--appendonly', 'no'],
                                  stdout=subprocess.DEVNULL)
        try:
            redis_rounds(victim, port, bench, cli)
        finally:
            victim.terminate()
            victim.wait(10)


def redis_rounds(victim, port, bench, cli):
    load = [bench, '-p', port, '-t', 'set,get,incr,lpush', '-n', '3000', '-c', '20', '-q']

    def up():
        return subprocess.run([cli, '-p', port, 'ping'], capture_output=True,
                              check=False).stdout == b'PONG\n'
    lib.check(lib.within(5, up), 'redis-server does not answer')
    want = redis_values(port, cli)
    for how in ('SIGINT', 'SIGKILL'):
        with lib.Trace(['-p', str(victim.pid)],
                       'pid$target:libc:write:entry,pid$target:libc:read:entry,'
                       'pid$target:libc:epoll_wait:entry { @[probefunc] = count(); }'
                       ) as trace:
            trace.armed()
            said = free(load)
            lib.check(len(re.findall(r'requests per second', said)) >= 4, said)
            lib.check(redis_values(port, cli) == want, 'values differ while traced')
            if how == 'SIGINT':
                text = trace.interrupt()
                lib.check((lib.count_in(text, 'write') or 0) > 2000, text)
            else:
                trace.process.kill()
        lib.check(free([cli, '-p', port, 'ping']) == 'PONG\n', f'no answer after {how}')
        lib.check_free(victim.pid, how)
        lib.check(redis_values(port, cli) == want, 'values differ afterwards')
    lib.check(victim.poll() is None, 'redis-server has ended')


def other_builds():
    """Static, static-pie, musl, not relocatable, with CET, stripped: counts are exact."""
    wrong = []
    for name in ('nopie', 'static', 'static-pie', 'cet', 'stripped', 'musl', 'musl-static'):
        path = os.path.join(lib.VICTIMS, 'hammer-' + name)
        if not os.path.exists(path):
            lib.check(name.startswith('musl'), path)
            continue
        env = {k: v for k, v in os.environ.items() if k != 'VICTIM_PAGE'}
        with lib.Trace(['-c', f'{path} 3 500'],
                       'pid$target:a.out:victim_target:entry { @[probefunc] = count(); }',
                       env=env) as trace:
            try:
                text = trace.end(60)
            except lib.Failed as why:
                wrong.append(f'{name}: {why}')
                continue
        if lib.count_in(text, 'victim_target') != 1500 or 'hammer: 1500 calls' not in text:
            wrong.append(f'{name}: {text!r}')
    lib.check(not wrong, '; '.join(wrong))


if __name__ == '__main__':
    lib.main([('python3', python3), ('node', node), ('bash', bash), ('redis', redis),
              ('other-builds', other_builds)])
