"""Certificates of next hops: what is verified times what is shown times the protocol; what is
delivered, over what, what the log says, and that a certificate that does not verify never
leads to mail in clear."""
import ssl

import kit
from harness import Router, SharedRouterTest, add_cases, free_port
from peers import Aiosmtpd, Nsd, Scripted
from pki import IDN, LEAVES, NAME, pki

VERSIONS = {'12': ssl.TLSVersion.TLSv1_2, '13': ssl.TLSVersion.TLSv1_3}
VERIFY = {'no': 'notlsverify', 'try': 'tlsverifytry', 'ca': 'tlsverifyca',
          'host': 'tlsverifyhost', 'fp': 'tlsverifyfp'}
CERTIFICATES = [c for c in LEAVES if not c.startswith('client')] + ['self']
CHAIN = ['expired', 'not-yet', 'wrong-usage', 'other-ca', 'no-chain', 'self']
RIGHT_NAME = ['ecdsa', 'rsa', 'wildcard']
# the key of one, the certificate of the other
LISTED = ['rsa', 'expired']

ERRORS = {
    'expired': 'certificate has expired', 'not-yet': 'certificate is not yet valid',
    'wrong-usage': 'unsuitable certificate purpose',
    'other-ca': 'unable to get local issuer certificate',
    'no-chain': 'unable to get local issuer certificate', 'self': 'self-signed certificate',
}
NOT_FOR = 'the certificate is not for ' + NAME


def verifies(verify, certificate):
    if verify == 'fp':
        return certificate in LISTED
    if certificate in CHAIN or verify == 'no':
        return False
    return verify == 'ca' or certificate in RIGHT_NAME


def error_of(verify, certificate):
    if verify == 'fp':
        return 'none of the fingerprints'
    return ERRORS.get(certificate, NOT_FOR)


class Verify(SharedRouterTest):
    @classmethod
    def add_channel(cls, key, peer, words, daemon=NAME):
        cls.peers[key] = peer
        cls.rules.append('%s.test $U%%$D@tcp-%s-daemon' % (key, key))
        cls.channels.append('tcp_%s smtp nomx daemon %s port %d nameservers 127.0.0.1@%d '
                            'logging %s\ntcp-%s-daemon'
                            % (key.replace('-', '_'), daemon, peer.port, cls.nsd.port, words, key))

    @classmethod
    def make_router(cls):
        cls.peers, cls.rules, cls.channels = {}, [], []
        ours = pki()
        cls.nsd = cls.class_peer(Nsd({'partner.test':
                                      'mx.partner.test. A 127.0.0.1\n%s. A 127.0.0.1\n'
                                      'mx2.partner.test. A 127.0.0.2\n'
                                      'two.partner.test. MX 10 mx.partner.test.\n'
                                      'two.partner.test. MX 20 mx2.partner.test.\n' % IDN}))
        by_certificate = {}
        for certificate in CERTIFICATES:
            for version, number in VERSIONS.items():
                peer = cls.class_peer(Aiosmtpd(certificate=ours.pair(certificate), version=number))
                by_certificate[certificate, version] = peer
                for verify, word in VERIFY.items():
                    cls.add_channel('%s-%s-%s' % (verify, certificate, version), peer,
                                    'musttlsclient %s tlsprofile ours' % word)
        good, bad = by_certificate['ecdsa', '13'], by_certificate['other-ca', '13']
        cls.add_channel('idn-host', by_certificate['idn', '13'],
                        'musttlsclient tlsverifyhost tlsprofile ours', IDN)
        cls.add_channel('ip-host', by_certificate['ip', '13'],
                        'musttlsclient tlsverifyhost tlsprofile ours', '127.0.0.1')
        cls.add_channel('ip-name', good, 'musttlsclient tlsverifyhost tlsprofile ours',
                        '127.0.0.1')
        cls.add_channel('may-bad', bad, 'maytlsclient tlsverifyca tlsprofile ours')
        cls.add_channel('may-try', bad, 'maytlsclient tlsverifytry tlsprofile ours')
        cls.add_channel('system', good, 'musttlsclient tlsverifyhost')
        # the first host's certificate is wrong, the second one's is right
        second = cls.class_peer(Aiosmtpd(host='127.0.0.2', port=bad.port, certificate=(
            cls.second_pair())))
        cls.add_channel('two', second, 'musttlsclient tlsverifyhost tlsprofile ours')
        cls.channels[-1] = cls.channels[-1].replace('nomx daemon ' + NAME,
                                                    'mx daemon two.partner.test')
        for name, words in (('implicit', 'tlsimplicitclient tlsverifyhost tlsprofile ours'),
                            ('implicit-bad', 'tlsimplicitclient tlsverifyfp tlsprofile ours')):
            cls.add_channel(name, cls.class_peer(Scripted(
                implicit=True, certificate=ours.pair('ecdsa'))), words)
        cls.add_channel('implicit-clear', cls.class_peer(Aiosmtpd(tls='none')),
                        'tlsimplicitclient')
        for name, peer in (('nf-broken', Aiosmtpd(tls='broken')),
                           ('nf-refused', Aiosmtpd(tls='refused')),
                           ('nf-none', Aiosmtpd(tls='none')), ('nf-good', Aiosmtpd())):
            cls.add_channel(name, cls.class_peer(peer), 'maytlsclient notlsfallback')
        cls.port = free_port()
        tls = ('[ours]\nca_file = %s\nfingerprint = sha256:%s\nfingerprint = sha256:%s\n'
               % (ours.path('root.pem'), ours.spki('rsa'), ours.fingerprint('expired')))
        return Router(kit.site(cls.rules + ['. $U%$H@tcp-daemon'],
                               ['tcp_local smtp\ntcp-daemon'] + cls.channels,
                               [kit.service('SMTP', 'tcp_local', cls.port)],
                               [r.split()[0] for r in cls.rules], files={'tls.cnf': tls}))

    @classmethod
    def second_pair(cls):
        ours = pki()
        ours.leaf('second', san='DNS:mx2.partner.test')
        return ours.pair('second')

    def outcome(self, key):
        """Sends one message; the deliver event of its first attempt, and the word in it."""
        word = kit.token()
        ident = kit.queue_id(kit.send(self.port, 'bob@%s.test' % key, subject=word))
        return self.shared.wait_event('deliver', id=ident), word.encode()

    def check_deferred(self, key, error):
        event, word = self.outcome(key)
        self.assertEqual((event['outcome'], event['status']), ('deferred', '4.7.5'), event)
        self.assertIn(error, event['text'])
        self.assertIn(error, event['tls.error'])
        self.assertEqual((event['tls.active'], event['tls.summary'].split('>')[1]),
                         ('no', 'failed'))
        self.assertEqual(self.shared.events('tls_downgrade', id=event['id']), [])
        self.assertEqual([m for m in self.received(key) if word in m], [])
        return event

    def received(self, key):
        peer = self.peers[key]
        return peer.messages if isinstance(peer, Scripted) else [m[2] for m in peer.received]

    def check_delivered(self, key, verified, summary):
        event, word = self.outcome(key)
        self.assertEqual(event['outcome'], 'delivered', event)
        self.assertEqual((event['tls.active'], event['tls.verified'], event['tls.summary']),
                         ('yes', verified, summary))
        self.assertTrue([m for m in self.received(key) if word in m])
        return event

    def cell(self, verify, certificate, version):
        key = '%s-%s-%s' % (verify, certificate, version)
        good = verifies(verify, certificate)
        if not good and verify not in ('no', 'try'):
            self.check_deferred(key, error_of(verify, certificate))
            return
        got = ('none' if not good else 'host' if verify == 'try' else verify)
        summary = 'must%s>%s' % ('' if verify == 'no' else '+' + verify,
                                 'tls' if got == 'none' else got)
        event = self.check_delivered(key, got, summary)
        self.assertEqual(event['tls.version'], 'TLSv1.' + version[1])
        self.assertEqual(event['tls.sni'], NAME)
        self.assertEqual(event['tls.policy.level'], 'must')
        self.assertEqual(event['tls.policy.source'], 'keyword')
        self.assertEqual(event['tls.spki'], 'sha256:' + pki().spki(certificate))
        self.assertEqual(event['tls.peer.subject'], 'CN=' + NAME)
        if verify == 'try' and not good:
            self.assertIn(error_of(verify, certificate), event['tls.error'])
        else:
            self.assertNotIn('tls.error', event)

    # --- names ---

    def test_idn(self):
        self.check_delivered('idn-host', 'host', 'must+host>host')

    def test_address(self):
        """A literal next hop: only a certificate for that address will do."""
        event = self.check_delivered('ip-host', 'host', 'must+host>host')
        self.assertNotIn('tls.sni', event)
        self.check_deferred('ip-name', 'the certificate is not for 127.0.0.1')

    def test_the_system_trusts_no_test(self):
        self.check_deferred('system', 'unable to get local issuer certificate')

    def test_next_host(self):
        event = self.check_delivered('two', 'host', 'must+host>host')
        self.assertTrue(event['peer'].startswith('mx2.partner.test['), event)
        attempt = self.shared.wait_event('attempt', id=event['id'])
        self.assertIn('does not verify', attempt['text'])

    # --- never in clear ---

    def test_may_with_a_bad_certificate(self):
        """maytlsclient, but a certificate that must verify: no fallback."""
        self.check_deferred('may-bad', 'does not verify')

    def test_may_try_with_a_bad_certificate(self):
        event = self.check_delivered('may-try', 'none', 'may+try>tls')
        self.assertIn('does not verify', event['tls.error'])

    def test_no_fallback(self):
        for key in ('nf-broken', 'nf-refused'):
            with self.subTest(key=key):
                event, word = self.outcome(key)
                self.assertEqual(event['outcome'], 'deferred', event)
                self.assertIn(event['status'], ('4.7.5', '4.7.10'))
                self.assertEqual(self.shared.events('tls_downgrade', id=event['id']), [])
                self.assertEqual([m for m in self.received(key) if word in m], [])

    def test_no_fallback_is_no_must(self):
        """What does not offer TLS still gets its mail: that is what may says."""
        event, _ = self.outcome('nf-none')
        self.assertEqual((event['outcome'], event['tls.summary']), ('delivered', 'may>clear'))
        self.check_delivered('nf-good', 'none', 'may>tls')

    # --- TLS from the first byte ---

    def test_implicit(self):
        self.check_delivered('implicit', 'host', 'must+host>host')
        self.assertNotIn(('STARTTLS', True), self.peers['implicit'].seen)

    def test_implicit_with_a_bad_certificate(self):
        self.check_deferred('implicit-bad', 'none of the fingerprints')
        self.assertEqual(self.peers['implicit-bad'].seen, [])

    def test_implicit_where_there_is_no_tls(self):
        event, _ = self.outcome('implicit-clear')
        self.assertEqual((event['outcome'], event['status']), ('deferred', '4.7.5'), event)
        self.assertEqual(self.peers['implicit-clear'].received, [])


add_cases(Verify, 'cell', [('%s %s %s' % (v, c, n), v, c, n) for v in VERIFY
                           for c in CERTIFICATES for n in VERSIONS], Verify.cell)
