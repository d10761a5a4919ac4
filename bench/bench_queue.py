#!/usr/bin/env python3
"""What queueing and delivering is measured by, with the real daemon on loopback, beside the
goals:

  fair     a healthy next hop alone, and beside one that is down, one that takes an octet a
           second and one that never ends its greeting; medians of five rounds, in turns
  backlog  very many messages queued to a host that is down: the rate at the end beside the
           one at the start, memory, the time from a start to the first delivery, and how
           long the counts of the queue take

  bench_queue.py BUILD-FOLDER [fair] [backlog] [--messages N] [--folder F]

100,000 messages make the backlog; --messages 1000000 is the long form (POINTSMAN_BACKLOG in
the environment of `make bench`)."""
import argparse
import json
import os
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time


def port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Bench:
    SINKS = {'good': '127.0.0.11', 'slow': '127.0.0.12', 'tarpit': '127.0.0.13',
             'down': '127.0.0.14'}

    def __init__(self, build, folder):
        self.build, self.top = build, tempfile.mkdtemp(prefix='pointsman-bench-', dir=folder)
        self.smtp, self.hop = port(), port()
        self.sinks, self.daemon = [], None
        os.chmod(self.top, 0o755)
        for name in ('conf', 'run', 'mail'):
            os.mkdir(os.path.join(self.top, name))
        rules = ''.join('%s.test $U%%$D@tcp-%s\n' % (n, n) for n in self.SINKS)
        channels = ''.join('\ntcp_%s smtp daemon [%s] port %d backoff PT1H\ntcp-%s\n'
                           % (n, a, self.hop, n) for n, a in self.SINKS.items())
        self.write('pointsman.cnf', rules + '\nl\nrouter.test\n\ntcp_in smtp\ntcp-in\n' + channels)
        self.write('dispatcher.cnf', 'INTERFACE_ADDRESS=127.0.0.1\n[SERVICE=SMTP]\nPORT=%d\n'
                   'PARAMETER=CHANNEL=tcp_in\n' % self.smtp)
        self.write('localdomains', ''.join(n + '.test\n' for n in self.SINKS))
        self.write('option.dat', 'QUEUE_DIRECTORY=../queue\nMAILDIR_ROOT=../mail\n'
                   'CONTROL_SOCKET=../run/control\nUSER=%s\n' % self.user())
        self.own('.')

    @staticmethod
    def user():
        """Run by root, the daemon becomes somebody else."""
        return pwd.getpwuid(os.getuid()).pw_name if os.getuid() else 'nobody'

    def own(self, name):
        """Gives a folder with all that is in it to that user."""
        user = pwd.getpwnam(self.user())
        for root, _, names in os.walk(os.path.join(self.top, name)):
            for path in [root] + [os.path.join(root, n) for n in names]:
                os.chown(path, user.pw_uid, user.pw_gid)

    def write(self, name, text):
        with open(os.path.join(self.top, 'conf', name), 'w') as file:
            file.write(text)

    def program(self, name):
        return os.path.join(self.build, name)

    def sink(self, name):
        self.sinks.append(subprocess.Popen([self.program('bench/bench_sink'), self.SINKS[name],
                                            str(self.hop), name]))

    def start(self):
        self.log = open(os.path.join(self.top, 'log'), 'wb')
        self.daemon = subprocess.Popen([self.program('pointsmand'), '-c',
                                        os.path.join(self.top, 'conf')], stderr=self.log)
        end = time.monotonic() + 60
        while True:
            try:
                return self.status()
            except OSError:
                if self.daemon.poll() is not None or time.monotonic() > end:
                    raise SystemExit(open(os.path.join(self.top, 'log')).read()[-2000:])
                time.sleep(0.005)

    def stop(self):
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.wait(120)

    def remove(self):
        for process in self.sinks + ([self.daemon] if self.daemon else []):
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.top, ignore_errors=True)

    def status(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(self.top, 'run', 'control'))
            s.sendall(b'{"v":1,"command":"status"}\n')
            return json.loads(s.makefile().readline())

    def load(self, messages, *names, connections=20):
        """Seconds until all are accepted."""
        addresses = ['u@%s.test' % name for name in names]
        return float(subprocess.run(
            [self.program('bench/bench_load'), str(self.smtp), str(connections), str(messages)]
            + addresses, stdout=subprocess.PIPE, check=True).stdout.split()[0])

    def wait(self, field, least):
        while self.status()[field] < least:
            time.sleep(0.01)

    def memory_mib(self, field):
        with open('/proc/%d/status' % self.daemon.pid) as file:
            return next(int(l.split()[1]) for l in file if l.startswith(field + ':')) / 1024


def verdict(good):
    return 'ok' if good else 'MISSED'


def fair_round(bench, messages, beside):
    """Messages a second, accepted and delivered, to the healthy host."""
    bench.start()
    if beside:
        bench.load(1500, 'down', 'slow', 'tarpit')
    before = bench.status()['delivered']
    began = time.monotonic()
    bench.load(messages, 'good')
    bench.wait('delivered', before + messages)
    rate = messages / (time.monotonic() - began)
    bench.daemon.kill()
    bench.daemon.wait()
    shutil.rmtree(os.path.join(bench.top, 'queue'))
    return rate


def fair(bench, messages=5000, rounds=5):
    for name in ('good', 'slow', 'tarpit'):
        bench.sink(name)
    time.sleep(0.2)
    fair_round(bench, messages, False)  # the first one warms up
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(fair_round(bench, messages, False))
        beside.append(fair_round(bench, messages, True))
    a, b = statistics.median(alone), statistics.median(beside)
    print('fair: a healthy next hop alone        %8.0f messages/s (%.0f to %.0f)'
          % (a, min(alone), max(alone)))
    print('fair: beside one down, slow, tarpit   %8.0f messages/s (%.0f to %.0f)'
          % (b, min(beside), max(beside)))
    print('fair: it keeps %.0f %%, goal 85 %%: %s' % (100 * b / a, verdict(b >= 0.85 * a)))


def backlog(bench, messages, slices=20):
    bench.start()
    each, rates = messages // slices, []
    for _ in range(slices):
        rates.append(each / bench.load(each, 'down'))
    first, last = statistics.median(rates[:3]), statistics.median(rates[-3:])
    print('backlog: %d messages to a host that is down: %.0f/s at the start, %.0f/s at the '
          'end, %.0f %%, goal 80 %%: %s' % (each * slices, first, last, 100 * last / first,
                                          verdict(last >= 0.8 * first)))
    peak = bench.memory_mib('VmHWM')
    print('backlog: at most %.0f MiB resident, goal 300: %s' % (peak, verdict(peak < 300)))
    began = time.monotonic()
    status = bench.status()
    took = time.monotonic() - began
    print('backlog: counting %d entries takes %.3f s, goal 1: %s'
          % (status['queue_entries'], took, verdict(took < 1)))
    bench.load(100, 'good')  # it is down as well: nobody listens yet
    bench.stop()
    bench.sink('good')
    make_due(bench)
    began = time.monotonic()
    bench.start()
    started = time.monotonic() - began
    bench.wait('delivered', 1)
    took = time.monotonic() - began
    print('backlog: a start takes %.2f s, its first delivery comes after %.2f s, goal 5: %s'
          % (started, took, verdict(took < 5)))
    bench.wait('delivered', 100)
    print('backlog: all 100 for the healthy host after %.2f s; %.0f MiB resident'
          % (time.monotonic() - began, bench.memory_mib('VmHWM')))
    bench.stop()


def make_due(bench):
    """Everything is due at once, what is for the healthy host last."""
    import sqlite3
    database = sqlite3.connect(os.path.join(bench.top, 'queue', 'queue.db'))
    with database:
        database.execute("UPDATE entries SET next_try_ms = number WHERE state = 0")
    database.close()
    bench.own('queue')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('build')
    parser.add_argument('what', nargs='*')
    parser.add_argument('--messages', type=int,
                        default=int(os.environ.get('POINTSMAN_BACKLOG', 100000)))
    parser.add_argument('--folder', help='where the queue is made')
    options = parser.parse_args()
    for name in options.what or ['fair', 'backlog']:
        bench = Bench(os.path.abspath(options.build), options.folder)
        try:
            if name == 'fair':
                fair(bench)
            else:
                backlog(bench, options.messages)
        finally:
            bench.remove()


if __name__ == '__main__':
    main()
