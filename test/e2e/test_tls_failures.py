"""What comes of TLS that fails, line by line of the table in docs/tls.md: each way to fail x what the
channel says, with one host and with a second one that is in order."""
import collections
import socket
import ssl
import struct

import kit
from harness import Router, SharedRouterTest, add_cases, free_port, wait_until
from peers import Nsd
from pki import pki
from stacks import Hop, PythonTls

# what the channel says: whether mail goes in clear when TLS failed
POLICIES = {'may': ('maytlsclient', True), 'fallback': ('maytlsclient tlsfallback', True),
            'nofallback': ('maytlsclient notlsfallback', False),
            'try': ('maytlsclient tlsverifytry', True),
            'verify': ('maytlsclient tlsverifyca', False), 'must': ('musttlsclient', False),
            'mustverify': ('musttlsclient tlsverifyhost', False)}
ALERT = b'\x15\x03\x03\x00\x02\x02\x28'  # handshake_failure
HELLO = b'\x16\x03\x03\x00\x7a\x02\x00'  # a ServerHello that ends here


class Ends:
    """Replies to STARTTLS, and what comes then: after the client's ClientHello, if `waits`, bytes,
    and the end, or a reset."""

    def __init__(self, go_on=b'220 go on\r\n', sends=None, reset=False):
        self.go_on, self.sends, self.reset = go_on, sends, reset

    def take(self, connection):
        if self.sends is not None:
            connection.recv(65536)
            connection.sendall(self.sends)
        if self.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


class Wants:
    """Wants a certificate we do not have: with TLS 1.3 it says so when we think all is well."""

    go_on = b'220 go on\r\n'

    def __init__(self, version):
        self.inner = PythonTls(pki().pair('failing'), version, {})
        self.inner.context.verify_mode = ssl.CERT_REQUIRED
        self.inner.context.load_verify_locations(pki().path('root.pem'))

    def take(self, connection):
        self.inner.take(connection)


# way to fail -> what the hop does, and the status of mail that waits for it
WAYS = {
    'says-454': (lambda: Ends(b'454 4.7.0 not now\r\n'), '4.7.10'),
    'says-554': (lambda: Ends(b'554 5.7.3 not you\r\n'), '4.7.10'),
    'says-421': (lambda: Ends(b'421 4.3.2 going down\r\n'), '4.7.10'),
    'says-250': (lambda: Ends(b'250 fine\r\n'), '4.7.10'),
    'says-rubbish': (lambda: Ends(b'yes, please\r\n'), '4.7.10'),
    'closes': (lambda: Ends(b''), '4.7.5'),
    'resets': (lambda: Ends(b'', reset=True), '4.7.5'),
    'closes-behind-220': (Ends, '4.7.5'),
    'resets-behind-220': (lambda: Ends(sends=b'', reset=True), '4.7.5'),
    'answers-in-clear': (lambda: Ends(sends=b'250 ok\r\n'), '4.7.5'),
    'answers-with-an-alert': (lambda: Ends(sends=ALERT), '4.7.5'),
    'half-a-hello': (lambda: Ends(sends=HELLO), '4.7.5'),
    'half-a-hello-then-reset': (lambda: Ends(sends=HELLO, reset=True), '4.7.5'),
    'injects-replies': (lambda: Ends(b'220 go\r\n250-x\r\n250 STARTTLS\r\n250 ok\r\n'), '4.7.5'),
    'injects-one-byte': (lambda: Ends(b'220 go\r\n\x16'), '4.7.5'),
    'injects-a-line-end': (lambda: Ends(b'220 go\r\n\r\n'), '4.7.5'),
    'wants-a-certificate-12': (lambda: Wants('12'), '4.7.5'),
    'wants-a-certificate-13': (lambda: Wants('13'), '4.7.5'),
}
INJECTS = [w for w in WAYS if w.startswith('injects')]
SECOND = 'second.fails.test'
Cell = collections.namedtuple('Cell', 'policy way hosts')
CELLS = [Cell(p, w, h) for p in POLICIES for w in WAYS for h in ('one', 'two')]


def address_of(cell):
    return '%s@%s.%s.%s.test' % ('-'.join(cell), cell.hosts, cell.way, cell.policy)


class Failures(SharedRouterTest):
    @classmethod
    def make_router(cls):
        pki().leaf('failing', san=','.join('DNS:%s.fails.test' % w for w in WAYS))
        pki().leaf('second', san='DNS:' + SECOND)
        port = free_port()
        zone, cls.hops = SECOND + '. A 127.60.1.1\n', {}
        cls.second = cls.class_peer(Hop('127.60.1.1', port, 'python', pki().pair('second'), '13'))
        for i, (way, (make, _)) in enumerate(WAYS.items(), 1):
            ip = '127.60.0.%d' % i
            cls.hops[way] = cls.class_peer(Hop(ip, port, tls=make()))
            zone += '%s.fails.test. A %s\n' % (way, ip)
            for hosts in ('one', 'two'):
                zone += '%s.%s.fails.test. MX 10 %s.fails.test.\n' % (hosts, way, way)
            zone += 'two.%s.fails.test. MX 20 %s.\n' % (way, SECOND)
        nsd = cls.class_peer(Nsd({'fails.test': zone}))
        cls.port = free_port()
        channels = ['tcp_%s smtp mx %s tlsprofile ours port %d logging nameservers 127.0.0.1@%d\n'
                    'tcp-%s-daemon' % (p, words, port, nsd.port, p)
                    for p, (words, _) in POLICIES.items()]
        return Router(kit.site(
            ['.%s.test $U%%$H.fails.test@tcp-%s-daemon' % (p, p) for p in POLICIES] +
            ['. $U%$H@tcp-daemon'], ['tcp_local smtp\ntcp-daemon'] + channels,
            [kit.service('SMTP', 'tcp_local', cls.port)],
            ['.fails.test'] + ['.%s.test' % p for p in POLICIES],
            files={'tls.cnf': '[ours]\nca_file = %s\n' % pki().path('root.pem')}))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with kit.Wire(cls.port) as wire:
            wire.ehlo()
            for hosts in ('one', 'two'):  # in messages of their own: the log tells them apart
                cells = [address_of(c) for c in CELLS if c.hosts == hosts]
                for i in range(0, len(cells), 90):
                    wire.mail(cells[i:i + 90])
        try:
            wait_until('outcomes', lambda: len(cls.shared.events('deliver')) >= len(CELLS), 60)
        except AssertionError:
            pass  # each cell that misses its own says so
        cls.log = collections.defaultdict(list)
        for e in cls.shared.events():
            user = e.get('to', '').partition('@')[0] if e['event'] == 'deliver' else None
            cls.log[user or (e['event'], e.get('id'), e.get('channel'), e.get('peer'))].append(e)

    def cell(self, *values):
        cell = Cell(*values)
        event = self.log['-'.join(cell)][0]
        to = event['to']
        first = self.hops[cell.way].mail.get(to)
        if POLICIES[cell.policy][1]:
            self.assertEqual((event['outcome'], event['tls.fallback'], first),
                             ('delivered', 'yes', 'clear'), event)
            self.assertEqual(len(self.about('tls_downgrade', event)), 1)
            self.assertTrue(event['tls.summary'].endswith('>clear'))
            return
        self.assertIsNone(first)
        if cell.hosts == 'one':
            self.assertEqual((event['outcome'], event['status'], event['tls.active']),
                             ('deferred', WAYS[cell.way][1], 'no'), event)
            self.assertTrue(event['tls.summary'].endswith('>failed'))
            self.assertTrue(event['tls.error'], event)
        else:
            self.assertEqual((event['outcome'], event['tls.active'], self.second.mail.get(to)),
                             ('delivered', 'yes', 'tls'), event)
            peer = '%s.fails.test[127.60.0.%d]:%s' % (
                cell.way, list(WAYS).index(cell.way) + 1, event['peer'].rpartition(':')[2])
            self.assertEqual([a['status'] for a in self.about('attempt', event, peer)],
                             [WAYS[cell.way][1]])
        self.assertEqual([k for k in self.log if k[0] == 'tls_downgrade' and
                          k[1:3] == (event['id'], event['channel']) and cell.way in k[3]], [])

    def about(self, name, event, peer=None):
        return self.log[name, event['id'], event['channel'], peer or event['peer']]

    def test_injections_are_told(self):
        told = self.shared.events('starttls_response_injection')
        for way in WAYS:
            self.assertEqual(len([t for t in told if t['peer'].startswith(way + '.')]),
                             len(POLICIES) * 2 if way in INJECTS else 0, way)
        self.assertEqual(self.shared.status()['tls_out_injected'], len(told))


add_cases(Failures, 'cell', [('-'.join(c),) + c for c in CELLS], Failures.cell)
