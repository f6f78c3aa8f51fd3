#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Real programs that load, fork and execute all their life (sections E and F): what they
do and answer is what it is without us, and what they load or fork is seen.
"""
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import lib

NGINX = '''
daemon off;
worker_processes 2;
pid {0}/pid;
error_log {0}/errors;
{1}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {0}/body; proxy_temp_path {0}/proxy;
    fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
    server {{ listen 127.0.0.1:{2}; location / {{ return 200 "$arg_n is the answer\\n"; }} }}
}}
'''

MODULES = '''
import importlib, sys, warnings
warnings.simplefilter('ignore')
left_out = {'antigravity', 'this', 'idlelib', 'turtle', 'tkinter', 'turtledemo', 'test'}
names = [n for n in sorted(sys.stdlib_module_names)
         if n.split('.')[0] not in left_out and not n.startswith('_')]
loaded = []
for name in names:
    try:
        importlib.import_module(name)
        loaded.append(name)
    except ImportError:
        pass
own = len({line.split()[-1] for line in open('/proc/self/maps') if 'lib-dynload' in line})
print(len(loaded), 'modules', own, 'libraries', loaded)
'''

SHELL = '''
trap 'echo trapped' USR1
sum() { local s=0 x; while read -r x; do s=$((s + x)); done; echo $s; }
for i in 1 2 3 4 5; do
    seq $((i * 40)) | sed 's/^/1/' | tr 1 2 | sort -rn | sum
    echo "in a substitution: $(seq $i | wc -l | tr -d ' ')"
    (exec sh -c 'echo $0 $1' subshell $i)
done
for i in 1 2 3 4; do (sleep 0.0$i; exit $i) & jobs_="$jobs_ $!"; done
for j in $jobs_; do wait $j; echo status $?; done
kill -USR1 $$
cat <<END
here $((6 * 7))
END
diff <(seq 5) <(seq 6) | wc -l | tr -d ' '
'''

JAVA = '''
import java.security.MessageDigest;
import java.util.*;
import java.util.stream.*;
public class Sum {
    static int zero(Object o) { try { return o.hashCode(); } catch (NullPointerException e) { return 0; } }
    public static void main(String[] args) throws Exception {
        MessageDigest d = MessageDigest.getInstance("SHA-256");
        long sum = IntStream.range(0, 20000).parallel()
            .mapToLong(i -> Integer.toString(i).hashCode() + zero(null)).sum();
        List<String> all = new ArrayList<>();
        for (int i = 0; i < 20000; i++) all.add("s" + i * 31L % 1009);
        for (int i = 0; i < 2; i++) System.gc();
        Collections.sort(all);
        d.update(all.toString().getBytes());
        System.out.println(sum + " " + HexFormat.of().formatHex(d.digest()));
    }
}
'''


def need(*paths):
    for path in paths:
        if os.path.exists(path):
            return path
    raise lib.Absent('no ' + os.path.basename(paths[0]))


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as text:
        return [int(child) for child in text.read().split()]


class Server:
    """nginx with two workers, answering."""

    def __init__(self, folder):
        program = need('/usr/sbin/nginx')
        self.port = free_port()
        conf = os.path.join(folder, 'conf')
        user = f'user nobody {"nogroup"};' if os.getuid() == 0 else ''
        with open(conf, 'w', encoding='ascii') as text:
            text.write(NGINX.format(folder, user, self.port))
        os.chmod(folder, 0o755)
        self.process = subprocess.Popen([program, '-c', conf, '-e', folder + '/errors'],
                                        stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        lib.check(lib.within(5, self.answers), 'nginx does not answer')

    def answers(self, n=1):
        try:
            with urllib.request.urlopen(f'http://127.0.0.1:{self.port}/?n={n}',
                                        timeout=10) as reply:
                return reply.read() == b'%d is the answer\n' % n
        except OSError:
            return False

    def workers(self):
        return set(children(self.pid))

    def reload(self):
        """New workers come, the old ones go, and every request is answered."""
        old = self.workers()
        self.process.send_signal(signal.SIGHUP)
        asked = 0

        def renewed():
            nonlocal asked
            asked += 1
            lib.check(self.answers(asked), f'no answer to request {asked} amid a reload')
            return len(self.workers()) == 2 and not self.workers() & old
        lib.check(lib.within(10, renewed), f'workers {old}, then {self.workers()}')
        for n in range(20):
            lib.check(self.answers(n), 'no answer after a reload')


def nginx():
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            for how in ('interrupt', 'kill'):
                with lib.Trace(['-p', str(server.pid)],
                               'proc:::create { @["children"] = count(); }'
                               'pid$target:libc:fork:entry { @["forks"] = count(); }'
                               'pid$target:libc:*alloc:entry { @other = count(); }') as trace:
                    trace.armed()
                    server.reload()
                    server.reload()
                    if how == 'interrupt':
                        text = trace.interrupt()
                        for key in ('children', 'forks'):
                            lib.check(lib.count_in(text, key) == 4, text)
                    else:
                        trace.process.kill()
                lib.check_free(server.pid, how)
                for worker in server.workers():
                    lib.check_free(worker, 'a worker')
                server.reload()
        finally:
            server.process.send_signal(signal.SIGQUIT)
            status = server.process.wait(10)
    lib.check(status == 0, f'nginx ended with {status}')


def worker():
    """A worker is held while its master replaces it: it ends as it would."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            held = min(server.workers())
            with lib.Trace(['-p', str(held)],
                           'pid$target:libc:epoll_wait:entry { @["waits"] = count(); }'
                           'proc:::exit { printf("ended %d %d\\n", arg0, arg1); }') as trace:
                trace.armed()
                for n in range(60):
                    lib.check(server.answers(n), 'no answer from a held worker')
                server.reload()
                text = trace.end()
            lib.check('ended 1 0' in text, text)
        finally:
            server.process.send_signal(signal.SIGQUIT)
            server.process.wait(10)


def same(command, clauses, **more):
    """Its output under dtproc -c, which must be what it is without; and ours."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, 'trace')
        free = subprocess.run(command, capture_output=True, text=True, check=True,
                              timeout=60, **more).stdout
        line = ' '.join(f"'{word}'" for word in command)
        result = subprocess.run([lib.DTPROC, '-q', '-Z', '-o', file, '-c', line]
                                + [x for c in clauses for x in ('-n', c)],
                                capture_output=True, text=True, timeout=200, check=False, **more)
        lib.check(result.returncode == 0, f'dtproc: {result.returncode} {result.stderr}')
        lib.check(result.stdout == free, f'{result.stdout[-400:]!r}, not {free[-400:]!r}')
        with open(file, encoding='ascii') as text:
            return free, text.read()


def modules():
    """python3 imports some 200 modules: each library's first function is seen."""
    with tempfile.NamedTemporaryFile('w', suffix='.py') as script:
        script.write(MODULES)
        script.flush()
        free, text = same([need('/usr/bin/python3'), script.name], [
            'pid$target::PyInit_*:entry { @[probefunc] = count(); }',
            'END { printa("%s %@d\\n", @); }'])
    n, libraries = (int(x) for x in re.match(r'(\d+) modules (\d+)', free).groups())
    seen = re.findall(r'^PyInit_\S+ 1$', text, re.M)
    lib.check(n >= 150 and len(seen) >= libraries, f'{n} modules, {libraries} libraries: {text}')


def shell():
    with tempfile.NamedTemporaryFile('w', suffix='.sh') as script:
        script.write(SHELL)
        script.flush()
        text = same([need('/bin/bash', '/usr/bin/bash'), script.name], [
            'pid$target:libc:*fork*:entry { @forks = count(); }',
            'proc:::create { @["children"] = count(); }'])[1]
    lib.check((lib.count_in(text, 'children') or 0) >= 30, text)


def java():
    """A machine that makes code, and catches faults of its own by the thousand."""
    program = need('/usr/bin/java')
    need('/usr/bin/javac')
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, 'Sum.java')
        with open(source, 'w', encoding='ascii') as text:
            text.write(JAVA)
        text = same([program, '-Xmx256m', source], [
            'pid$target:libjvm:JVM_FindClassFromBootLoader:entry,'
            'pid$target:libc:mprotect:entry { @["calls"] = count(); }'])[1]
        lib.check((lib.count_in(text, 'calls') or 0) > 0, text)
        victim = subprocess.Popen([program, '-Xmx256m', source], stdout=subprocess.PIPE, text=True)
        try:
            while victim.poll() is None:
                trace = lib.Trace(['-p', str(victim.pid)], 'pid$target:libc:mprotect:entry,'
                                  'pid$target:libc:munmap:entry { @["calls"] = count(); }')
                with trace:
                    time.sleep(0.3)
                lib.check(victim.poll() is not None or
                          lib.within(3, lambda: lib.status(victim.pid, 'TracerPid') in ('0', None)),
                          'traced by somebody')
            lib.check(victim.wait() == 0, f'java ended with {victim.returncode}')
        finally:
            if victim.poll() is None:
                victim.kill()
            victim.wait()


if __name__ == '__main__':
    lib.main([('nginx', nginx), ('worker', worker), ('modules', modules), ('shell', shell),
              ('java', java)])
