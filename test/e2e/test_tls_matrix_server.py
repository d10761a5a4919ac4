"""All that clients can meet: what the channel says of TLS and of their certificates x what they
show x the protocol x whose TLS they have. All sessions are held first; then each cell looks at what
came of its own: the replies, the Received field of what arrived, and the log."""
import collections
import re
from concurrent.futures import ThreadPoolExecutor

import kit
from harness import Router, SharedRouterTest, add_cases, free_port, wait_until
from pki import pki
from stacks import STACKS, VERSIONS, ClientWire

# implicit: by TLS_PORT
LEVELS = {'may': 'maytlsserver', 'must': 'musttlsserver', 'implicit': 'notlsserver',
          'words': 'notlsserver maytls'}
# what the channel says of certificates, and what MAIL is answered without a verified one
PEER = {'none': ('notlspeer', 250, ''), 'ask': ('maytlspeer', 250, ''),
        'reject': ('musttlspeer', 550, '5.7.1'),
        'tempfail': ('musttlspeer tlsprofile temp', 454, '4.7.0'),
        'note': ('musttlspeer tlsprofile note', 250, '')}
# the name in it does not matter, only whose it is
NAMES = ('client-cn-only', 'client-wildcard', 'client-idn', 'client-ip')
GOOD = ('client', 'client-rsa') + NAMES
ERRORS = {
    'none': 'no certificate was shown', 'client-expired': 'certificate has expired',
    'client-not-yet': 'certificate is not yet valid',
    'client-other': 'unable to get local issuer certificate',
    'client-no-chain': 'unable to get local issuer certificate',
    'client-usage': 'unsuitable certificate purpose', 'self': 'self-signed certificate',
}
NAME = 'router.test'
TLS_CNF = """\
[*]
server_cert = %s
server_key = %s
server_cert = %s
server_key = %s
client_ca_file = %s
[temp]
peer_fail = tempfail
[note]
peer_fail = note
"""

Cell = collections.namedtuple('Cell', 'level peer shown version stack')
CELLS = [Cell(l, p, c, v, s) for l in LEVELS for p in PEER for s in STACKS for v in VERSIONS
         for c in GOOD + tuple(ERRORS) if (v in ('12', '13') or c == 'client') and
         # what has no other answer for the other stacks, or words, is not asked again
         (c not in NAMES or s == 'python') and (l != 'words' or c in ('client', 'none'))]
# Replies: of the session until one is no 250 (354 for DATA); error: there was no handshake.
Result = collections.namedtuple('Result', 'replies error')


def is_old(cell):
    return cell.version in ('10', '11')


def channel_of(cell):
    return 'tcp_%s_%s' % (cell.level, cell.peer)


def sender_of(cell):
    return '%s@%s.test' % (cell.stack + cell.version, cell.shown)


def token_of(cell):
    return 'token-' + '-'.join(cell) + '-end'


class Matrix(SharedRouterTest):
    @classmethod
    def make_router(cls):
        ours = pki()
        for name, san in (('cn-only', None), ('wildcard', 'DNS:*.partner.test'),
                          ('idn', 'DNS:xn--mller-kva.test'), ('ip', 'IP:127.0.0.1')):
            ours.leaf('client-' + name, usage='clientAuth', cn='client', san=san)
        for key in ('ec', 'rsa'):
            ours.leaf('router-' + key, key=key, san='DNS:' + NAME)
        cls.ports, channels, services = {}, [], []
        for level, words in LEVELS.items():
            for peer, (asked, _, _) in PEER.items():
                name = 'tcp_%s_%s' % (level, peer)
                port = cls.ports[name] = free_port()
                channels.append('%s smtp %s %s logging\n%s-daemon'
                                % (name, words, asked, name.replace('_', '-')))
                services.append(kit.service(name, name, **{
                    'tls_port' if level == 'implicit' else 'port': port}))
        cls.ports['no'] = free_port()
        channels.append('tcp_no smtp notlsserver logging\ntcp-no-daemon')
        services.append(kit.service('no', 'tcp_no', cls.ports['no']))
        router = Router(kit.site(['. $U%$H@tcp-no-daemon'], channels, services, files={
            'tls.cnf': TLS_CNF % (*['../tls/router-%s.%s' % (k, e) for k in ('ec', 'rsa')
                                    for e in ('pem', 'key')], ours.path('root.pem'))}))
        for key in ('ec', 'rsa'):
            for end in ('pem', 'key'):
                path = router.path('tls', 'router-%s.%s' % (key, end))
                with open(path, 'w', encoding='ascii') as file:
                    file.write(ours.read('router-%s.%s' % (key, end)))
        router.give_to_user()
        return router

    # --- the sessions ---

    @classmethod
    def session(cls, cell):
        pair = None if cell.shown == 'none' else pki().pair(cell.shown)
        replies = []
        try:
            with ClientWire(cell.stack, cls.ports[channel_of(cell)], cell.version, pair,
                            pki().path('root.pem'), NAME, cell.level == 'implicit') as wire:
                wire.ehlo(cell.stack + '.test')
                for command in ('MAIL FROM:<%s>' % sender_of(cell), 'RCPT TO:<ann@router.test>',
                                'DATA', 'Subject: %s\r\n\r\nx\r\n.' % token_of(cell)):
                    replies.append(wire.say(command))
                    if replies[-1].code not in (250, 354):
                        break
                wire.want('QUIT', 221)
        except (kit.Closed, OSError) as error:
            return Result(replies, repr(error))
        return Result(replies, None)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with ThreadPoolExecutor(4) as pool:
            cls.results = dict(zip(CELLS, pool.map(cls.session, CELLS)))
        cls.shared.wait_mails(sum(accepted(c) for c in CELLS))
        cls.mails = {re.search(rb'token-\S*-end', m)[0].decode(): m for m in cls.shared.mails()}
        cls.log = collections.defaultdict(list)
        for e in cls.shared.events('tls'):
            cls.log[e['channel'], e.get('version'), e.get('spki')].append(e)

    # --- looking ---

    def cell(self, *values):
        cell = Cell(*values)
        result = self.results[cell]
        if is_old(cell):
            self.assertEqual(result.replies, [])
            self.assertTrue(result.error)
            return
        self.assertIsNone(result.error)
        events = self.tls_events(cell)
        for event in events:
            self.check_log(cell, event)
        if accepted(cell):
            self.assertEqual([r.code for r in result.replies], [250, 250, 354, 250])
            self.check_received(cell, [e['cipher'] for e in events])
        else:
            _, code, status = PEER[cell.peer]
            self.assertEqual([r.code for r in result.replies], [code])
            self.assertEqual(result.replies[0].text.split()[0], status)
            self.assertNotIn(token_of(cell), self.mails)

    def tls_events(self, cell):
        """Of the sessions that look the same in the log: only the stack is another one, and the
        certificate where none is asked for."""
        events = self.log[channel_of(cell), 'TLSv1.' + cell.version[1], self.spki(cell)]
        like = [c for c in CELLS if c[:2] == cell[:2] and c.version == cell.version and
                self.spki(c) == self.spki(cell)]
        self.assertEqual(len(events), len(like), events)
        return events

    def check_log(self, cell, event):
        self.assertEqual((event['side'], event['channel'], event['version'], event['sni']),
                         ('server', channel_of(cell), 'TLSv1.' + cell.version[1], NAME))
        self.assertTrue(event['cipher'])
        self.assertNotIn('error', event)
        if cell.peer == 'none':
            self.assertEqual([k for k in event if k in ('verified', 'unverified', 'subject')], [])
            return
        good = cell.shown in GOOD
        self.assertEqual(event['verified'], 'ca' if good else 'no')
        if good:
            self.assertNotIn('unverified', event)
        else:
            self.assertIn(ERRORS[cell.shown], event['unverified'])
        if cell.shown != 'none':
            self.assertTrue(event['subject'].startswith('CN='), event)
            self.assertTrue(event['issuer'].startswith('CN='), event)

    def check_received(self, cell, ciphers):
        mail = self.mails[token_of(cell)].split(b'\n\n')[0].decode()
        received = re.sub(r'\s+', ' ', mail[mail.index('Received:'):])
        self.assertIn('from %s.test' % cell.stack, received)
        self.assertIn('with ESMTPS', received)
        self.assertIn('TLSv1.' + cell.version[1], received)
        self.assertTrue([c for c in ciphers if c in received], received)

    spkis = {'none': None}

    def spki(self, cell):
        """As the log has it; None where it has none."""
        if cell.shown not in self.spkis:
            self.spkis[cell.shown] = 'sha256:' + pki().spki(cell.shown)
        return None if cell.peer == 'none' else self.spkis[cell.shown]

    def old_protocol(self, level, peer):
        """Each of them is a handshake that failed in the log, and nothing else."""
        channel = 'tcp_%s_%s' % (level, peer)
        wanted = len([c for c in CELLS if is_old(c) and channel_of(c) == channel])
        errors = wait_until('failed handshakes of ' + channel, lambda: (lambda f: len(
            f) == wanted and f)([e for e in self.shared.events('tls', channel=channel)
                                 if 'error' in e]))
        for e in errors:
            self.assertTrue('unsupported protocol' in e['error'] or
                            'handshake' in e['error'], e)
            self.assertEqual(self.shared.wait_event(
                'disconnect', session=e['session'])['reason'], 'tls-failed')

    def test_not_offered(self):
        """notlsserver: what each stack does without STARTTLS is to go away."""
        for stack in STACKS:
            with self.subTest(stack=stack), self.assertRaises((kit.Closed, AssertionError)):
                ClientWire(stack, self.ports['no'], '13', None, pki().path('root.pem'),
                           NAME).ehlo()
        self.assertEqual(self.shared.events('tls', channel='tcp_no'), [])


def accepted(cell):
    return not is_old(cell) and (cell.shown in GOOD or PEER[cell.peer][1] == 250)


add_cases(Matrix, 'cell', [('-'.join(c),) + c for c in CELLS], Matrix.cell)
add_cases(Matrix, 'old_protocol', [('%s %s' % (l, p), l, p) for l in LEVELS for p in PEER],
          Matrix.old_protocol)
