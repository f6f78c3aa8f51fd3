#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""tour.py DTPROC TOUR.md: runs each example of the tour.  It must print what the page shows, but
for numbers, widths of columns, and what `...` stands for.  Messages (`dtproc: ...`) go to
standard error and may stand anywhere.
"""
import os
import re
import shlex
import subprocess
import sys

INDENT = '    '


def examples(path):
    """Commands with the lines that the page shows of their output."""
    found, blank = [], 0
    with open(path, encoding='utf-8') as page:
        for line in map(str.rstrip, page):
            if line.startswith(INDENT + '$ dtproc'):
                found.append((line[len(INDENT) + 2:], []))
            elif line.startswith(INDENT) and found:
                found[-1][1].extend([''] * blank + [line[len(INDENT):]])
            elif line:
                found.append(('', []))
            blank = blank + 1 if not line else 0
    return [example for example in found if example[0]]


def regex_of(line):
    if line == '...':
        return r'(?:[^\n]*\n)*'
    parts = re.split(r'(\d+| +)', line)
    shapes = [r'\d+' if p.isdigit() else r' *' if p.isspace() else re.escape(p) for p in parts]
    return ''.join(shapes).rstrip() + r' *\n'


def shape(lines):
    return ''.join(map(regex_of, lines)) + r'\n*'


def differs(wanted, result):
    if result.returncode:
        return not re.fullmatch(shape(wanted), result.stderr)
    told = [line for line in wanted if line.startswith('dtproc: ')]
    return not all(re.search(regex_of(line), result.stderr) for line in told) or \
        not re.fullmatch(shape(line for line in wanted if line not in told), result.stdout)


def main():
    dtproc, page = os.path.abspath(sys.argv[1]), sys.argv[2]
    wrong = 0
    todo = examples(page)
    for command, wanted in todo:
        words = shlex.split(command)
        r = subprocess.run([dtproc] + words[1:], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=60,
                           check=False)
        if differs(wanted, r):
            wrong += 1
            print(f'{command}\nshows:\n' + '\n'.join(wanted) + f'\nprints:\n{r.stdout}{r.stderr}')
    print(f'{len(todo)} examples, {wrong} wrong')
    sys.exit(1 if wrong or len(todo) < 10 else 0)


main()
