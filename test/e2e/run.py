#!/usr/bin/python3
"""Runs the integration tests: each test_*.py as a process of its own, a few at a time.

usage: run.py [MODULE|MODULE.Class|MODULE.Class.test ...]
Needs POINTSMAN_BUILD (a build folder) and POINTSMAN_PEERS (unpacked peers).
The last line is "N passed, N failed, N skipped".
"""
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
# Most of them wait most of the time: for a retry, a time-out, a process to end.
AT_A_TIME = max(2, min(8, 2 * (os.cpu_count() or 1)))
MODULE_TIMEOUT_S = int(os.environ.get('POINTSMAN_MODULE_TIMEOUT', 400))


def run_module(slot_and_name):
    slot, name = slot_and_name
    environment = dict(os.environ, POINTSMAN_PORT_SLOT=str(slot))
    began = time.monotonic()
    command = [sys.executable, '-B', os.path.join(HERE, 'one.py'), name]
    try:
        done = subprocess.run(command, cwd=HERE, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=MODULE_TIMEOUT_S)
        text = done.stdout.decode('utf-8', 'replace')
    except subprocess.TimeoutExpired as error:
        text = (error.stdout or b'').decode('utf-8', 'replace') + '\ntimed out\n'
    found = re.findall(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', text, re.M)
    counts = tuple(map(int, found[-1])) if found else (0, 1, 0)
    return name, text, counts, time.monotonic() - began


def main():
    names = sys.argv[1:] or sorted(f[:-3] for f in os.listdir(HERE)
                                   if f.startswith('test_') and f.endswith('.py'))
    total = [0, 0, 0]
    with ThreadPoolExecutor(max_workers=AT_A_TIME) as pool:
        for name, text, counts, seconds in pool.map(run_module, enumerate(names)):
            for i in range(3):
                total[i] += counts[i]
            print('%-28s %3d passed, %d failed, %d skipped  %5.1f s' % ((name,) + counts + (seconds,)),
                  flush=True)
            if counts[1] or not counts[0]:
                print(text, flush=True)
            else:  # what a test wants told in any case
                for line in re.findall(r'^# .*$', text, re.M):
                    print('  ' + line, flush=True)
    print('%d passed, %d failed, %d skipped' % tuple(total))
    return 1 if total[1] or not total[0] else 0


if __name__ == '__main__':
    sys.exit(main())
