#!/usr/bin/env python3
"""How long an operator waits in a very large queue, and clients meanwhile, with the real
daemon on loopback under load: looking, orders for a tenth of the queue, a backup. Beside each
stands the longest time that a client waited for the answer to the end of a message: that is
how long the store did something else, and the syncs.

  bench_operator.py BUILD-FOLDER [--messages N] [--folder F]

100,000 messages; --messages 1000000 is the long form (POINTSMAN_BACKLOG in the environment of
`make bench`)."""
import argparse
import os
import socket
import sqlite3
import subprocess
import threading
import time

from bench_queue import Bench, verdict

GOAL_MS = 200
HOSTS = 20
BODY = b'Subject: bulk\r\n\r\n' + b'x' * 1000


def fill(bench, count):
    """What a hundred senders have left for twenty hosts that are down; every 10,000th is held."""
    db = sqlite3.connect(os.path.join(bench.top, 'queue', 'queue.db'))
    now = int(time.time() * 1000)
    first, = db.execute("SELECT value FROM meta WHERE key = 'next_number'").fetchone()
    numbers = range(first, first + count)
    with db:
        db.executemany("INSERT INTO messages VALUES (?, ?, ?, 'tcp_in', 0, ?, NULL, 0, NULL)",
                       ((i, now - (first + count - i), 'u%d@sender.test' % (i % 100), len(BODY))
                        for i in numbers))
        db.executemany('INSERT INTO bodies VALUES (?, ?)', ((i, BODY) for i in numbers))
        db.executemany('INSERT INTO entries (number, position, channel, host, state, attempts,'
                       " next_try_ms, last_error) VALUES (?, 0, 'tcp_down', ?, ?, 1, ?, 'timed out')",
                       ((i, 'host%d.test' % (i % HOSTS), 2 if i % 10000 == 77 else 0,
                         now + 3600000 + i % 3600000) for i in numbers))
        db.executemany('INSERT INTO recipients (number, position, rank, address) VALUES (?, 0, 0, ?)',
                       ((i, 'r%d@host%d.test' % (i, i % HOSTS)) for i in numbers))
        db.execute('UPDATE meta SET value = ?', (first + count,))
    db.close()
    bench.own('queue')


class Client:
    """Sends one message after the other, and keeps the longest wait."""

    def __init__(self, bench):
        self.bench, self.ended, self.longest_ms, self.log_bytes = bench, False, 0, 0
        self.threads = [threading.Thread(target=t) for t in (self.probe, self.load)]
        for thread in self.threads:
            thread.start()

    def probe(self):
        with socket.create_connection(('127.0.0.1', self.bench.smtp)) as s:
            lines = s.makefile('rb')

            def ask(text):
                s.sendall(text)
                while lines.readline()[3:4] == b'-':
                    pass
            lines.readline()
            ask(b'EHLO bench.test\r\n')
            while not self.ended:
                for text in (b'MAIL FROM:<>\r\n', b'RCPT TO:<u@good.test>\r\n', b'DATA\r\n'):
                    ask(text)
                began = time.monotonic()
                ask(b'Subject: x\r\n\r\nx\r\n.\r\n')
                self.longest_ms = max(self.longest_ms, (time.monotonic() - began) * 1000)
                log = os.path.join(self.bench.top, 'queue', 'queue.db-wal')
                self.log_bytes = max(self.log_bytes, os.path.getsize(log))

    def load(self):
        while not self.ended:
            self.bench.load(400, 'good', connections=4)

    def end(self):
        self.ended = True
        for thread in self.threads:
            thread.join()


def measure(bench, words):
    client = Client(bench)
    time.sleep(1)
    client.longest_ms = 0
    began = time.monotonic()
    done = subprocess.run([bench.program('pointsman'), 'queue'] + words
                          + ['-c', os.path.join(bench.top, 'conf')], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    took = time.monotonic() - began
    client.end()
    if done.returncode == 2:
        raise SystemExit(done.stdout.decode())
    print('operator: %-44s %6.2f s; a client waited %3.0f ms at most, goal %d: %s; log %.0f MiB'
          % (' '.join(words[:4]).replace(bench.top + '/', ''), took, client.longest_ms, GOAL_MS,
             verdict(client.longest_ms < GOAL_MS), client.log_bytes / 2 ** 20), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('build')
    parser.add_argument('--messages', type=int,
                        default=int(os.environ.get('POINTSMAN_BACKLOG', 100000)))
    parser.add_argument('--folder', help='where the queue is made')
    options = parser.parse_args()
    bench = Bench(os.path.abspath(options.build), options.folder)
    try:
        bench.start()
        bench.stop()
        fill(bench, options.messages)
        bench.sink('good')
        bench.start()
        tenth = ['--host', 'host1.test'], ['--host', 'host2.test']
        for words in ([['summarize'], ['directory', '--held'], ['directory', '--from', 'u7@*', '--older', '9w'],
                       ['hold', '--from', 'nobody@*', '--dry-run']]
                      + [['hold'] + t for t in tenth]
                      + [['release', '--held', '--from', '*'], ['backup', os.path.join(bench.top, 'copy')],
                         ['delete'] + tenth[0]]):
            measure(bench, words)
        bench.stop()
    finally:
        bench.remove()


if __name__ == '__main__':
    main()
