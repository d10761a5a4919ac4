"""All that sending can meet: what the channel says of TLS and of verification x the certificate of
the next hop x its protocol x whose TLS it has. All mail is sent first, each recipient is one cell;
then each cell looks at what came of it: where it arrived, over what, and what the log says."""
import collections
import smtplib

import kit
from harness import Router, SharedRouterTest, add_cases, free_port, wait_until
from peers import Nsd
from pki import pki
from stacks import ANY_CIPHER, PYTHON_VERSION, STACKS, VERSIONS, Hop

LEVELS = ('no', 'may', 'must')
# the words for both directions, and that of several the last one counts
WORDS = {'notls': 'no', 'maytls': 'may', 'musttls': 'must', 'maytls notlsclient': 'no',
         'notlsclient maytls': 'may', 'musttls maytlsclient': 'may', 'notls musttlsclient': 'must',
         'maytlsclient musttlsserver': 'may', 'musttlsserver': 'no'}
VERIFY = {'no': 'notlsverify', 'try': 'tlsverifytry', 'ca': 'tlsverifyca',
          'host': 'tlsverifyhost', 'fp': 'tlsverifyfp'}
STRICT = ('ca', 'host', 'fp')
IDN = 'xn--mller-kva'
# How each is made; %s is the domain of the host, which is CERTIFICATE.%s. That of 'ip' is an
# address literal.
CERTIFICATES = {
    'ecdsa': dict(), 'rsa': dict(key='rsa'), IDN: dict(), 'ip': dict(san='IP'),
    'wildcard': dict(san='DNS:*.%s'), 'wildcard-deep': dict(san='DNS:*.partner.test'),
    'wildcard-part': dict(san='DNS:w*.%s'), 'wrong-name': dict(san='DNS:elsewhere.%s'),
    'cn-only': dict(san=None), 'expired': dict(days=(-30, -1)), 'not-yet': dict(days=(1, 30)),
    'wrong-usage': dict(usage='clientAuth'), 'other-ca': dict(issuer='other'),
    'no-chain': dict(chain=False), 'self': dict(issuer='self'),
}
# the key of one, the certificate of the other
LISTED = ('rsa', 'expired')
ERRORS = {
    'expired': 'certificate has expired', 'not-yet': 'certificate is not yet valid',
    'wrong-usage': 'unsuitable certificate purpose',
    'other-ca': 'unable to get local issuer certificate',
    'no-chain': 'unable to get local issuer certificate', 'self': 'self-signed certificate',
}
OLD_PROTOCOL = {'python': 'alert protocol version', 'openssl': 'alert protocol version',
                'gnutls': 'alert handshake failure'}
WRONG_NAME = ('wildcard-deep', 'wildcard-part', 'wrong-name', 'cn-only')
# where mail goes when the first host will not do
SECOND = 'second.partner.test'

# level: of LEVELS, or of WORDS. hop: certificate, version, stack; or PLAIN, without STARTTLS
Cell = collections.namedtuple('Cell', 'level verify hop')
PLAIN = ('plain', '', '')
HOPS = [(c, v, s) for s in STACKS for v in VERSIONS for c in CERTIFICATES
        # a protocol that is refused never comes to the certificate
        if v in ('12', '13') or c == 'ecdsa']


def level_of(cell):
    return WORDS.get(cell.level, cell.level)


def proven(cell):
    """What the log shall say of the certificate."""
    certificate = cell.hop[0]
    if cell.verify == 'fp':
        return 'fp' if certificate in LISTED else 'none'
    if cell.verify == 'no' or certificate in ERRORS:
        return 'none'
    if cell.verify == 'ca':
        return 'ca'
    return 'none' if certificate in WRONG_NAME else 'host'


def outcome(cell):
    """-> clear; tls; fallback: in clear after TLS failed; deferred; missed: not offered."""
    level, strict = level_of(cell), cell.verify in STRICT
    if level == 'no':
        return 'clear'
    if cell.hop == PLAIN:
        return 'missed' if level == 'must' else 'clear'
    if cell.hop[1] in ('12', '13') and not (strict and proven(cell) == 'none'):
        return 'tls'
    return 'fallback' if level == 'may' and not strict else 'deferred'


CELLS = [Cell(l, v, h) for l in LEVELS for v in VERIFY for h in HOPS + [PLAIN]]
CELLS += [Cell(w, 'no', h) for w in WORDS for h in (
    PLAIN, ('ecdsa', '13', 'python'), ('ecdsa', '11', 'python'))]
# what one host could not have, the next one gets
TWO = [c for c in CELLS if outcome(c) in ('deferred', 'missed') and c.level in LEVELS and
       c.hop[2] in ('python', '') and c.hop[0] != 'ip']


def channel_of(cell):
    level = 'words%d' % list(WORDS).index(cell.level) if cell.level in WORDS else cell.level
    return '%s-%s' % (level, cell.verify)


def host_of(hop):
    return '%s.%s%s.partner.test' % (hop[0], hop[2], hop[1]) if hop[2] else 'plain.partner.test'


class Matrix(SharedRouterTest):
    """One router, a channel for each level and kind of verification, a host for each hop."""

    # --- making it ---

    @classmethod
    def make_certificate(cls, name, key='ec', san='DNS:{}.%s', **how):
        places = [host_of(h).partition('.')[2] for h in HOPS if h[0] == name]
        if san == 'IP':
            san = ','.join('IP:' + ip for h, ip in cls.addresses.items() if h[0] == name)
        elif san:
            # an extension names each once
            san = ','.join(sorted({san.format(name).replace('%s', place) for place in places}))
        if how.get('issuer') == 'self':
            pki().self_signed('matrix-' + name, san=san)
        else:
            pki().leaf('matrix-' + name, key=key, san=san, **how)
        return pki().pair('matrix-' + name)

    @classmethod
    def make_hops(cls):
        """The port of all of them."""
        cls.addresses = {h: '127.20.%d.%d' % divmod(i, 200) for i, h in enumerate(HOPS, 1)}
        pairs = {name: cls.make_certificate(name, **how) for name, how in CERTIFICATES.items()}
        port = free_port()
        cls.hops = {h: cls.class_peer(Hop(ip, port, h[2], pairs[h[0]], h[1]))
                    for h, ip in cls.addresses.items()}
        cls.addresses[PLAIN] = '127.20.9.1'
        cls.hops[PLAIN] = cls.class_peer(Hop(cls.addresses[PLAIN], port))
        pki().leaf('second', key='rsa', san='DNS:' + SECOND)
        cls.second = cls.class_peer(Hop('127.20.9.2', port, 'python', pki().pair('second'), '13'))
        for hop in cls.hops.values():
            hop.wait()
        return port

    @classmethod
    def make_zone(cls):
        zone = SECOND + '. A 127.20.9.2\n'
        for hop, ip in cls.addresses.items():
            name = host_of(hop)
            zone += '%s. A %s\ntwo.%s. MX 10 %s.\ntwo.%s. MX 20 %s.\n' % (
                name, ip, name, name, name, SECOND)
        return zone

    @classmethod
    def make_router(cls):
        ours, port = pki(), cls.make_hops()
        nsd = cls.class_peer(Nsd({'partner.test': cls.make_zone()}))
        rules, channels = [], []
        for name, level, verify in sorted({(channel_of(c), c.level, c.verify) for c in CELLS}):
            words = level if level in WORDS else level + 'tlsclient'
            # one client at a time is all that openssl s_server serves: none may stay
            channels.append('tcp_%s smtp mx nocache %s %s tlsprofile ours port %d logging nameservers '
                            '127.0.0.1@%d\ntcp-%s-daemon'
                            % (name.replace('-', '_'), words, VERIFY[verify], port, nsd.port, name))
            rules.append('.%s.test $U%%$H.partner.test@tcp-%s-daemon' % (name, name))
            rules += ['ip.%s%s.%s.test $U%%[%s]@tcp-%s-daemon' % (h[2], h[1], name, ip, name)
                      for h, ip in cls.addresses.items() if h[0] == 'ip']
        cls.port = free_port()
        tls = '[ours]\nca_file = %s\n' % ours.path('root.pem') + ''.join(
            'fingerprint = sha256:%s\n' % f for f in (
                ours.spki('matrix-rsa'), ours.fingerprint('matrix-expired'), ours.spki('second')))
        return Router(kit.site(rules + ['. $U%$H@tcp-daemon'],
                               ['tcp_local smtp\ntcp-daemon'] + channels,
                               [kit.service('SMTP', 'tcp_local', cls.port)],
                               ['.partner.test'] + ['.%s.test' % channel_of(c) for c in CELLS] +
                               ['[%s]' % ip for ip in cls.addresses.values()],
                               files={'tls.cnf': tls}))

    @classmethod
    def address(cls, cell, two=False):
        """(as sent to, as rewritten): the local part names the channel, the domain the hop."""
        name, host = channel_of(cell), ('two.' if two else '') + host_of(cell.hop)
        sent = '%s@%s.%s.test' % (name, host.removesuffix('.partner.test'), name)
        return sent, '%s@%s' % (name, '[%s]' % cls.addresses[cell.hop] if cell.hop[0] == 'ip'
                                else host)

    @classmethod
    def send(cls, cells, two=False):
        with kit.Wire(cls.port) as wire:
            wire.ehlo()
            for i in range(0, len(cells), 90):
                wire.mail([cls.address(c, two)[0] for c in cells[i:i + 90]])

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.send(CELLS)
        cls.send(TWO, two=True)
        try:
            wait_until('an outcome of each cell', lambda: cls.shared.log_text().count(
                ' event=deliver ') >= len(CELLS) + len(TWO), 60)
        except AssertionError:
            pass  # each cell that misses its own says so
        cls.log = collections.defaultdict(list)
        for e in cls.shared.events():
            if e['event'] == 'deliver':
                cls.log[e['to']].append(e)
            else:
                cls.log[e['event'], e.get('id'), e.get('channel'), e.get('peer')].append(e)

    # --- looking ---

    def outcome(self, cell, two=False):
        to = self.address(cell, two)[1]
        self.assertTrue(self.log[to], 'no outcome for ' + to)
        return self.log[to][0], self.hops[cell.hop].mail.get(to)

    def others(self, name, event, peer=None):
        """The events of that name about the same message, channel and host."""
        return self.log[name, event['id'], event['channel'], peer or event['peer']]

    def check_policy(self, cell, event, got):
        level, verify = level_of(cell), cell.verify
        said = channel_of(cell) != 'words8-no'  # nothing there is about sending
        self.assertEqual(
            (event['tls.policy.level'], event['tls.policy.verify'], event['tls.policy.source'],
             event['tls.summary']),
            (level, verify, 'keyword' if said else 'built-in',
             level + ('' if verify == 'no' else '+' + verify) + '>' + got), event)

    def cell(self, *values):
        cell = Cell(*values)
        event, arrived = self.outcome(cell)
        getattr(self, 'check_' + outcome(cell))(cell, event, arrived)

    def check_clear(self, cell, event, arrived):
        self.assertEqual((event['outcome'], event['status'], arrived),
                         ('delivered', '2.0.0', 'clear'), event)
        self.check_policy(cell, event, 'clear')
        self.assertEqual(event['tls.active'], 'no')
        self.assertEqual([k for k in event if k in (
            'tls.version', 'tls.cipher', 'tls.spki', 'tls.error', 'tls.fallback')], [])
        self.assertEqual(self.others('tls', event) + self.others('tls_downgrade', event), [])

    def check_tls(self, cell, event, arrived):
        if cell.hop[2] == 'gnutls':  # its EHLO is an echo; that is no reason to go in clear
            self.assertEqual((event['outcome'], arrived), ('deferred', None), event)
            self.assertEqual(event['status'][:2], '4.', event)
        else:
            self.assertEqual((event['outcome'], event['status'], arrived),
                             ('delivered', '2.0.0', 'tls'), event)
        proof = proven(cell)
        self.check_policy(cell, event, 'tls' if proof == 'none' else proof)
        self.assertEqual((event['tls.active'], event['tls.verified'], event['tls.version']),
                         ('yes', proof, 'TLSv1.' + cell.hop[1][1]), event)
        self.check_session(cell, event)
        self.assertEqual(self.others('tls_downgrade', event), [])
        told = self.others('tls', event)
        self.assertEqual([(t['side'], t['version'], t['cipher'], t.get('error')) for t in told],
                         [('client', event['tls.version'], event['tls.cipher'], None)])
        if cell.verify == 'try' and proof == 'none':
            self.assertIn(self.reason(cell, event), event['tls.error'])
            self.assertEqual(told[0]['unverified'], event['tls.error'])
        else:
            self.assertNotIn('tls.error', event)

    def check_session(self, cell, event):
        """Who was there, and how."""
        self.assertEqual(event['tls.spki'], 'sha256:' + self.spki(cell.hop[0]))
        self.assertEqual(event['tls.peer.subject'], 'CN=mx.partner.test')
        self.assertTrue(event['tls.cipher'] and event['tls.group'], event)
        self.assertGreaterEqual(int(event['tls.bits']), 128)
        self.assertEqual(event.get('tls.sni'), None if cell.hop[0] == 'ip' else event['host'])

    spkis = {}

    def spki(self, certificate):
        if certificate not in self.spkis:
            self.spkis[certificate] = pki().spki('matrix-' + certificate)
        return self.spkis[certificate]

    def check_fallback(self, cell, event, arrived):
        self.assertEqual((event['outcome'], event['status'], arrived),
                         ('delivered', '2.0.0', 'clear'), event)
        self.check_policy(cell, event, 'clear')
        self.assertEqual((event['tls.active'], event['tls.fallback']), ('no', 'yes'))
        self.assertIn(self.reason(cell, event), event['tls.error'])
        self.assertNotIn('tls.version', event)
        downgrades = self.others('tls_downgrade', event)
        self.assertEqual([d['reason'] for d in downgrades], [event['tls.error']])
        self.assertEqual(len(self.others('tls', event)), 1)

    def check_deferred(self, cell, event, arrived):
        self.assertEqual((event['outcome'], event['status'], arrived),
                         ('deferred', '4.7.5', None), event)
        self.check_policy(cell, event, 'failed')
        self.assertEqual(event['tls.active'], 'no')
        for text in (event['text'], event['tls.error'], self.others('tls', event)[0]['error']):
            self.assertIn(self.reason(cell, event), text)
        self.assertEqual(self.others('tls_downgrade', event), [])

    def check_missed(self, cell, event, arrived):
        self.assertEqual((event['outcome'], event['status'], arrived),
                         ('deferred', '4.7.10', None), event)
        self.assertIn('not offered', event['text'])
        self.assertIn('not offered', event['tls.error'])
        self.check_policy(cell, event, 'failed')
        self.assertEqual(self.others('tls', event) + self.others('tls_downgrade', event), [])

    def reason(self, cell, event):
        certificate, version, stack = cell.hop
        if version in ('10', '11'):
            return OLD_PROTOCOL[stack]
        if cell.verify == 'fp':
            return 'none of the fingerprints'
        return ERRORS.get(certificate, 'the certificate is not for ' + event['host'].strip('[]'))

    def next_host(self, *values):
        """What would be deferred goes to the next host, which is right."""
        cell = Cell(*values)
        event, arrived = self.outcome(cell, two=True)
        to = self.address(cell, two=True)[1]
        self.assertEqual((event['outcome'], arrived, self.second.mail.get(to)),
                         ('delivered', None, 'tls'), event)
        self.assertTrue(event['peer'].startswith(SECOND + '['), event)
        self.check_policy(cell, event, {'no': 'tls', 'try': 'host'}.get(cell.verify, cell.verify))
        first = '%s[%s]:%s' % (host_of(cell.hop), self.addresses[cell.hop],
                               event['peer'].rpartition(':')[2])
        self.assertEqual([a['status'] for a in self.others('attempt', event, first)],
                         ['4.7.10' if cell.hop == PLAIN else '4.7.5'])
        self.assertEqual(self.others('tls_downgrade', event, first), [])

    def old_protocol_is_there(self, *hop):
        """That they are not used is ours alone: who takes everything can have them."""
        context = kit.client_context()
        context.set_ciphers(ANY_CIPHER)
        context.minimum_version = PYTHON_VERSION['10']
        address = self.hops[hop].listener.getsockname()
        with smtplib.SMTP(*address, local_hostname='old.test', timeout=15) as smtp:
            smtp.starttls(context=context)
            self.assertEqual(smtp.sock.version().replace('.', ''),
                             {'10': 'TLSv1', '11': 'TLSv11'}[hop[1]])
            smtp.close()


def title(cell):
    return '-'.join((cell.level, cell.verify) + cell.hop)


add_cases(Matrix, 'cell', [(title(c),) + c for c in CELLS], Matrix.cell)
add_cases(Matrix, 'next_host', [(title(c),) + c for c in TWO], Matrix.next_host)
add_cases(Matrix, 'old_protocol_is_there', [
    ('-'.join(h),) + h for h in HOPS if h[1] in ('10', '11')], Matrix.old_protocol_is_there)
