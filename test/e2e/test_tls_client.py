"""The client side of TLS: no, may and must, times what the next hop offers and how its
handshake ends: what is delivered, over what, and what the next hop ever got to see."""
import kit
from harness import Router, SharedRouterTest, add_cases, free_port, wait_until
from peers import Aiosmtpd, Scripted, SmtpSink

LEVELS = ('no', 'may', 'must')
OFFER = b'250-scripted\r\n250 STARTTLS\r\n'
# Peers that answer by rote: STARTTLS is offered, but ...
TRICKS = {
    'starttls-500': dict(EHLO=OFFER, STARTTLS=b'500 5.5.1 what is that\r\n'),
    'starttls-554': dict(EHLO=OFFER, STARTTLS=b'554 5.7.3 no TLS for you\r\n'),
    'starttls-250': dict(EHLO=OFFER, STARTTLS=b'250 fine\r\n'),
    'starttls-421': dict(EHLO=OFFER, STARTTLS=b'421 4.3.2 going down\r\n'),
    'starttls-garbage': dict(EHLO=OFFER, STARTTLS=b'yes, please\r\n'),
    'starttls-closes': dict(EHLO=OFFER, STARTTLS=None),
    'handshake-closes': dict(EHLO=OFFER, STARTTLS=b'220 go\r\n\x15\x03\x01'),
    'injection': dict(EHLO=OFFER, TLS=True, STARTTLS=(
        b'220 go\r\n250-scripted\r\n250 STARTTLS\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n')),
}
# Before TLS nothing is believed under must, whatever the code.
MUST_REPLIES = {
    'greeting-554': dict(greeting=b'554 5.7.1 go away\r\n'),
    'greeting-521': dict(greeting=b'521 5.3.2 no mail here\r\n'),
    'ehlo-500': dict(EHLO=b'500 5.5.1 what\r\n'),
    'ehlo-550': dict(EHLO=b'550 5.7.1 blocked\r\n'),
    'ehlo-421': dict(EHLO=b'421 4.3.2 busy\r\n'),
    'mangled': dict(EHLO=b'250-scripted\r\n250 XXXXXXXA\r\n'),
}


class TlsClient(SharedRouterTest):
    @classmethod
    def add_peer(cls, level, name, peer):
        key = '%s-%s' % (level, name)
        cls.peers[key] = cls.class_peer(peer)
        cls.rules.append('%s.test $U%%$D@tcp-%s-daemon' % (key, key))
        cls.channels.append(
            'tcp_%s smtp nomx nocache daemon 127.0.0.1 port %d %stlsclient logging\ntcp-%s-daemon'
            % (key.replace('-', '_'), peer.port, level, key))

    @classmethod
    def make_router(cls):
        cls.peers, cls.rules, cls.channels = {}, [], []
        for level in LEVELS:
            for tls in ('none', 'good', 'broken', 'refused'):
                cls.add_peer(level, tls, Aiosmtpd(tls=tls))
            cls.add_peer(level, 'sink', SmtpSink())
            for name, replies in TRICKS.items():
                if level != 'no':
                    cls.add_peer(level, name, Scripted(**replies))
        for name, replies in MUST_REPLIES.items():
            cls.add_peer('must', name, Scripted(**replies))
        for name, reply in (('mail-550', {'MAIL': '550 5.7.1 not from you'}),
                            ('rcpt-550', {'RCPT': '550 5.1.1 unknown'})):
            cls.add_peer('must', name, Aiosmtpd(answers=reply))
        cls.port = free_port()
        domains = [r.split()[0] for r in cls.rules]
        return Router(kit.site(cls.rules + ['. $U%$H@tcp-daemon'],
                               ['tcp_local smtp\ntcp-daemon'] + cls.channels,
                               [kit.service('SMTP', 'tcp_local', cls.port)], domains))

    def outcome(self, level, name, sender=''):
        """Sends one message; the deliver event of its first attempt, and the word in it."""
        word = kit.token()
        ident = kit.queue_id(kit.send(self.port, 'bob@%s-%s.test' % (level, name),
                                      sender=sender, subject=word))
        return self.shared.wait_event('deliver', id=ident), word.encode()

    def client_tls(self, event):
        return self.shared.events('tls', side='client', id=event['id'])

    # --- level times peer ---

    def delivered_clear(self, level, name, connections):
        event, word = self.outcome(level, name)
        peer = self.peers['%s-%s' % (level, name)]
        self.assertEqual(event['outcome'], 'delivered', event)
        self.assertEqual(event['tls.active'], 'no')
        self.assertNotIn('tls.version', event)
        if isinstance(peer, SmtpSink):
            wait_until('the message at smtp-sink',
                       lambda: [m for m in peer.messages() if word in m])
            return
        self.assertFalse(peer.find(word)[3])
        self.assertEqual(peer.connections, connections)
        downgrades = self.shared.events('tls_downgrade', id=event['id'])
        if connections == 1:
            self.assertEqual(peer.seen, ['EHLO', 'MAIL'])
            self.assertEqual(downgrades, [])
        else:
            # the first connection never saw MAIL, the second one never saw STARTTLS
            self.assertEqual(peer.seen, ['EHLO', 'STARTTLS', 'EHLO', 'MAIL'])
            self.assertEqual(len(downgrades), 1)
            self.assertTrue(downgrades[0]['reason'])

    def delivered_tls(self, level):
        peer = self.peers[level + '-good']
        peer.seen.clear()
        peer.connections = 0
        event, word = self.outcome(level, 'good')
        self.assertEqual(event['outcome'], 'delivered', event)
        self.assertRegex(event['tls.version'], r'^TLSv1\.[23]$')
        self.assertEqual(event['tls.summary'], level + '>tls')
        self.assertEqual(event['tls.verified'], 'none')
        self.assertTrue(peer.find(word)[3])
        self.assertEqual(peer.seen, ['EHLO', 'STARTTLS', 'EHLO tls', 'MAIL tls'])
        self.assertEqual(peer.connections, 1)
        self.assertEqual(len(self.client_tls(event)), 1)
        self.assertNotIn('error', self.client_tls(event)[0])

    def deferred(self, name):
        """must: no MAIL, a temporary failure, the message stays."""
        event, word = self.outcome('must', name)
        peer = self.peers['must-' + name]
        self.assertEqual(event['outcome'], 'deferred', event)
        self.assertTrue(event['status'].startswith('4.'), event)
        self.assertTrue(event['text'], event)
        if isinstance(peer, SmtpSink):
            self.assertEqual([m for m in peer.messages() if word in m], [])
            return
        verbs = [v if isinstance(v, str) else v[0] for v in peer.seen]
        self.assertTrue(set(verbs) <= {'EHLO', 'HELO', 'STARTTLS', 'QUIT'}, verbs)
        self.assertEqual(self.shared.events('tls_downgrade', id=event['id']), [])
        self.assertEqual(self.shared.events('bounce', **{'for': event['id']}), [])

    def trick_under_may(self, name):
        """The message goes in clear, by a new connection to the same host."""
        event, word = self.outcome('may', name)
        peer = self.peers['may-' + name]
        self.assertEqual(event['outcome'], 'delivered', event)
        self.assertEqual(event['tls.active'], 'no')
        self.assertNotIn('tls.version', event)
        wait_until('the message', lambda: peer.messages)
        self.assertIn(word, peer.messages[0])
        self.assertEqual(peer.connections, 2)
        seen = [v for v, _ in peer.seen]
        second = len(seen) - seen[::-1].index('EHLO') - 1
        self.assertEqual([v for v in seen[:second] if v != 'QUIT'], ['EHLO', 'STARTTLS'])
        self.assertEqual([v for v in seen[second:] if v != 'QUIT'],
                         ['EHLO', 'MAIL', 'RCPT', 'DATA', '.'])
        self.assertEqual(len(self.shared.events('tls_downgrade', id=event['id'])), 1)
        self.assertEqual((event['tls.summary'], event['tls.fallback']), ('may>clear', 'yes'))
        self.assertTrue(event['tls.error'])

    # --- must, once TLS is on: replies are believed ---

    def inside_tls(self, name, status):
        event, _ = self.outcome('must', name)
        self.assertEqual(event['outcome'], 'failed', event)
        self.assertEqual(event['status'], status)
        self.assertEqual(event['tls.active'], 'yes')
        self.assertNotIn('MAIL', self.peers['must-' + name].seen)

    def test_any_certificate_will_do(self):
        """Without a verify keyword: the peers' certificates are self-signed, and for
        another name."""
        event, _ = self.outcome('must', 'good')
        self.assertEqual(event['outcome'], 'delivered')

    def test_injection_is_told(self):
        """What came behind the 220 is an event of its own, and counted."""
        before = self.shared.status()['tls_out_injected']
        event, _ = self.outcome('must', 'injection')
        told = self.shared.events('starttls_response_injection', id=event['id'])
        self.assertEqual([t['channel'] for t in told], ['tcp_must_injection'])
        self.assertEqual(self.shared.status()['tls_out_injected'], before + 1)

    def test_reuse_keeps_tls(self):
        """Several messages to one host under must: each one inside TLS."""
        peer = self.peers['must-good']
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            words = [kit.token().encode() for _ in range(8)]
            for word in words:
                wire.mail('bob@must-good.test',
                          body=b'Subject: ' + word + b'\r\n\r\nx\r\n')
        for word in words:
            self.assertTrue(peer.find(word)[3])
        self.assertNotIn('MAIL', peer.seen)


add_cases(TlsClient, 'clear', [
    ('no none', 'no', 'none', 1), ('no good', 'no', 'good', 1),
    ('no broken', 'no', 'broken', 1), ('no refused', 'no', 'refused', 1),
    ('no sink', 'no', 'sink', 1), ('may none', 'may', 'none', 1),
    ('may broken', 'may', 'broken', 2), ('may refused', 'may', 'refused', 2),
    ('may sink', 'may', 'sink', 1),
], TlsClient.delivered_clear)
add_cases(TlsClient, 'tls', [('may good', 'may'), ('must good', 'must')],
          TlsClient.delivered_tls)
add_cases(TlsClient, 'must_deferred', [
    (name, name) for name in ['none', 'broken', 'refused', 'sink'] + list(TRICKS) +
    list(MUST_REPLIES)
], TlsClient.deferred)
add_cases(TlsClient, 'may_new_connection', [(n, n) for n in TRICKS],
          TlsClient.trick_under_may)
add_cases(TlsClient, 'must_inside_tls', [
    ('mail 550', 'mail-550', '5.7.1'), ('rcpt 550', 'rcpt-550', '5.1.1'),
], TlsClient.inside_tls)
