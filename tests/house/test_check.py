#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""tests/check counts what Meson ran, and lets nothing pass that should not."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FAKE_MESON = '''#!/bin/sh
mkdir -p "$3/meson-logs"
cp "$FAKE_LOG" "$3/meson-logs/testlog.json"
if [ -n "$FAKE_REPORT" ]; then echo "ERROR: leak" >"$3/reports/report.1"; fi
'''


class Check(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        os.makedirs(f'{self.root}/tests')
        os.makedirs(f'{self.root}/bin')
        shutil.copy(f'{ROOT}/tests/check', f'{self.root}/tests/check')
        with open(f'{self.root}/tests/skips.txt', 'w', encoding='utf-8') as f:
            f.write('# who may\nmay-*  needs luck\n')
        with open(f'{self.root}/bin/meson', 'w', encoding='utf-8') as f:
            f.write(FAKE_MESON)
        os.chmod(f'{self.root}/bin/meson', 0o755)

    def tearDown(self):
        shutil.rmtree(self.root)

    def check(self, tests, **env):
        with open(f'{self.root}/log', 'w', encoding='utf-8') as f:
            for name, result, said in tests:
                f.write(json.dumps({'name': 'dtproc:unit / ' + name, 'result': result,
                                    'stdout': said, 'duration': 0.5}) + '\n')
        env = dict(os.environ, FAKE_LOG=f'{self.root}/log',
                   PATH=f'{self.root}/bin:{os.environ["PATH"]}', **env)
        run = subprocess.run([sys.executable, f'{self.root}/tests/check',
                              f'{self.root}/build'], env=env, text=True,
                             capture_output=True, check=False)
        self.assertEqual(run.stderr, '')
        return run.returncode, run.stdout.splitlines()

    def test_all_pass(self):
        status, lines = self.check([('a', 'OK', ''), ('b', 'OK', '')])
        self.assertEqual((status, lines[-1]), (0, '2 passed, 0 failed, 0 skipped'))

    def test_failure_shows_its_tail(self):
        status, lines = self.check([('a', 'OK', ''), ('b', 'FAIL', 'one\n\ntwo\n')])
        self.assertEqual((status, lines[-1]), (1, '1 passed, 1 failed, 0 skipped'))
        self.assertEqual(lines[-4:-1], ['failed: b: fail after 0.5 s', '    one', '    two'])

    def test_timeout_and_error_fail(self):
        status, lines = self.check([('a', 'TIMEOUT', ''), ('b', 'ERROR', ''),
                                    ('c', 'UNEXPECTEDPASS', '')])
        self.assertEqual((status, lines[-1]), (1, '0 passed, 3 failed, 0 skipped'))

    def test_nothing_ran(self):
        status, lines = self.check([])
        self.assertEqual((status, lines[-1]), (1, '0 passed, 0 failed, 0 skipped'))

    def test_allowed_skip_says_why(self):
        status, lines = self.check([('a', 'OK', ''), ('may-skip', 'SKIP', 'no gdb here\n')])
        self.assertEqual((status, lines[-1]), (0, '1 passed, 0 failed, 1 skipped'))
        self.assertIn('skipped: may-skip: no gdb here', lines)

    def test_other_skips_fail(self):
        status, lines = self.check([('a', 'OK', ''), ('b', 'SKIP', 'no luck\n')])
        self.assertEqual((status, lines[-1]), (1, '1 passed, 1 failed, 0 skipped'))
        status, lines = self.check([('a', 'OK', ''), ('may-skip', 'SKIP', '\n')])
        self.assertEqual((status, lines[-1]), (1, '1 passed, 1 failed, 0 skipped'))

    def test_only_skips_is_nothing(self):
        status, _ = self.check([('may-skip', 'SKIP', 'no gdb here\n')])
        self.assertEqual(status, 1)

    def test_report_of_a_sanitizer_fails(self):
        status, lines = self.check([('a', 'OK', '')], FAKE_REPORT='1')
        self.assertEqual((status, lines[-1]), (1, '1 passed, 1 failed, 0 skipped'))
        self.assertIn('    ERROR: leak', lines)


if __name__ == '__main__':
    unittest.main()
