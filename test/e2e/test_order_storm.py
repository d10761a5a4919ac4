"""Orders in a storm: hundreds of them, by id, filter and channel, beside load, reloads and
kills. Each message's sender says what may become of it, so that at the end its fate can be
told apart: `keep` is delivered, `ret` delivered or reported once, `del` delivered or gone."""
import os
import random
import re
import subprocess
import threading
import time
from collections import Counter

import kit
from harness import TOOL, RouterTest, free_port, tell
from peers import Aiosmtpd
from test_crash import Sometimes

SECONDS = float(os.environ.get('POINTSMAN_STORM_S', 4))
KINDS = ('keep', 'ret', 'del')
USERS = KINDS + ('postmaster',)
CHANNELS = ('tcp_good', 'tcp_other', 'tcp_flaky', 'tcp_dead', 'l')


class Storm(RouterTest):
    HOSTS = ('good', 'other', 'flaky', 'dead')

    def setUp(self):
        self.port, dead = free_port(), free_port()
        self.peers = [self.peer(Aiosmtpd(tls='none', answers=Sometimes() if n == 'flaky' else None))
                      for n in self.HOSTS[:3]]
        ports = [p.port for p in self.peers] + [dead]
        to = 'smtp nomx daemon 127.0.0.1 logging nocache port'
        self.it = self.router(kit.site(
            ['router.test $U%router.test@router.test'] +
            ['%s.test $U%%$D@tcp-%s' % (n, n) for n in self.HOSTS],
            ['l logging\nrouter.test', 'tcp_local smtp logging\ntcp-daemon'] +
            ['tcp_%s %s %d\ntcp-%s' % (n, to, p, n) for n, p in zip(self.HOSTS, ports)],
            [kit.service('SMTP', 'tcp_local', self.port)],
            ['router.test'] + [n + '.test' for n in self.HOSTS]),
            users=USERS, arguments=['--retry-after', '1'])
        self.dead = dead
        self.accepted = {}  # word -> (id, kind, [recipients])
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.serial = 0
        self.orders = Counter()
        self.wrong = []

    # --- load ---

    def load(self, seed):
        chance = random.Random(seed)
        while not self.ended.is_set():
            try:
                with kit.Wire(self.port) as wire:
                    wire.ehlo()
                    for _ in range(5):
                        self.message(wire, chance)
                        time.sleep(0.02)
            except (OSError, kit.Closed, AssertionError):
                time.sleep(0.05)

    def message(self, wire, chance):
        with self.lock:
            self.serial += 1
            word = 'word-%d-' % self.serial
        kind = chance.choice(KINDS)
        to = ['u%d@%s.test' % (i, chance.choice(self.HOSTS)) for i in range(chance.randint(1, 3))]
        body = 'x' * 70 + '\r\n'
        body *= 1200 if chance.random() < 0.1 else 1
        done = wire.mail(to, kind + '@router.test', 'Subject: %s\r\n\r\n%s' % (word, body))
        with self.lock:
            self.accepted[word] = (kit.queue_id(done.text), kind, to)

    # --- orders ---

    def some_ids(self, chance, kind=None):
        with self.lock:
            ids = [i for i, k, _ in self.accepted.values() if kind in (None, k)]
        return chance.sample(ids[-60:], min(len(ids[-60:]), chance.randint(1, 4)))

    def words(self, chance):
        """An order."""
        action = chance.choice(('hold', 'release', 'retry', 'return', 'delete', 'redirect',
                                'stop', 'start', 'hold', 'release'))
        if action in ('stop', 'start'):
            return [action, chance.choice(CHANNELS)]
        kind = {'return': 'ret', 'delete': 'del'}.get(action)
        narrow = ['--from', kind + '@*'] if kind else []
        more = []
        if action == 'redirect':
            more = ['--to-channel', chance.choice(('tcp_good', 'tcp_other'))]
            more += ['--to-host', '[127.0.0.1]'] if chance.random() < 0.3 else []
            narrow = ['--from', '%s@*' % chance.choice(KINDS)]  # no reports: they are for l
        how = chance.randint(0, 3)
        if how == 0:
            ids = self.some_ids(chance, kind)
            if ids:
                return [action] + ids + more
        if how == 1:
            return [action, '--channel', chance.choice(CHANNELS[:4])] + narrow + more
        if how == 2:
            return [action, '--to', 'u1@*', '--from', (kind or chance.choice(KINDS)) + '@*'] + more
        return [action] + (narrow or ['--all']) + more

    def order(self, seed):
        chance = random.Random(seed)
        while not self.ended.is_set():
            words = self.words(chance)
            done = subprocess.run([TOOL, '-c', self.it.conf, 'queue'] + words, timeout=60,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.orders[words[0]] += 1
            if done.returncode not in self.codes:
                self.wrong.append((words, done.returncode, done.stdout))

    # --- the end ---

    def storm(self, disturb, codes=(0, 1)):
        self.codes = codes
        self.it.start()
        threads = [threading.Thread(target=self.load, args=(i,)) for i in range(3)] + \
            [threading.Thread(target=self.order, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        try:
            end, chance = time.monotonic() + SECONDS, random.Random(5)
            while time.monotonic() < end:
                disturb(chance)
        finally:
            self.ended.set()
            for t in threads:
                t.join(60)
        self.assertEqual(self.wrong, [])
        self.assertFalse(self.it.has_ended(), self.it.log_text()[-3000:])

    def calm(self):
        """Everything may go now; the dead host lives."""
        self.peers.append(self.peer(Aiosmtpd(tls='none', port=self.dead)))
        for channel in CHANNELS:
            self.it.tool('queue', 'start', channel)
        end = time.monotonic() + 60
        while self.it.status()['queue_messages'] and time.monotonic() < end:
            self.it.tool('queue', 'release', '--all')
            time.sleep(0.3)
        self.assertEqual(self.it.status()['queue_messages'], 0,
                         self.it.tool('queue', 'directory').stdout)
        self.assertEqual(self.it.tool('queue', 'check').returncode, 0)

    def fates(self, killed):
        """-> delivered, reported: Counter of (word, recipient). A report that a kill has delivered
        twice is one."""
        delivered, reported, seen = Counter(), Counter(), set()
        for peer in self.peers:
            for _, to, text, _ in peer.received:
                word = re.search(rb'Subject: (word-\d+-)', text)[1].decode()
                delivered.update((word, one) for one in to)
        for user in KINDS:
            for mail in self.it.mails(user):
                report = re.search(rb'Message-ID: (\S+)', mail)[1]
                if killed and report in seen:
                    continue
                seen.add(report)
                word = re.search(rb'Subject: (word-\d+-)', mail)[1].decode()
                reported.update((word, one.decode()) for one in
                                re.findall(rb'Final-Recipient: rfc822; ?(\S+)', mail))
        return delivered, reported

    def judge(self, killed):
        delivered, reported = self.fates(killed)
        lost, twice, odd = [], [], []
        for word, (ident, kind, to) in self.accepted.items():
            for one in set(to):
                times, told = delivered[word, one], reported[word, one]
                if not times and not told and kind != 'del':
                    lost.append((ident, word, one))
                if told > 1 or (times > to.count(one) or (times and told)) and not killed:
                    twice.append((ident, word, one, times, told))
                if told and kind != 'ret':
                    odd.append((ident, word, one))
        return lost, twice, odd

    def told(self):
        tell('%d messages, orders: %s' % (len(self.accepted), ', '.join(
            '%d %s' % (n, a) for a, n in sorted(self.orders.items()))))

    def test_storm(self):
        def disturb(chance):
            time.sleep(chance.uniform(0.1, 0.8))
            self.it.hang_up()
        self.storm(disturb)
        self.calm()
        self.assertEqual(self.judge(killed=False), ([], [], []))
        self.told()

    def test_storm_and_kills(self):
        def disturb(chance):
            time.sleep(chance.uniform(0.3, 1.2))
            if chance.random() < 0.3:
                self.it.hang_up()
            else:
                self.it.kill()
                time.sleep(chance.uniform(0, 0.2))
                self.it.start()
        self.storm(disturb, codes=(0, 1, 2))
        self.calm()
        self.assertEqual(self.judge(killed=True), ([], [], []))
        self.told()
