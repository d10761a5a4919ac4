"""Handshakes that never end: sixty seconds are all there is, for next hops and for clients, which
wait here side by side."""
import time

import kit
from harness import Router, SharedRouterTest, free_port
from stacks import Hop

LIMIT_S = 60
HELLO = b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'  # as a ClientHello begins


class Silent:
    """Says 220, reads, and nothing else; drops: an octet of a ServerHello now and then."""

    def __init__(self, drops=False):
        self.drops = drops

    def take(self, connection):
        connection.settimeout(1)
        connection.recv(65536)
        connection.sendall(b'\x16\x03\x03' if self.drops else b'')
        while True:
            try:
                if not connection.recv(65536):
                    return
            except TimeoutError:
                pass
            if self.drops:
                connection.sendall(b'\x10')


class Timeouts(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.port, port = free_port(), free_port()
        cls.hops = {'silent': cls.class_peer(Hop('127.70.0.1', port, tls=Silent())),
                    'drops': cls.class_peer(Hop('127.70.0.2', port, tls=Silent(drops=True)))}
        channels = ['tcp_%s_%s smtp daemon 127.70.0.%d port %d %stlsclient logging\ntcp-%s-%s'
                    % (level, way, i, port, level, level, way)
                    for level in ('may', 'must') for i, way in enumerate(cls.hops, 1)]
        rules = ['%s.%s.test $U%%$D@tcp-%s-%s' % (w, l, l, w) for l in ('may', 'must')
                 for w in cls.hops]
        return Router(kit.site(
            rules + ['. $U%$H@tcp-daemon'],
            ['tcp_local smtp maytlsserver logging\ntcp-daemon'] + channels,
            [kit.service('SMTP', 'tcp_local', cls.port)], ['.may.test', '.must.test']))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ids = {(l, w): kit.queue_id(kit.send(cls.port, 'bob@%s.%s.test' % (w, l)))
                   for l in ('may', 'must') for w in cls.hops}
        cls.clients = {}
        for name in ('silent', 'drops'):
            wire = cls.clients[name] = kit.Wire(cls.port, timeout=LIMIT_S + 20)
            cls.addClassCleanup(wire.close)
            wire.ehlo()
            wire.want('STARTTLS', 220)
            wire.send(HELLO)
        cls.began = time.monotonic()
        while time.monotonic() < cls.began + LIMIT_S - 3:
            time.sleep(2)
            cls.clients['drops'].send(b'\x00')

    def test_next_hop(self):
        for way in self.hops:
            for level, outcome in (('may', 'delivered'), ('must', 'deferred')):
                with self.subTest(way=way, level=level):
                    event = self.shared.wait_event('deliver', id=self.ids[level, way])
                    self.assertEqual(event['outcome'], outcome, event)
                    self.assertGreater(int(event['delay_ms']), (LIMIT_S - 2) * 1000)
                    if level == 'may':
                        self.assertEqual(event['tls.fallback'], 'yes')
                    else:
                        self.assertEqual((event['status'], event['tls.summary']),
                                         ('4.7.5', 'must>failed'))

    def test_client(self):
        for name, wire in self.clients.items():
            with self.subTest(name=name):
                self.assertNotRegex(self.end_of(wire.socket), rb'^\d\d\d')
                self.assertLess(time.monotonic(), self.began + LIMIT_S + 15)
        errors = [e['error'] for e in self.shared.events('tls', side='server')]
        self.assertEqual(len(errors), 2, errors)

    def end_of(self, connection):
        try:
            return connection.recv(65536)
        except ConnectionError:
            return b''
