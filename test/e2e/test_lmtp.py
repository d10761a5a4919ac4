"""LMTP to next hops (RFC 2033): a reply for each recipient, over TCP and a Unix socket, in
clear and under TLS. What a real store does with it is in test_next_hops."""
import email
import email.policy
import os
import time

import kit
from harness import Router, RouterTest, SharedRouterTest, free_port, wait_until
from peers import Scripted

TO = ['ann@%s.test', 'bob@%s.test', 'sue@%s.test', 'tom@%s.test']


class Lmtp(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.port = free_port()
        cls.hops = {}
        rules, blocks = ['far.test $U%$D@router.test'], []

        def hop(name, words, **replies):
            cls.hops[name] = cls.class_peer(Scripted(**replies))
            at = 'port %d' % cls.hops[name].port
            rules.append('%s.test $U%%$D@tcp-%s-daemon' % (name, name))
            blocks.append('tcp_%s lmtp daemon [127.0.0.1] %s %s logging\ntcp-%s-daemon'
                          % (name, at, words, name))

        mixed = {'RCPT bob@mixed.test': b'550 5.1.1 no bob\r\n',
                 '. sue@mixed.test': b'452 4.2.2 full\r\n',
                 '. tom@mixed.test': b'552 5.2.3 too large for tom\r\n'}
        hop('mixed', '', LHLO=b'250-store\r\n250-PIPELINING\r\n250 8BITMIME\r\n', **mixed)
        hop('smtp', '', LHLO=b'500 5.5.1 this is SMTP\r\n')
        hop('lost', '', **{'. sue@lost.test': None})
        hop('tls', 'musttlsclient', TLS=True, LHLO=b'250-store\r\n250 STARTTLS\r\n')
        hop('clear', 'musttlsclient')
        rules.append('. $U%$H@tcp-daemon')
        blocks.insert(0, 'tcp_local smtp\ntcp-daemon')
        router = kit.site(rules, blocks, [kit.service('SMTP', 'tcp_local', cls.port)],
                          localdomains=['far.test'] + [n + '.test' for n in cls.hops])
        return Router(router, users=['sue'])

    def send(self, domain, users=TO):
        return kit.queue_id(kit.send(self.port, [u % domain for u in users]))

    def outcomes(self, ident, count):
        events = wait_until('%d outcomes of %s' % (count, ident), lambda: (
            lambda e: len(e) >= count and e)(self.shared.events('deliver', id=ident)))
        return {e['to'].split('@')[0]: (e['outcome'], e['status']) for e in events}

    def test_each_recipient_has_its_reply(self):
        ident = self.send('mixed')
        self.assertEqual(self.outcomes(ident, 4), {
            'ann': ('delivered', '2.0.0'), 'bob': ('failed', '5.1.1'),
            'sue': ('deferred', '4.2.2'), 'tom': ('failed', '5.2.3')})
        seen = [verb for verb, _ in self.hops['mixed'].seen]
        self.assertEqual(seen[:8], ['LHLO', 'MAIL', 'RCPT', 'RCPT', 'RCPT', 'RCPT', 'DATA', '.'])
        self.assertNotIn('EHLO', seen)
        report = self.shared.find_mail(b'too large for tom', user='sue')
        report = email.message_from_bytes(report, policy=email.policy.default)
        status = report.get_payload()[1].get_payload()
        self.assertEqual([str(s['Final-Recipient']) for s in status[1:]],
                         ['rfc822; bob@mixed.test', 'rfc822; tom@mixed.test'])

    def test_smtp_server_is_no_lmtp_server(self):
        ident = self.send('smtp', TO[:1])
        event = self.shared.wait_event('attempt', id=ident)
        self.assertEqual(event['code'], '500')
        self.shared.wait_event('deliver', id=ident)
        self.assertNotIn('HELO', [verb for verb, _ in self.hops['smtp'].seen])

    def test_lost_among_the_replies(self):
        ident = self.send('lost')
        self.assertEqual(self.outcomes(ident, 4), {
            'ann': ('delivered', '2.0.0'), 'bob': ('delivered', '2.0.0'),
            'sue': ('deferred', '4.4.2'), 'tom': ('deferred', '4.4.2')})

    def test_tls(self):
        ident = self.send('tls', TO[:2])
        self.assertEqual(set(self.outcomes(ident, 2).values()), {('delivered', '2.0.0')})
        self.assertEqual(self.hops['tls'].seen[:4], [
            ('LHLO', False), ('STARTTLS', False), ('LHLO', True), ('MAIL', True)])
        ident = self.send('clear', TO[:1])
        self.assertEqual(self.outcomes(ident, 1), {'ann': ('deferred', '4.7.10')})
        self.assertNotIn('MAIL', [verb for verb, _ in self.hops['clear'].seen])


class Socket(RouterTest):
    def site(self, words=''):
        self.port = free_port()
        return kit.site(
            ['store.test $U%$D@tcp-store-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon',
             'tcp_store lmtp daemon unix:../SOCKET %s logging\ntcp-store-daemon' % words],
            [kit.service('SMTP', 'tcp_local', self.port)], localdomains=['store.test'])

    def start(self, words=''):
        files = self.site(words)
        router = self.router(files, arguments=['--retry-after', '1'])
        self.path = router.path('run', 'lmtp')
        router.write('pointsman.cnf', files['pointsman.cnf'].replace('../SOCKET', self.path))
        return router.start()

    def test_waits_for_the_socket_and_uses_it(self):
        router = self.start()
        ident = kit.queue_id(kit.send(self.port, ['ann@store.test', 'bob@store.test']))
        event = router.wait_event('deliver', id=ident)
        self.assertEqual((event['outcome'], event['status']), ('deferred', '4.4.1'))
        self.assertEqual(event['peer'], 'unix:' + self.path)
        hop = self.peer(Scripted(path=self.path, **{
            '. bob@store.test': b'550 5.2.1 not for bob\r\n'}))
        event = router.wait_event('deliver', id=ident, outcome='delivered')
        self.assertEqual(event['peer'], 'unix:' + self.path)
        event = router.wait_event('deliver', id=ident, outcome='failed')
        self.assertEqual((event['to'], event['status']), ('bob@store.test', '5.2.1'))
        self.assertEqual(len(hop.messages), 1)
        for _ in range(20):
            kit.send(self.port, 'ann@store.test')
        end = time.monotonic() + 10
        while len(hop.messages) < 21 and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(len(hop.messages), 21)

    def test_tls_behind_a_socket(self):
        router = self.start('musttlsclient')
        hop = self.peer(Scripted(path=self.path, TLS=True, LHLO=b'250-s\r\n250 STARTTLS\r\n'))
        ident = kit.queue_id(kit.send(self.port, 'ann@store.test',
                                      body='Subject: x\r\n\r\n' + 'y' * 70 + '\r\n'))
        router.wait_event('deliver', id=ident, outcome='delivered')
        self.assertIn(('MAIL', True), hop.seen)

    def test_large_message(self):
        router = self.start()
        hop = self.peer(Scripted(path=self.path))
        lines = ''.join('%07d %s\r\n' % (i, 'z' * 60) for i in range(60000))
        ident = kit.queue_id(kit.send(self.port, 'ann@store.test',
                                      body='Subject: x\r\n\r\n' + lines))
        router.wait_event('deliver', id=ident, outcome='delivered')
        self.assertTrue(hop.messages[0].endswith(lines.encode()))

    def test_nobody_reaches_a_socket_by_an_address(self):
        router = self.start()
        for address in ('ann@unix:/run/x', 'ann@[unix:%s]' % self.path, 'ann@unix'):
            with kit.Wire(self.port) as wire:
                wire.ehlo()
                wire.want('MAIL FROM:<sue@far.test>', 250)
                self.assertIn(wire.say('RCPT TO:<%s>' % address).code, (501, 550, 553))
        self.assertFalse(os.path.exists(self.path))
        self.assertEqual(router.events('attempt'), [])
