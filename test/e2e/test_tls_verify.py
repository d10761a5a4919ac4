"""Certificates of next hops, what test_tls_matrix_client does not have: addresses, the CAs of the
system, notlsfallback, and TLS from the first byte."""
import kit
from harness import Router, SharedRouterTest, free_port
from peers import Aiosmtpd, Nsd, Scripted
from pki import NAME, pki


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
        cls.nsd = cls.class_peer(Nsd({'partner.test': 'mx.partner.test. A 127.0.0.1\n'}))
        good = cls.class_peer(Aiosmtpd(certificate=ours.pair('ecdsa')))
        cls.add_channel('ip-name', good, 'musttlsclient tlsverifyhost tlsprofile ours',
                        '127.0.0.1')
        cls.add_channel('system', good, 'musttlsclient tlsverifyhost')
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

    # --- names ---

    def test_address(self):
        """A literal next hop: only a certificate for that address will do."""
        self.check_deferred('ip-name', 'the certificate is not for 127.0.0.1')

    def test_the_system_trusts_no_test(self):
        self.check_deferred('system', 'unable to get local issuer certificate')

    # --- never in clear ---

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
