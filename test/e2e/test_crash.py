"""kill -9 under load, again and again: whatever was answered 250 is there at the end.
Duplicates are allowed (an answer that was lost) and counted."""
import random
import smtplib
import threading
import time
from collections import Counter

import kit
from harness import RouterTest, free_port, wait_until
from peers import Aiosmtpd, SmtpSink

KILLS = 40
SENDERS = 6
BIG = ('x' * 70 + '\r\n') * 1500  # above the threshold for bodies inside the database


def whole(mail):
    """Is it one of ours from its subject to its last line?"""
    body = mail.replace(b'\r\n', b'\n').rstrip(b'\n').partition(b'Subject: load-')[2]
    text = body.partition(b'\n\n')[2]
    return text == b'small' or text == BIG.replace('\r\n', '\n').rstrip('\n').encode()


class Load:
    """Threads that send for ever, each message with a word of its own; acknowledged holds
    the (word, recipient) pairs of those that got their 250."""

    def __init__(self, port, recipients):
        self.port, self.recipients = port, recipients
        self.acknowledged, self.lock = set(), threading.Lock()
        self.errors, self.serial, self.ended = 0, 0, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def run(self, index):
        chance = random.Random(index)
        while not self.ended.is_set():
            try:
                self.session(chance, tls=index % 2 == 1)
            except (OSError, smtplib.SMTPException, kit.Refused):
                self.errors += 1
                time.sleep(0.02)

    def session(self, chance, tls):
        with smtplib.SMTP('127.0.0.1', self.port, local_hostname='load.test', timeout=10) as s:
            if tls:
                s.starttls(context=kit.client_context())
            s.ehlo()
            for _ in range(chance.randint(1, 10)):
                if self.ended.is_set():
                    return
                self.message(s, chance)

    def message(self, smtp, chance):
        with self.lock:
            self.serial += 1
            word = 'load-%d.' % self.serial
        to = chance.sample(self.recipients, chance.randint(1, len(self.recipients)))
        kit.step(smtp, 'MAIL', smtp.mail('<>'))
        for address in to:
            kit.step(smtp, 'RCPT', smtp.rcpt(address))
        body = BIG if chance.random() < 0.15 else 'small\r\n'
        kit.step(smtp, 'DATA', smtp.data('Subject: %s\r\n\r\n%s' % (word, body)))
        with self.lock:
            self.acknowledged |= {(word, address) for address in to}

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(15)


class Crash(RouterTest):
    def test_kill_under_load(self):
        port = free_port()
        sink = self.peer(SmtpSink())
        hop = self.peer(Aiosmtpd(tls='good'))
        router = self.router(kit.site(
            ['sink.test $U%$D@tcp-sink-daemon', 'hop.test $U%$D@tcp-hop-daemon',
             '. $U%$H@tcp-daemon'],
            ['tcp_local smtp maytlsserver\ntcp-daemon',
             'tcp_sink smtp nomx daemon 127.0.0.1 port %d\ntcp-sink-daemon' % sink.port,
             'tcp_hop smtp nomx musttlsclient daemon 127.0.0.1 port %d\ntcp-hop-daemon'
             % hop.port],
            [kit.service('SMTP', 'tcp_local', port)], ['sink.test', 'hop.test']),
            users=['ann', 'bob'], arguments=['--retry-after', '1'])
        router.start()
        load = Load(port, ['ann@router.test', 'bob@router.test', 'sue@sink.test',
                           'joe@hop.test'])
        self.addCleanup(load.stop)
        chance = random.Random(7)
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.6))
            self.assertFalse(router.has_ended(), 'it ended by itself: ' + router.log_text())
            router.kill()
            router.start()
        time.sleep(0.5)
        load.stop()
        self.check(router, load, sink, hop)

    def check(self, router, load, sink, hop):
        self.assertGreater(len(load.acknowledged), 50 * KILLS // 10)
        wait_until('an empty queue', lambda: router.status()['queue_messages'] == 0, 60)
        self.assertEqual(router.status()['queue_held'], 0)
        # smtp-sink also keeps what it got of a transaction that was cut off: not counted
        places = {'ann@router.test': router.mails('ann'), 'bob@router.test': router.mails('bob'),
                  'sue@sink.test': [m for m in sink.messages() if whole(m)],
                  'joe@hop.test': [m[2] for m in hop.received]}
        missing, copies, torn = [], 0, 0
        for address, mails in places.items():
            torn += sum(not whole(m) for m in mails)
            count = Counter(m[m.index(b'Subject: load-') + 9:].split()[0].decode()
                            for m in mails)
            copies += sum(n - 1 for n in count.values())
            missing += [(w, a) for w, a in load.acknowledged if a == address and w not in count]
        print('%d kills, %d messages tried, %d deliveries owed, %d missing, %d duplicates, '
              '%d errors seen by clients' % (KILLS, load.serial, len(load.acknowledged),
                                             len(missing), copies, load.errors))
        self.assertEqual(missing, [])
        self.assertEqual(torn, 0)
