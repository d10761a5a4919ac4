"""Certificates that are odd or none at all, of next hops and of clients: they cost their own
session, nothing else: no crash, no wait, no line of the log that a name in them wrote, and mail
goes on."""
import collections
import re
import time

import kit
import odd_certificates as odd
from harness import Router, SharedRouterTest, add_cases, free_port, wait_until
from peers import Nsd
from pki import pki
from stacks import PYTHON_VERSION, Hop

BOTH = 'serverAuth,clientAuth'
FORGED = b'x\r\nts=2026-01-01T00:00:00.000000+00:00 event=deliver outcome=delivered to=forged'
# odd, but readable: verified by tlsverifyhost (None), or the reason why not
ODD = {
    'many-names': None,
    'many-other-names': 'the certificate is not for ',
    'nul-in-name': 'the certificate is not for ',
    'critical-extension': 'unhandled critical extension',
    'nul-in-subject': None, 'forged-line-in-subject': None, 'long-subject': None,
    'no-subject': None, 'latin-subject': None, 'far-dates': None,
    'dates-are-words': "format error in certificate's notBefore field",
    'no-dates': "format error in certificate's notBefore field",
    'date-in-year-0': None, 'backwards': 'certificate is not yet valid',
    'deep-chain': 'certificate chain too long',
    'issuer-loop': 'unable to get local issuer certificate',
    'long-chain': None,
}
UNREADABLE = ('truncated', 'one-byte', 'empty-entry', 'zeros', 'random', 'longer-than-it-is',
              'more-behind', 'nested', 'negative-sizes', 'unknown-key', 'large-key', 'no-point',
              'no-fields', 'huge-chain', 'huge-serial', 'list-too-long', 'list-too-short',
              'entry-too-long')
PLACES = [n + v for n in ODD for v in ('.v12', '.v13')] + [n + '.raw' for n in UNREADABLE]
Cell = collections.namedtuple('Cell', 'level verify place')
VERIFY = {'no': 'notlsverify', 'host': 'tlsverifyhost', 'fp': 'tlsverifyfp'}

CELLS = [Cell(l, v, p) for l in ('may', 'must') for v in VERIFY for p in PLACES]


def outcome(cell):
    """As test_tls_matrix_client has it."""
    certificate, _, where = cell.place.partition('.')
    if where != 'raw' and (cell.verify == 'no' or
                           (cell.verify == 'host' and ODD[certificate] is None)):
        return 'tls'
    return 'fallback' if cell.verify == 'no' and cell.level == 'may' else 'deferred'


def make_odd():
    """All of ODD: NAME.pem for the hosts NAME.v12.odd.test and .v13, for both roles."""
    ours = pki()
    names = ','.join('DNS:n%d.odd.test' % i for i in range(1000))
    host = lambda name: 'DNS:%s.v12.odd.test,DNS:%s.v13.odd.test' % (name, name)
    ours.leaf('many-names', san=names + ',' + host('many-names'), usage=BOTH)
    ours.leaf('many-other-names', san=names, usage=BOTH)
    ours.leaf('critical-extension', san=host('critical-extension') +
              '\n1.2.3.4.5=critical,DER:0500', usage=BOTH)
    nul = odd.der(0x30, *[odd.der(0x82, b'nul-in-name.v1%d.odd.test\0.evil.test' % v)
                          for v in (2, 3)])
    ours.leaf('nul-in-name', san='DER:' + nul.hex(), usage=BOTH)
    for name, fields in {
        'nul-in-subject': {odd.SUBJECT: odd.common_name(b'good.test\0.evil.test')},
        'forged-line-in-subject': {odd.SUBJECT: odd.common_name(FORGED)},
        'long-subject': {odd.SUBJECT: odd.common_name(b'long' * 10000)},
        'no-subject': {odd.SUBJECT: odd.der(0x30)},
        'latin-subject': {odd.SUBJECT: odd.common_name(b'm\xfcller', tag=0x14)},
        'far-dates': {odd.VALIDITY: odd.validity(b'19500101000000Z', b'99991231235959Z')},
        'dates-are-words': {odd.VALIDITY: odd.validity(b'yesterday', b'tomorrow', tag=0x17)},
        'no-dates': {odd.VALIDITY: odd.validity(b'', b'')},
        'date-in-year-0': {odd.VALIDITY: odd.validity(b'00000101000000Z', b'99991231235959Z')},
        'backwards': {odd.VALIDITY: odd.validity(b'99991231235959Z', b'19500101000000Z')},
    }.items():
        ours.leaf('base-' + name, san=host(name), usage=BOTH)
        odd.odd_leaf(ours, name, 'base-' + name, fields)
    odd.deep_chain(ours, 'deep-chain', host('deep-chain'), 14)
    odd.issuer_loop(ours, 'issuer-loop', host('issuer-loop'))
    ours.leaf('long-chain', san=host('long-chain'), usage=BOTH)
    ours.write('long-chain.pem', ours.read('long-chain.pem') + ours.read('other.pem') * 100)


class RawTls:
    """A stack of stacks.Hop: shows what is no certificate."""

    def __init__(self, certificate):
        self.certificate, self.answers = certificate, []

    def take(self, connection):
        self.answers.append(odd.raw_server(connection, self.certificate))


class Malformed(SharedRouterTest):
    @classmethod
    def make_router(cls):
        make_odd()
        ours, port = pki(), free_port()
        cls.bytes = odd.unreadable(ours, 'ecdsa')
        assert sorted(cls.bytes) == sorted(UNREADABLE)
        cls.hops, zone = {}, ''
        for i, name in enumerate(PLACES, 1):
            certificate, _, where = name.partition('.')
            ip, raw = '127.30.0.%d' % i, where == 'raw'
            hop = Hop(ip, port, tls=RawTls(cls.bytes[certificate])) if raw else Hop(
                ip, port, 'python', ours.pair(certificate), where[1:])
            cls.hops[name] = cls.class_peer(hop)
            zone += '%s.odd.test. A %s\n' % (name, ip)
        return cls.make_site(port, zone, ours)

    @classmethod
    def make_site(cls, port, zone, ours):
        nsd = cls.class_peer(Nsd({'odd.test': zone}))
        rules, channels = [], []
        for level in ('may', 'must'):
            for verify, word in VERIFY.items():
                name = '%s-%s' % (level, verify)
                channels.append('tcp_%s smtp mx %stlsclient %s tlsprofile ours port %d logging '
                                'nameservers 127.0.0.1@%d\ntcp-%s-daemon'
                                % (name.replace('-', '_'), level, word, port, nsd.port, name))
                rules.append('.%s.test $U%%$H.odd.test@tcp-%s-daemon' % (name, name))
        channels.append('tcp_peer smtp maytlsserver musttlspeer logging\ntcp-peer-daemon')
        cls.port, cls.peer_port = free_port(), free_port()
        return Router(kit.site(
            rules + ['. $U%$H@tcp-daemon'], ['tcp_local smtp\ntcp-daemon'] + channels,
            [kit.service('SMTP', 'tcp_local', cls.port),
             kit.service('PEER', 'tcp_peer', cls.peer_port)],
            ['.odd.test'] + ['.%s-%s.test' % (l, v) for l in ('may', 'must') for v in VERIFY],
            files={'tls.cnf': '[*]\nserver_cert = ../tls/server-pub.pem\n'
                   'server_key = ../tls/server-priv.pem\nclient_ca_file = %s\n'
                   '[ours]\nca_file = %s\nfingerprint = sha256:%s\n'
                   % (ours.path('root.pem'), ours.path('root.pem'), 'ab' * 32)}))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.began = time.monotonic()
        with kit.Wire(cls.port) as wire:
            wire.ehlo()
            for i in range(0, len(CELLS), 90):
                wire.mail(['%s-%s@%s.%s-%s.test' % (c.level, c.verify, c.place, c.level, c.verify)
                           for c in CELLS[i:i + 90]])
        try:
            wait_until('outcomes', lambda: len(re.findall(
                r'^ts=\S+ event=deliver ', cls.shared.log_text(), re.M)) >= len(CELLS), 60)
        except AssertionError:
            pass  # each cell that misses its own says so
        cls.took = time.monotonic() - cls.began
        cls.outcomes = {}
        for e in cls.shared.events('deliver'):
            cls.outcomes.setdefault(e['to'], e)

    def next_hop(self, *values):
        cell = Cell(*values)
        to = '%s-%s@%s.odd.test' % (cell.level, cell.verify, cell.place)
        event, arrived = self.outcomes.get(to), self.hops[cell.place].mail.get(to)
        self.assertIsNotNone(event, 'no outcome')
        wanted = outcome(cell)
        if wanted == 'deferred':
            self.assertEqual((event['outcome'], event['status'], arrived, event['tls.active']),
                             ('deferred', '4.7.5', None, 'no'), event)
            reason = ODD.get(cell.place.split('.')[0]) if cell.verify == 'host' else ''
            self.assertIn(reason or '', event['tls.error'])
        else:
            self.assertEqual((event['outcome'], arrived),
                             ('delivered', 'tls' if wanted == 'tls' else 'clear'), event)
            self.assertEqual(event.get('tls.verified', 'none'),
                             'host' if cell.verify == 'host' else 'none')

    def test_next_hops_cost_no_time(self):
        """Those that are content with the certificate, and get no more, wait a second."""
        self.assertLess(self.took, 30)

    def test_no_line_is_forged(self):
        for event in self.shared.events():
            self.assertNotEqual(event.get('to'), 'forged')
        subjects = {e.get('tls.peer.subject', '') for e in self.outcomes.values()}
        self.assertTrue([s for s in subjects if s.startswith('CN=x') and 'forged' in s], subjects)
        self.assertTrue([s for s in subjects if 'good.test' in s and 'evil.test' in s], subjects)

    def test_what_is_refused_is_answered_with_an_alert(self):
        """Never with words in clear."""
        for place, hop in self.hops.items():
            if isinstance(hop.tls, RawTls):
                with self.subTest(place=place):
                    self.assertEqual(len(hop.tls.answers), len(VERIFY) * 2)
                    for answer in hop.tls.answers:
                        self.assertIn(answer[:1], (b'\x15', b''))

    # --- clients ---

    def client(self, name, version):
        reason = ODD[name]
        context = kit.client_context()
        context.minimum_version = context.maximum_version = PYTHON_VERSION[version]
        context.load_cert_chain(*pki().pair(name))
        with kit.Wire(self.peer_port) as wire:
            wire.ehlo()
            wire.starttls(context)
            wire.ehlo('%s.v%s.client.test' % (name, version))
            reply = wire.say('MAIL FROM:<%s@v%s.test>' % (name, version))
        # names are not looked at
        good = reason is None or 'is not for' in reason
        self.assertEqual(reply.code, 250 if good else 550, reply)

    def raw_client(self, name):
        before = len(self.failed())
        with kit.Wire(self.peer_port) as wire:
            wire.ehlo()
            wire.want('STARTTLS', 220)
            answer = odd.raw_client(wire.socket, self.bytes[name])
        # an alert, or nothing where only the end came next
        self.assertIn(answer[:1], (b'\x15', b''))
        failed = wait_until('a failed handshake in the log',
                            lambda: len(self.failed()) > before and self.failed())
        self.assertTrue(failed[-1]['error'])

    def failed(self):
        return [e for e in self.shared.events('tls', channel='tcp_peer') if 'error' in e]

    def test_zz_all_is_well(self):
        """The last one: no session is left, and a certificate that is right is taken."""
        context = kit.client_context()
        context.load_cert_chain(*pki().pair('client'))
        word = kit.token()
        with kit.Wire(self.peer_port) as wire:
            wire.ehlo()
            wire.starttls(context)
            wire.ehlo()
            wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % word)
        self.shared.find_mail(word.encode())
        self.shared.wait_status(sessions_open=0)


add_cases(Malformed, 'next_hop', [('-'.join(c),) + c for c in CELLS], Malformed.next_hop)
add_cases(Malformed, 'client', [('%s %s' % (n, v), n, v) for n in ODD for v in ('12', '13')],
          Malformed.client)
add_cases(Malformed, 'raw_client', [(n, n) for n in UNREADABLE], Malformed.raw_client)
