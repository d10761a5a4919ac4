"""What runs beside what: limits of channels, which recipients share a transaction, first
attempts that wait, hosts that cannot be reached, connections that are used again, and that
a dead, a slow or a tarpitting next hop keeps a healthy one from nothing."""
import socket
import threading
import time

import kit
from harness import Router, RouterTest, free_port, wait_until
from peers import Nsd, Scripted


class Counting(Scripted):
    """Takes messages; knows how many transactions were open at the same time, and holds each
    open for a while. (A connection that says QUIT is no delivery any more.)"""

    def __init__(self, hold=0.0, **replies):
        self.lock, self.hold = threading.Lock(), hold
        self.open = self.most = 0
        self.recipients, self.own = [], threading.local()
        super().__init__(**replies)

    def count(self, change):
        with self.lock:
            self.open += change
            self.most = max(self.most, self.open)

    def answer(self, connection, verb, line=b''):
        if verb == '.':
            self.count(-1)
        if verb == 'MAIL':
            self.count(1)
            time.sleep(self.hold)
            self.own.recipients = []
            self.recipients.append(self.own.recipients)
        if verb == 'RCPT':
            self.own.recipients.append(self.address(line))
        return super().answer(connection, verb, line)


class Starting(RouterTest):
    def start(self, words, peer, rules=('. $U%$H@tcp-out',), arguments=(), **more):
        self.port = free_port()
        router = self.router(kit.site(
            list(rules),
            ['tcp_in smtp allowswitchchannel\ntcp-in',
             'tcp_out smtp logging daemon [127.0.0.1] port %d %s\ntcp-out' % (peer.port, words)],
            [kit.service('SMTP', 'tcp_in', self.port)], localdomains=['far.test', '.far.test'],
            **more), arguments=arguments)
        return router.start()

    def send(self, count, to='u%d@far.test', **more):
        for i in range(count):
            kit.send(self.port, to % i if '%' in to else to, **more)


class Limits(Starting):
    def test_maxjobs(self):
        peer = self.peer(Counting(hold=0.05))
        self.start('maxjobs 2', peer)
        self.send(30)
        wait_until('all', lambda: len(peer.messages) == 30)
        self.assertLessEqual(peer.most, 2)

    def test_without_maxjobs(self):
        """More than one at a time, or the case above says nothing."""
        peer = self.peer(Counting(hold=0.3))
        self.start('', peer)
        self.send(10)
        wait_until('all', lambda: len(peer.messages) == 10)
        self.assertGreater(peer.most, 2)

    def test_threaddepth(self):
        peer = self.peer(Counting(hold=0.1))
        self.start('threaddepth 1000', peer)
        self.send(20)
        wait_until('all', lambda: len(peer.messages) == 20)
        self.assertLessEqual(peer.most, 2)  # at most one on each of two workers

    def test_addrsperfile(self):
        peer = self.peer(Counting())
        self.start('addrsperfile 3', peer)
        kit.send(self.port, ['u%d@far.test' % i for i in range(7)])
        wait_until('all', lambda: len(peer.messages) == 3)
        self.assertEqual(sorted(map(len, peer.recipients)), [1, 3, 3])

    def test_single(self):
        peer = self.peer(Counting())
        self.start('single', peer)
        kit.send(self.port, ['u%d@far.test' % i for i in range(4)])
        wait_until('all', lambda: len(peer.messages) == 4)
        self.assertEqual(sorted(map(len, peer.recipients)), [1, 1, 1, 1])

    def test_single_sys(self):
        peer = self.peer(Counting())
        self.start('single_sys', peer)
        kit.send(self.port, ['a@x.far.test', 'b@y.far.test', 'c@x.far.test'])
        wait_until('all', lambda: len(peer.messages) == 2)
        self.assertEqual(sorted(map(sorted, peer.recipients)),
                         [['a@x.far.test', 'c@x.far.test'], ['b@y.far.test']])

    def test_multiple(self):
        peer = self.peer(Counting())
        self.start('multiple', peer)
        kit.send(self.port, ['a@x.far.test', 'b@y.far.test', 'c@x.far.test'])
        wait_until('all', lambda: len(peer.messages) == 1)
        self.assertEqual(len(peer.recipients[0]), 3)

    def test_after(self):
        peer = self.peer(Counting())
        self.start('after 3', peer)
        began = time.monotonic()
        self.send(1)
        wait_until('it', lambda: peer.messages)
        self.assertGreater(time.monotonic() - began, 2.5)

    def test_periodic_and_priority(self):
        """Urgent mail goes at once, the rest after a period of its backoff; a restart in
        between loses neither the time nor the priority."""
        peer = self.peer(Counting())
        router = self.start('immurgent normalbackoff PT4S nonurgentbackoff PT1H', peer)
        began = time.monotonic()
        for priority in ('urgent', 'normal', 'non-urgent'):
            kit.send(self.port, 'u@far.test',
                     body='Priority: %s\r\nSubject: x\r\n\r\nx\r\n' % priority)
        wait_until('urgent', lambda: peer.messages, 3)
        self.assertIn(b'Priority: urgent', peer.messages[0])
        self.assertEqual(router.stop(), 0)
        router.start()
        wait_until('normal', lambda: len(peer.messages) == 2)
        self.assertIn(b'Priority: normal', peer.messages[1])
        self.assertGreater(time.monotonic() - began, 3.5)
        self.assertEqual(len(peer.messages), 2)

    def test_backoff(self):
        """Attempts come as far apart as the channel says."""
        peer = self.peer(Counting(MAIL=b'450 4.2.0 later\r\n'))
        router = self.start('backoff PT1S PT3S', peer)
        self.send(1)
        wait_until('three', lambda: len(router.events('deliver', outcome='deferred')) >= 3)
        times = [int(e['delay_ms']) for e in router.events('deliver', outcome='deferred')]
        self.assertTrue(800 <= times[1] - times[0] <= 1800, times)
        self.assertTrue(2600 <= times[2] - times[1] <= 4200, times)


class Pools(RouterTest):
    """tcp_a and tcp_b are in one pool, tcp_c is in none that has a limit."""

    def start(self, peer, limit, words='pool OUT'):
        self.port = free_port()
        block = 'tcp_%s smtp daemon [127.0.0.1] port %d %s\ntcp-%s'
        self.site = self.router(kit.site(
            ['%s.test $U%%$D@tcp-%s' % (c, c) for c in 'abc'],
            ['tcp_in smtp allowswitchchannel\ntcp-in']
            + [block % (c, peer.port, words if c in 'ab' else '', c) for c in 'abc'],
            [kit.service('SMTP', 'tcp_in', self.port)], localdomains=[
                c + '.test' for c in 'abc'], files={'job_controller.cnf': self.jobs(limit)}))
        return self.site.start()

    @staticmethod
    def jobs(limit):
        return 'JOB_LIMIT=1000\n[POOL=DEFAULT]\n[POOL=OUT]\nJOB_LIMIT=%d\n' % limit

    def send(self, count, domains='ab'):
        for i in range(count):
            for domain in domains:
                kit.send(self.port, 'u%d@%s.test' % (i, domain))

    def test_limit_of_two_channels(self):
        peer = self.peer(Counting(hold=0.1))
        self.start(peer, 2)
        self.send(10)
        wait_until('all', lambda: len(peer.messages) == 20)
        self.assertEqual(peer.most, 2)

    def test_no_pool_named(self):
        """More than two at a time, or the case above says nothing."""
        peer = self.peer(Counting(hold=0.2))
        self.start(peer, 2, words='')
        self.send(10)
        wait_until('all', lambda: len(peer.messages) == 20)
        self.assertGreater(peer.most, 2)

    def test_reload(self):
        """A new limit holds for what waits already, in both directions."""
        peer = self.peer(Counting(hold=0.2))
        router = self.start(peer, 2)
        self.send(20)
        self.assertLessEqual(peer.most, 2)
        self.assertLess(len(peer.messages), 40)
        router.write('job_controller.cnf', self.jobs(4))
        self.assertEqual(router.tool('reload').returncode, 0)
        wait_until('four', lambda: peer.most == 4)
        router.write('job_controller.cnf', self.jobs(1))
        self.assertEqual(router.tool('reload').returncode, 0)
        wait_until('one', lambda: peer.open <= 1)
        peer.most = 0
        wait_until('all', lambda: len(peer.messages) == 40)
        self.assertEqual(peer.most, 1)

    def test_a_full_pool_is_shared(self):
        """tcp_a has a backlog for one host, on all workers, that fills the pool for seconds;
        tcp_b has its turn long before that is gone."""
        peer = self.peer(Counting(hold=0.1))
        self.start(peer, 1)
        self.send(60, 'a')
        before = len(peer.messages)
        self.send(3, 'bc')
        wait_until('tcp_b', lambda: sum(
            r == ['u%d@b.test' % i] for i in range(3) for r in peer.recipients) == 3)
        self.assertLess(len(peer.messages) - before, 30)


class Few(Scripted):
    """Takes two messages on a connection; then `enough` is the reply to MAIL."""

    def talk(self, connection):
        self.own.count = 0
        if self.connections <= 2:
            time.sleep(1.5)  # the others come in the meantime
        super().talk(connection)

    def answer(self, connection, verb, line=b''):
        if verb == 'MAIL':
            self.own.count += 1
            if self.own.count > 2:
                connection.sendall(self.enough)
                return not self.enough.startswith(b'421')
        return super().answer(connection, verb, line)

    def __init__(self, enough):
        self.enough, self.own = enough, threading.local()
        super().__init__()


class Reuse(Starting):
    def enough(self, reply):
        """What the peer says when it had enough puts no message off."""
        peer = self.peer(Few(reply))
        router = self.start('threaddepth 1000 nocache', peer)
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            for i in range(30):
                wire.send('MAIL FROM:<a@far.test>\r\nRCPT TO:<u%d@far.test>\r\nDATA\r\n' % i)
                for code in (250, 250, 354):
                    self.assertEqual(wire.reply().code, code)
                wire.send('Subject: x\r\n\r\nx\r\n.\r\n')
                self.assertEqual(wire.reply().code, 250)
        wait_until('all', lambda: len(peer.messages) == 30)
        self.assertEqual(router.events('deliver', outcome='deferred'), [])
        self.assertLess(peer.connections, 20)  # some carried two

    def test_452_for_the_third_message(self):
        self.enough(b'452 4.5.3 too many messages\r\n')

    def test_421_for_the_third_message(self):
        self.enough(b'421 4.7.0 too many messages\r\n')

    def test_refused_on_a_new_connection(self):
        """Then it is what it says."""
        peer = self.peer(Scripted(MAIL=b'452 4.3.1 full\r\n'))
        router = self.start('', peer)
        self.send(1)
        router.wait_event('deliver', outcome='deferred')
        self.assertEqual(peer.connections, 1)


class DeadHosts(RouterTest):
    def start(self, words='', arguments=()):
        self.port, self.dead = free_port(), free_port()
        router = self.router(kit.site(
            ['. $U%$H@tcp-out'],
            ['tcp_in smtp\ntcp-in', 'tcp_out smtp logging daemon [127.0.0.1] port %d %s\ntcp-out'
             % (self.dead, words)],
            [kit.service('SMTP', 'tcp_in', self.port)], localdomains=['far.test']),
            arguments=arguments)
        return router.start()

    def deferred(self, router, count):
        return wait_until('%d deferred' % count, lambda: (lambda e: len(e) >= count and e)(
            router.events('deliver', outcome='deferred')))

    def test_not_tried_by_each(self):
        router = self.start()
        kit.send(self.port, 'u@far.test')
        self.deferred(router, 1)
        for _ in range(20):
            kit.send(self.port, 'u@far.test')
        events = self.deferred(router, 21)
        self.assertEqual(len(router.events('attempt')), 1)
        self.assertIn('not tried: cannot connect: connection refused', events[5]['text'])
        self.assertEqual(events[5]['status'], '4.4.1')

    def test_trouble_of_our_own(self):
        """No connection was begun: that says nothing about the host."""
        port = free_port()
        router = self.router(kit.site(
            ['far.test $U%$D@tcp-far', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon',
             'tcp_far smtp nomx interfaceaddress 192.0.2.1 daemon 127.0.0.1 logging port %d\ntcp-far'
             % free_port()],
            [kit.service('SMTP', 'tcp_local', port)], ['far.test'])).start()
        for _ in range(2):
            ident = kit.queue_id(kit.send(port, 'joe@far.test'))
            text = router.wait_event('deliver', id=ident, outcome='deferred')['text']
            self.assertNotIn('not tried', text)

    def test_nocache(self):
        router = self.start('nocache')
        for _ in range(5):
            kit.send(self.port, 'u@far.test')
        self.deferred(router, 5)
        self.assertEqual(len(router.events('attempt')), 5)

    def test_comes_back(self):
        """Once it answers, everything that waits goes out, and nothing is remembered."""
        router = self.start('backoff PT2S')
        for _ in range(10):
            kit.send(self.port, 'u@far.test')
        self.deferred(router, 10)
        peer = self.peer(Scripted(port=self.dead))
        wait_until('all', lambda: len(peer.messages) == 10)
        attempts = len(router.events('attempt'))
        kit.send(self.port, 'u@far.test')
        wait_until('one more', lambda: len(peer.messages) == 11, 3)
        self.assertEqual(len(router.events('attempt')), attempts)

    def test_outlives_a_reload(self):
        router = self.start()
        kit.send(self.port, 'u@far.test')
        self.deferred(router, 1)
        router.hang_up()
        router.wait_event('reload')
        kit.send(self.port, 'u@far.test')
        self.deferred(router, 2)
        self.assertEqual(len(router.events('attempt')), 1)


class Slow(Scripted):
    """Takes the message octet by octet, one a second."""

    def talk(self, connection):
        connection.settimeout(None)
        connection.sendall(self.replies['greeting'])
        buffer = b''
        while True:
            data = connection.recv(1)
            if not data:
                return
            buffer += data
            if buffer.endswith(b'\r\n'):
                verb = buffer.split(b' ')[0].strip().decode('latin-1').upper()
                self.seen.append((verb, False))
                connection.sendall(self.replies.get(verb, b'250 ok\r\n'))
                buffer = b''
                while verb == 'DATA':
                    time.sleep(1)
                    if not connection.recv(1):
                        return


class Tarpit(Scripted):
    """Says its greeting octet by octet, one a second, and never comes to its end."""

    def talk(self, connection):
        connection.sendall(b'220-')
        while True:
            connection.sendall(b'x')
            time.sleep(1)


class Silent:
    """A host that does not even take connections: its queue of them is full."""

    def __init__(self, host, port):
        self.listener = socket.socket()
        self.listener.bind((host, port))
        self.listener.listen(0)
        self.fill = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((host, port))
            self.fill.append(s)

    def stop(self):
        for s in self.fill + [self.listener]:
            s.close()


class Fairness(RouterTest):
    COUNT = 60  # more than the places of one next hop

    def send(self, port, name):
        with kit.Wire(port) as wire:
            wire.ehlo()
            for i in range(self.COUNT):
                wire.mail('u%d@%s.test' % (i, name))

    def test_a_healthy_host_drains(self):
        """Beside hosts that are down, silent, slow and tarpitting, on the same channel and
        with more mail for each: it gets all of its mail, while they hold theirs."""
        port, inside = free_port(), free_port()
        good = self.peer(Scripted(host='127.0.0.11', port=port))
        slow = self.peer(Slow(host='127.0.0.12', port=port))
        self.peer(Tarpit(host='127.0.0.13', port=port))
        self.peer(Silent('127.0.0.14', port))
        names = ['good', 'slow', 'tarpit', 'silent', 'down']
        nsd = self.peer(Nsd({'test': ''.join(
            '%s.test. A 127.0.0.%d\n' % (name, 11 + i) for i, name in enumerate(names))}))
        router = self.router(kit.site(
            ['.test $U%$H$D@tcp-out'],
            ['tcp_in smtp\ntcp-in',
             'tcp_out smtp logging port %d nameservers 127.0.0.1@%d\ntcp-out' % (port, nsd.port)],
            [kit.service('SMTP', 'tcp_in', inside)], localdomains=['.test'])).start()
        clients = [threading.Thread(target=self.send, args=(inside, name))
                   for name in names[1:] + names[:1]]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        wait_until('all for the healthy one', lambda: len(good.messages) == self.COUNT, 30)
        delivered = [e['to'] for e in router.events('deliver', outcome='delivered')]
        self.assertTrue(all(to.endswith('@good.test') for to in delivered))
        self.assertIn(('DATA', False), slow.seen)
        # all the rest is still there, and what is down was not asked by each
        left = router.status()
        self.assertEqual(left['queue_entries'],
                         4 * self.COUNT)
        down = [e for e in router.events('attempt') if e.get('host') == 'down.test']
        self.assertLess(len(down), 60)
