#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""tools/tidy complains about each thing it is there for, and about nothing else."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPDX = '/* SPDX-License-Identifier: BSD-2-Clause */\n'


def read(name):
    with open(os.path.join(ROOT, name), encoding='utf-8') as f:
        return f.read()


RULES = '# Rules\n\nA1  Handles.\nA10 Kill.\nB1  Threads.\n'
RATCHET = ('function_longest 20\nfunctions_over_70 0\nfunction_median 20\n'
           'files_over_600 0\nfile_longest 90\nrules_untested 0\nfiles_unformatted 99\n')
HEADER = SPDX + '''
/* Says hello.  Any thread. */
DTPROC_API int dtproc_hello(void);
'''


class Tidy(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.write('tools/tidy', read('tools/tidy'))
        self.write('tools/tidy.ratchet', RATCHET)
        self.write('docs/process-control.md', RULES)
        self.write('tests/rules-later.txt', 'B1 later\n')
        self.write('tests/test_a.c', SPDX + '/* A1, A10 */\nint main(void)\n{\n}\n')
        self.write('include/dtproc.h', HEADER)
        page = read('ARCHITECTURE.md').replace('docs/', '')
        self.write('ARCHITECTURE.md', page)

    def tearDown(self):
        shutil.rmtree(self.root)

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)

    def tidy(self, *args):
        run = subprocess.run([sys.executable, 'tools/tidy', *args, 'build'], text=True,
                             cwd=self.root, capture_output=True, check=False)
        self.assertEqual(run.stderr, '')
        return run.returncode, run.stdout

    def complains(self, about):
        status, text = self.tidy()
        self.assertEqual(status, 1, text)
        self.assertIn(about, text)
        complaints = [line for line in text.splitlines() if not line.startswith(' ')]
        self.assertEqual(len(complaints), 1, text)

    def c(self, name, text):
        self.write(name, SPDX + text)

    def test_clean_tree(self):
        status, text = self.tidy()
        self.assertEqual(status, 0, text)

    def test_lower_floor_is_fine(self):
        self.c('src/base/err.h', '')
        self.c('src/wire/proto.h', '')
        self.c('src/hold/a.c', '#include <base/err.h>\n#include <wire/proto.h>\n')
        status, text = self.tidy()
        self.assertEqual(status, 0, text)

    def test_higher_floor(self):
        self.c('src/hold/hold.h', '')
        self.c('src/wire/a.c', '\n#include <hold/hold.h>\n')
        self.complains('src/wire/a.c:3: includes hold/hold.h: hold is a higher floor to wire')

    def test_side_door(self):
        self.c('src/victim/maps.h', '')
        self.c('src/hold/a.c', '#include <victim/maps.h>\n')
        self.complains('includes victim/maps.h: victim is entered by victim.h')

    def test_strangers(self):
        self.c('src/victim/victim.h', '')
        self.c('src/keeper/a.c', '#include <victim/victim.h>\n')
        self.complains('victim is a stranger to keeper')

    def test_around_by_quotes(self):
        self.c('src/hold/hold.h', '')
        self.c('src/wire/a.c', '#include "../hold/hold.h"\n')
        self.complains('src/wire/a.c:2: includes ../hold/hold.h: quotes are for')

    def test_command_uses_the_public_header(self):
        self.c('src/base/err.h', '')
        self.c('src/cmd/main.c', '#include <base/err.h>\n')
        self.complains('the command uses <dtproc.h> alone')

    def test_unknown_folder(self):
        self.c('src/attic/a.c', '')
        self.complains('no floor is known')

    def test_table_of_the_architecture(self):
        page = read('ARCHITECTURE.md').replace('docs/', '')
        self.write('ARCHITECTURE.md', page.replace('| 4 | `src/probe/`',
                                                   '| 5 | `src/probe/`'))
        self.complains('src/probe is on floor 5 there, on 4 here')

    def test_ptrace_elsewhere(self):
        self.c('src/hold/a.c', '/* ptrace(2) */\nconst char *s = "ptrace(";\n'
               'long f(void);\nlong x = ptrace (0);\n')
        self.complains('src/hold/a.c:5: ptrace (')

    def test_wait_elsewhere(self):
        self.c('src/keeper/wait.c', 'int x = waitpid(1);\n')
        self.c('src/keeper/a.c', 'int x = waitid(1);\n')
        self.complains('src/keeper/a.c:2: waitid(')

    def test_cpu_macro(self):
        self.c('src/arch/a.c', '#ifdef __x86_64__\n#endif\n')
        self.c('src/wire/a.c', '#ifdef __aarch64__\n#endif\n')
        self.complains('src/wire/a.c:2: __aarch64__')

    def test_rule_without_test(self):
        self.write('docs/process-control.md', RULES + 'C3  New.\n')
        self.complains('rules_untested is 1, was 0\n    C3')

    def test_mutations(self):
        self.c('src/wire/a.c', 'int x = RULE(A1, part);\n')
        self.complains('A1.part is not listed')
        self.write('tests/mutations.txt', 'A1.part  x  y  z\nA2.other  x  y  z\n')
        self.complains('A2.other is nowhere')

    def test_no_spdx(self):
        self.write('src/wire/a.c', 'int x;\n')
        self.complains('src/wire/a.c:1: no SPDX line')

    def test_space_and_marks(self):
        self.c('src/wire/a.c', 'int x; \n')
        self.complains('src/wire/a.c:2: space at the end')
        self.c('src/wire/a.c', '/* TO' 'DO: all */\n')
        self.complains('src/wire/a.c:2: TO' 'DO')

    def test_path_of_one_machine(self):
        self.c('src/wire/a.c', 'const char *s = "/proc/self/" "/' 'mnt7/me/x";\n')
        self.complains('a path of one machine')

    def test_missing_page(self):
        self.c('src/wire/a.c', '/* docs/process-control.md, docs/nowhere.md */\n')
        self.complains('src/wire/a.c:2: there is no docs/nowhere.md')

    def test_contract(self):
        """Rule I3: a public call without its contract does not pass."""
        self.write('include/dtproc.h', HEADER + '\nDTPROC_API int dtproc_bye(\n\tint x);\n')
        self.complains('dtproc_bye has no contract')

    def test_lengths_only_go_down(self):
        body = ''.join(f'\tx{i}();\n' for i in range(30))
        self.c('src/wire/a.c', 'static int f(int a)\n{\n' + body + '}\n')
        self.complains('function_longest is 32, was 20\n    src/wire/a.c:3: f')

    def test_ratchet_tightens(self):
        self.assertEqual(self.tidy('--ratchet')[0], 0)
        with open(f'{self.root}/tools/tidy.ratchet', encoding='utf-8') as f:
            self.assertIn('function_longest 2\n', f.read())


if __name__ == '__main__':
    unittest.main()
