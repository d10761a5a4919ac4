#!/usr/bin/python3
"""Runs one module (or class, or test) of the integration tests and counts."""
import sys
import time
import unittest

SLOW_S = 2


class Result(unittest.TextTestResult):
    """Shows how long a slow test took."""

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        took = time.monotonic() - self.began
        if took > SLOW_S:
            self.stream.writeln('    (%.1f s)' % took)
        super().stopTest(test)


def main():
    suite = unittest.defaultTestLoader.loadTestsFromName(sys.argv[1])
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(suite)
    failed = len({str(test) for test, _ in result.failures + result.errors}) + \
        len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    passed = max(result.testsRun - failed - skipped, 0)
    print('%d passed, %d failed, %d skipped' % (passed, failed, skipped), flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
