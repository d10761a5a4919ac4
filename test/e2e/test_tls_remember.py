"""`tlsremember`: a host with which TLS worked gets no mail in clear when it seems to have none any
more; one whose TLS is broken is not asked for it each time; and what ends the memory."""
import ssl
import time

import kit
from harness import Router, SharedRouterTest, free_port, wait_until
from peers import Aiosmtpd, Scripted

WORDS = {
    'gone': 'PT1H', 'refused': 'PT1H', 'broken': 'PT1H', 'reload': 'PT1H', 'forgets': 'PT3S',
    'failing': 'PT1H', 'repaired': 'PT3S', 'injected': 'PT1H', 'unwanted': 'PT1H', 'plain': None,
}
OFFER = b'250-scripted\r\n250 STARTTLS\r\n'


class Remember(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.ports = {name: free_port() for name in WORDS}
        channels = ['tcp_%s smtp nomx daemon 127.0.0.1 port %d logging maytlsclient%s\n'
                    'tcp-%s-daemon' % (name, cls.ports[name],
                                       ' tlsremember ' + period if period else '', name)
                    for name, period in WORDS.items()]
        rules = ['%s.test $U%%$D@tcp-%s-daemon' % (name, name) for name in WORDS]
        cls.port = free_port()
        return Router(kit.site(rules + ['. $U%$H@tcp-daemon'],
                               ['tcp_local smtp\ntcp-daemon'] + channels,
                               [kit.service('SMTP', 'tcp_local', cls.port)],
                               [r.split()[0] for r in rules]))

    def host(self, name, kind=Aiosmtpd, **options):
        """Stands in the place of what was there before."""
        old = getattr(self, 'standing', None)
        if old:
            old.stop()
            self.standing = None
        self.standing = kind(port=self.ports[name], **options)
        return self.standing

    def tearDown(self):
        if getattr(self, 'standing', None):
            self.standing.stop()

    def send(self, name):
        ident = kit.queue_id(kit.send(self.port, 'bob@%s.test' % name))
        return self.shared.wait_event('deliver', id=ident)

    def delivered(self, name, summary):
        event = self.send(name)
        self.assertEqual((event['outcome'], event['tls.summary']), ('delivered', summary), event)
        return event

    def stripped(self, name, status, why, **host):
        """TLS works; then the host is as said, and gets nothing."""
        self.host(name)
        self.delivered(name, 'may>tls')
        peer = self.host(name, **host)
        before = self.shared.status()['tls_stripped']
        event = self.send(name)
        self.assertEqual((event['outcome'], event['status']), ('deferred', status), event)
        self.assertRegex(event['text'], why + r'.*; TLS worked with this host \d+ s ago')
        told = self.shared.wait_event('tls_stripped', id=event['id'])
        self.assertEqual((told['channel'], told['reason']), ('tcp_' + name, event['text']))
        self.assertEqual(self.shared.events('tls_downgrade', id=event['id']), [])
        self.assertEqual(self.shared.status()['tls_stripped'], before + 1)
        self.assertEqual(peer.received, [])
        self.assertNotIn('MAIL', peer.seen)

    def test_not_offered_any_more(self):
        self.stripped('gone', '4.7.10', 'TLS is a must and not offered', tls='none')

    def test_refused(self):
        self.stripped('refused', '4.7.10', 'STARTTLS was refused: 454', tls='refused')

    def test_broken(self):
        self.stripped('broken', '4.7.5', 'TLS failed', tls='broken')

    def test_reload(self):
        """The memory is that of all workers, and outlives a configuration."""
        self.host('reload')
        for _ in range(4):
            self.delivered('reload', 'may>tls')
        self.shared.tool('reload')
        self.host('reload', tls='none')
        for _ in range(4):
            self.assertEqual(self.send('reload')['status'], '4.7.10')

    def test_forgets(self):
        self.host('forgets')
        self.delivered('forgets', 'may>tls')
        self.host('forgets', tls='none')
        self.assertEqual(self.send('forgets')['outcome'], 'deferred')
        time.sleep(3)
        self.delivered('forgets', 'may>clear')

    def test_without_the_keyword(self):
        self.host('plain')
        self.delivered('plain', 'may>tls')
        self.host('plain', tls='none')
        self.delivered('plain', 'may>clear')
        peer = self.host('plain', tls='broken')
        for _ in range(2):
            self.delivered('plain', 'may>clear')
        self.assertEqual(peer.seen.count('STARTTLS'), 2)

    def test_broken_from_the_beginning(self):
        """Asked for once only; each mail that goes in clear is told."""
        peer = self.host('failing', tls='broken')
        self.delivered('failing', 'may>clear')
        self.assertEqual(peer.seen.count('STARTTLS'), 1)
        for _ in range(3):
            event = self.delivered('failing', 'may>clear')
            self.assertEqual(event['tls.fallback'], 'yes')
            told = self.shared.wait_event('tls_downgrade', id=event['id'])
            self.assertRegex(told['reason'], r'TLS failed \d+ s ago and is not tried')
            self.assertEqual(event['tls.error'], told['reason'])
        self.assertEqual(peer.seen.count('STARTTLS'), 1)

    def test_repaired(self):
        self.host('repaired', tls='refused')
        self.delivered('repaired', 'may>clear')
        self.host('repaired')
        self.delivered('repaired', 'may>clear')
        time.sleep(3)
        self.delivered('repaired', 'may>tls')

    def test_what_was_injected_is_not_the_host(self):
        peer = self.host('injected', Scripted, EHLO=OFFER,
                         STARTTLS=b'220 go\r\n250 injected\r\n')
        for _ in range(2):
            self.delivered('injected', 'may>clear')
        self.assertEqual([verb for verb, _ in peer.seen].count('STARTTLS'), 2)

    def test_a_host_that_does_not_want_us(self):
        """With TLS 1.3 we think that the handshake is done; it has not worked for that."""
        peer = self.host('unwanted', Scripted, EHLO=OFFER, TLS=True)
        peer.context.minimum_version = ssl.TLSVersion.TLSv1_3
        peer.context.verify_mode = ssl.CERT_REQUIRED
        peer.context.load_verify_locations(self.shared.path('tls', 'server-pub.pem'))
        for _ in range(2):
            self.delivered('unwanted', 'may>clear')
        wait_until('both came', lambda: len(peer.messages) == 2)
        self.assertEqual([verb for verb, _ in peer.seen].count('STARTTLS'), 1)
