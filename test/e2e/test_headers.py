"""Senders and headers as each channel shows them: rewritten when the message is queued,
another way for every channel, the same after a restart and for bodies in files; and octet
for octet as they came where nothing has to change."""
import contextlib
import hashlib
import re
import sqlite3

import kit
from harness import OPTION_DAT, RouterTest, free_port
from peers import Aiosmtpd

RULES = ['.inside.test $R$U%company.test@tcp-plain',
         '.inside.test $U%$H$D@tcp-plain',
         'plain.test $U%$D@tcp-plain',
         'routed.test $U%$D@tcp-routed',
         'bang.test $U%$D@tcp-bang',
         'lines.test $U%$D@tcp-lines',
         'ours.test $U%router.test@router.test',
         'company.test $U%$D@tcp-plain']
OURS = ['.inside.test', 'plain.test', 'routed.test', 'bang.test', 'lines.test', 'ours.test',
        'company.test']
HEADER = ('From: Ann <ann@pc.inside.test>\r\nTo: bob@plain.test, joe\r\n'
          'Subject:  as   it is \r\nX-Other:\tann@pc.inside.test\r\n\r\n')


class Headers(RouterTest):
    def begin(self, keywords='', files=()):
        self.port = free_port()
        self.peer_at = self.peer(Aiosmtpd(tls='none'))
        to = 'smtp nomx daemon 127.0.0.1 port %d logging' % self.peer_at.port
        channels = ['tcp_local smtp logging %s\ntcp-daemon' % keywords,
                    'tcp_plain %s\ntcp-plain' % to,
                    'tcp_routed %s improute dequeue_removeroute\ntcp-routed gate.test' % to,
                    'tcp_bang %s uucp header_uucp\ntcp-bang' % to,
                    'tcp_lines %s maxheaderaddrs 1 headerlabelalign 12 addreturnpath\n'
                    'tcp-lines' % to]
        self.it = self.router(
            kit.site(RULES, channels, [kit.service('SMTP', 'tcp_local', self.port)], OURS,
                     files=files))
        self.it.start()
        return self.it

    def send(self, to, sender='ann@pc.inside.test', header=HEADER, body='hello\r\n'):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            return kit.queue_id(wire.mail(to, sender, header + body).text)

    def received(self, host):
        """What came for a recipient of that host: sender, recipients, header, body."""
        def wanted():
            return [m for m in self.peer_at.received if any(host in r for r in m[1])]
        self.peer_at.wait(1)
        from harness import wait_until
        sender, to, data, _ = wait_until('mail for ' + host, wanted)[0]
        header, body = data.split(b'\r\n\r\n', 1)
        return sender, to, header.decode() + '\r\n', body

    # --- one message, several channels ---

    def test_two_channels_two_headers(self):
        self.begin()
        self.send(['bob@plain.test', 'eve@routed.test', 'ann@bang.test'])
        sender, _, header, body = self.received('plain.test')
        self.assertEqual(sender, 'ann@company.test')
        self.assertIn('\r\nFrom: Ann <ann@company.test>\r\n', header)
        self.assertIn('\r\nTo: bob@plain.test, joe@router.test\r\n', header)
        self.assertIn('\r\nSubject:  as   it is \r\nX-Other:\tann@pc.inside.test\r\n', header)
        self.assertEqual(body, b'hello\r\n')
        _, _, header, body = self.received('routed.test')  # aiosmtpd drops routes
        self.assertIn('\r\nFrom: Ann <@gate.test:ann@company.test>\r\n', header)
        self.assertEqual(body, b'hello\r\n')
        self.it.wait_event('deliver', to='eve@routed.test',
                           **{'from': '@gate.test:ann@company.test'})
        sender, to, header, _ = self.received('bang.test')
        self.assertEqual((sender, to), ('company.test!ann', ['bang.test!ann']))
        self.assertIn('\r\nFrom: Ann <company.test!ann>\r\n', header)
        self.assertIn('(sender was <ann@pc.inside.test>)', re.sub(r'\r\n\s+', ' ', header))

    def test_header_lines(self):
        self.begin()
        self.send('bob@lines.test', header='From: a@plain.test\r\n'
                  'To: a@plain.test, b@plain.test\r\nSubject: x\r\n\r\n',
                  sender='sue@plain.test')
        _, _, header, _ = self.received('lines.test')
        self.assertTrue(header.startswith('Return-Path: <sue@plain.test>\r\n'), header)
        self.assertIn('\r\nFrom:       a@plain.test\r\nTo:         a@plain.test\r\n'
                      'To:         b@plain.test\r\nSubject:    x\r\n', header)

    def test_what_needs_no_change_is_not_touched(self):
        self.begin()
        header = ('from :sue@plain.test\r\nTo:\tbob@plain.test,\r\n\t "B. O." <b@plain.test>'
                  ' (c)\r\nDKIM-Signature: v=1; h=from:to;\r\n b=xxxx\r\n\r\n')
        self.send('bob@plain.test', 'sue@plain.test', header)
        sender, _, got, _ = self.received('plain.test')
        self.assertEqual(sender, 'sue@plain.test')
        self.assertTrue(got.endswith('\r\n' + header[:-2]), got)

    def test_reports_go_to_the_sender_as_received(self):
        self.begin()
        self.peer_at.replies['RCPT'] = '550 5.1.1 nobody'
        self.send('bob@routed.test', 'ann@ours.test')
        self.assertIn('bob@routed.test', str(self.it.wait_mails(1)[0]))

    # --- reversal ---

    def test_reversal(self):
        self.begin(files={
            'mappings': 'REVERSE\n\n  *@plain.test  $Y$0@shown.test\n'
                        '  bad@*  $Yno$ address\n  *@only.test  $:B$Y$0@header.test\n',
            'reverse': 'sue@plain.test  Sue.Example@shown.test\n'})
        header = ('From: Sue <sue@plain.test>\r\nTo: bob@plain.test, u@only.test\r\n'
                  'Reply-To: bad@company.test\r\n\r\n')
        self.send('bob@plain.test', 'sue@plain.test', header)
        sender, to, got, body = self.received('plain.test')
        self.assertEqual((sender, to), ('Sue.Example@shown.test', ['bob@plain.test']))
        self.assertIn('\r\nFrom: Sue <Sue.Example@shown.test>\r\n'
                      'To: bob@shown.test, u@header.test\r\n'
                      'Reply-To: bad@company.test\r\n', got)
        self.assertEqual(body, b'hello\r\n')
        self.assertNotIn('sue@plain.test', got)  # nor in the Received field
        self.it.wait_event('error', what='address not reversed', rule='mappings:4',
                           reason='the answer is no whole address')

    def test_reversal_of_headers_only(self):
        self.begin(files={
            'option.dat': OPTION_DAT + 'USE_REVERSE_DATABASE=13\nREVERSE_ENVELOPE=0\n',
            'mappings': 'REVERSE\n\n  tcp_local|tcp_plain|*@company.test  $Y$0@shown.test\n'})
        self.send(['bob@plain.test', 'eve@routed.test'])
        sender, _, got, _ = self.received('plain.test')
        self.assertEqual(sender, 'ann@company.test')
        self.assertIn('\r\nFrom: Ann <ann@shown.test>\r\n', got)
        _, _, got, _ = self.received('routed.test')
        self.assertIn('\r\nFrom: Ann <@gate.test:ann@company.test>\r\n', got)

    # --- later ---

    def test_after_a_restart(self):
        self.begin()
        self.peer_at.replies['RCPT'] = '451 4.3.0 later'
        self.send(['bob@plain.test', 'eve@routed.test'])
        self.it.wait_event('deliver', to='eve@routed.test', outcome='deferred')
        self.it.stop()
        del self.peer_at.replies['RCPT']
        with contextlib.closing(sqlite3.connect(self.it.path('queue', 'queue.db'))) as db:
            db.execute('UPDATE entries SET next_try_ms = 0')
            db.commit()
        self.it.give_to_user()
        self.it.start()
        _, _, header, body = self.received('routed.test')
        self.it.wait_event('deliver', to='eve@routed.test', outcome='delivered',
                           **{'from': '@gate.test:ann@company.test'})
        self.assertIn('\r\nFrom: Ann <@gate.test:ann@company.test>\r\n', header)
        self.assertEqual(body, b'hello\r\n')

    def test_a_large_body_in_a_file(self):
        self.begin()
        body = ''.join('%07d %s\r\n' % (i, 'x' * 60) for i in range(20000))
        self.send(['bob@plain.test', 'eve@routed.test'], body=body)
        wanted = hashlib.sha256(body.encode()).digest()
        for host in ('plain.test', 'routed.test'):
            _, _, header, got = self.received(host)
            self.assertIn('company.test', header)
            self.assertEqual(hashlib.sha256(got).digest(), wanted)

    # --- addresses without a host ---

    def bare(self, keywords):
        self.begin(keywords)
        with kit.Wire(self.port) as wire:
            wire.ehlo('client.test')
            return wire.say('MAIL FROM:<sue>').code, wire

    def test_bare_senders_are_refused(self):
        self.assertEqual(self.bare('')[0], 553)

    def test_defaulthost(self):
        self.begin('defaulthost company.test ours.test')
        self.send(['bob@plain.test', 'ann'], 'sue', 'From: sue\r\n\r\n')
        sender, _, header, _ = self.received('plain.test')
        self.assertEqual(sender, 'sue@company.test')
        self.assertIn('\r\nFrom: sue@company.test\r\n', header)
        self.assertIn(b'From: sue@company.test', self.it.wait_mails(1)[0])

    def test_remotehost(self):
        self.begin('remotehost')
        self.send('bob@plain.test', 'sue', 'From: sue\r\n\r\n')
        self.assertEqual(self.received('plain.test')[0], 'sue@client.test')

    def test_noremotehost(self):
        self.begin('noremotehost')
        self.send('bob@plain.test', 'sue', 'From: sue\r\n\r\n')
        self.assertEqual(self.received('plain.test')[0], 'sue@router.test')

    def test_dropblank(self):
        self.begin('dropblank')
        self.send('bob@plain.test', 'sue@plain.test', 'From: sue@plain.test\r\nCc: \r\n\r\n')
        self.assertNotIn('Cc:', self.received('plain.test')[2])
