#!/usr/bin/env python3
"""docs/momentum.md: every option has an equivalent or a reason, every equivalent has a test, and
every test that is named is there. Output is TAP."""
import fnmatch
import importlib
import os
import re
import sys

sys.dont_write_bytecode = True
TOP = os.environ.get('top_srcdir', '.')
E2E = os.path.join(TOP, 'test', 'e2e')
# Nothing is run: the modules only have to be read, since some of their tests come of tables.
os.environ.setdefault('POINTSMAN_BUILD', '.')
sys.path.insert(0, os.path.abspath(E2E))
failed = False
number = 0


def report(name, findings):
    global failed, number
    number += 1
    failed = failed or bool(findings)
    print('%s %d - %s' % ('not ok' if findings else 'ok', number, name))
    for one in findings:
        print('# ' + one)


def rows():
    """(line, option, equivalent, tests) of every table."""
    with open(os.path.join(TOP, 'docs', 'momentum.md'), encoding='utf-8') as file:
        for line, text in enumerate(file, 1):
            cells = [c.strip() for c in text.strip().strip('|').split(' | ')]
            if text.startswith('| ') and cells[0] != 'Momentum':
                yield [line] + (cells + ['', '', ''])[:3]


def in_python(name):
    """module.Class.test, the last with wildcards."""
    module, _, rest = name.partition('.')
    class_name, _, test = rest.partition('.')
    if not os.path.exists(os.path.join(E2E, module + '.py')) or not test:
        return False
    found = getattr(importlib.import_module(module), class_name, None)
    return bool([n for n in dir(found) if n.startswith('test_') and fnmatch.fnmatchcase(n, test)])


def in_c(path, function):
    """A test that is defined, and in the list of those that are run."""
    with open(os.path.join(TOP, path), encoding='utf-8') as file:
        text = file.read()
    plain = function[5:] if function.startswith('test_') else function
    return bool(re.search(r'^static void (test_)?%s\(void \*\*state\)' % plain, text, re.M) and
                re.search(r'(TEST|cmocka_unit_test)\((test_)?%s\)' % plain, text))


def is_there(name):
    if name.startswith('test_'):
        return in_python(name)
    path, _, function = name.partition(':')
    if function:
        return os.path.exists(os.path.join(TOP, path)) and in_c(path, function)
    return path.startswith('test/') and os.path.exists(os.path.join(TOP, path))


table = list(rows())
report('there are rows', [] if len(table) > 30 else ['%d rows' % len(table)])
report('each option has an equivalent, or a reason why not',
       ['line %d: %s' % (l, o) for l, o, here, _ in table if not here])
report('each equivalent has a test', [
    'line %d: %s' % (l, o) for l, o, here, tests in table
    if '`' not in tests and not re.search('^none|later', here)])
report('each test is there', [
    'line %d: %s' % (l, name) for l, _, _, tests in table
    for name in re.findall('`([^`]+)`', tests) if not is_there(name)])
print('1..%d' % number)
sys.exit(failed)
