"""The server side of TLS: no, may and must, times clients that do and do not say STARTTLS
and handshakes that fail; what goes before, with and after STARTTLS; implicit TLS."""
import socket
import ssl

import kit
from harness import Router, SharedRouterTest, add_cases, free_port, wait_until

LEVELS = ('no', 'may', 'must')


class TlsServer(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.clear, cls.tls = {}, {}
        channels, services = [], []
        for level in LEVELS:
            cls.clear[level], cls.tls[level] = free_port(), free_port()
            channels.append('tcp_%s smtp %stlsserver logging\ntcp-%s-daemon'
                            % (level, level, level))
            services.append(kit.service(level.upper(), 'tcp_' + level, cls.clear[level],
                                        cls.tls[level]))
        cls.clear['ignore'] = free_port()
        channels.append('tcp_ignore smtp maytlsserver tlsinjection ignore logging\ntcp-ignore-daemon')
        services.append(kit.service('IGNORE', 'tcp_ignore', cls.clear['ignore']))
        return Router(kit.site(['. $U%$H@tcp-no-daemon'], channels, services))

    def arrives(self, word, level, tls):
        mail = self.shared.find_mail(word.encode())
        self.assertRegex(mail, (r'channel tcp_%s\)\s+with %s\s'
                                % (level, 'ESMTPS' if tls else 'ESMTP')).encode())

    def still_serves(self, level='may'):
        with kit.Wire(self.clear[level]) as wire:
            wire.ehlo()

    # --- level times client ---

    def advertised(self, level):
        with kit.Wire(self.clear[level]) as wire:
            self.assertEqual('STARTTLS' in wire.ehlo(), level != 'no')

    def in_clear(self, level):
        word = kit.token()
        if level == 'must':
            with self.assertRaises(kit.Refused) as caught:
                kit.send(self.clear[level], 'ann@router.test', subject=word)
            self.assertEqual((caught.exception.step, caught.exception.code), ('MAIL', 530))
            self.assertTrue(caught.exception.text.startswith('5.7.0'), caught.exception)
            return
        kit.send(self.clear[level], 'ann@router.test', subject=word)
        self.arrives(word, level, False)

    def with_starttls(self, level):
        word = kit.token()
        with kit.Wire(self.clear[level]) as wire:
            wire.ehlo()
            if level == 'no':
                wire.want('STARTTLS', 502, '5.5.1')
                wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % word)
            else:
                wire.starttls()
                wire.ehlo()
                wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % word)
        self.arrives(word, level, level != 'no')

    def handshake_fails(self, level, kind):
        wire = kit.Wire(self.clear[level])
        self.addCleanup(wire.close)
        wire.ehlo()
        if level == 'no':
            wire.want('STARTTLS', 502, '5.5.1')
            return
        before = len(self.shared.events('tls', side='server', channel='tcp_' + level))
        wire.want('STARTTLS', 220)
        if kind == 'old version':
            context = kit.client_context(only=ssl.TLSVersion.TLSv1)
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                wire.handshake(context)
        elif kind == 'garbage':
            wire.send(b'MAIL FROM:<evil@far.test>\r\nRCPT TO:<ann@router.test>\r\nDATA\r\n')
            try:
                # at most an alert record of TLS, never a reply
                self.assertNotRegex(wire.socket.recv(4096), rb'^\d\d\d[ -]')
            except ConnectionError:
                pass
        elif kind == 'truncated record':
            wire.send(b'\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03')
            wire.socket.shutdown(socket.SHUT_WR)
        else:
            wire.socket.shutdown(socket.SHUT_RDWR)
        wire.close()
        event = wait_until('a failed handshake in the log', lambda: self.shared.events(
            'tls', side='server', channel='tcp_' + level)[before:])[0]
        self.assertTrue(event.get('error'), event)
        end = self.shared.wait_event('disconnect', session=event['session'])
        self.assertEqual(end['reason'], 'tls-failed')
        self.assertEqual(self.shared.events('enqueue', session=event['session']), [])
        self.still_serves(level)

    # --- must: what is allowed before TLS ---

    def before_tls(self, command, code):
        with kit.Wire(self.clear['must']) as wire:
            wire.ehlo()
            wire.want(command, code, '5.7.0' if code == 530 else '')
            if code != 221:
                wire.want('NOOP', 250)

    def before_ehlo(self, command, code):
        with kit.Wire(self.clear['must']) as wire:
            wire.want(command, code)

    # --- replies to STARTTLS ---

    def test_twice(self):
        for level in ('may', 'must'):
            with self.subTest(level), kit.Wire(self.clear[level]) as wire:
                wire.ehlo()
                wire.starttls()
                wire.ehlo()
                wire.want('STARTTLS', 503, '5.5.1')
                wire.want('NOOP', 250)

    def test_with_argument(self):
        for level in ('may', 'must'):
            with self.subTest(level), kit.Wire(self.clear[level]) as wire:
                wire.ehlo()
                wire.want('STARTTLS now', 501, '5.5.4')
                wire.starttls()

    def test_before_ehlo(self):
        with kit.Wire(self.clear['may']) as wire:
            wire.want('STARTTLS', 503)
            wire.ehlo()
            wire.starttls()

    def test_inside_a_transaction(self):
        with kit.Wire(self.clear['may']) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<a@b.test>', 250)
            wire.want('STARTTLS', 503)
            wire.want('RCPT TO:<ann@router.test>', 250)
            wire.want('STARTTLS', 503)
            wire.want('RSET', 250)
            wire.starttls()

    # --- the border ---

    def test_pipelined_behind_starttls(self):
        """Never executed: refused and closed, and counted."""
        before = self.shared.status()['tls_in_injected']
        for level in ('may', 'must'):
            for behind in (b'NOOP\r\n', b'EHLO x\r\nMAIL FROM:<evil@far.test>\r\n', b'x',
                           b'\r\n', b'\x16\x03\x01'):
                with self.subTest(level=level, behind=behind), \
                        kit.Wire(self.clear[level]) as wire:
                    wire.ehlo()
                    wire.send(b'STARTTLS\r\n' + behind)
                    reply = wire.reply()
                    self.assertEqual((reply.code, reply.text.split()[0]), (554, '5.5.1'))
                    self.assertTrue(wire.is_closed())
        wait_until('the counter', lambda: self.shared.status()[
            'tls_in_injected'] == before + 10)
        self.assertFalse([e for e in self.shared.events()
                          if 'evil@far.test' in e.get('from', '')])
        self.assertTrue(self.shared.events('disconnect', reason='starttls-injection'))

    def test_injection_ignored(self):
        """tlsinjection ignore: thrown away, not executed; the session goes on under TLS."""
        with kit.Wire(self.clear['ignore']) as wire:
            wire.ehlo()
            wire.send(b'STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil2@far.test>\r\n')
            self.assertEqual(wire.reply().code, 220)
            wire.handshake()
            wire.want('RCPT TO:<ann@router.test>', 503)
            wire.ehlo()
            wire.mail('ann@router.test')
        self.assertFalse([e for e in self.shared.events()
                          if 'evil2@far.test' in e.get('from', '')])
        self.assertTrue(self.shared.events('tls', channel='tcp_ignore', ignored='44'))

    def test_state_is_forgotten(self):
        """EHLO is needed again, and the name in Received is the second one."""
        word = kit.token()
        with kit.Wire(self.clear['may']) as wire:
            wire.ehlo('before.test')
            wire.starttls()
            wire.want('MAIL FROM:<a@b.test>', 503)
            wire.want('RCPT TO:<ann@router.test>', 503)
            wire.ehlo('after.test')
            wire.want('RCPT TO:<ann@router.test>', 503)
            wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % word)
        mail = self.shared.find_mail(word.encode())
        self.assertIn(b'from after.test', mail)
        self.assertNotIn(b'before.test', mail)

    def test_errors_before_do_not_count_after(self):
        """An HELO session may become an ESMTP one inside TLS."""
        with kit.Wire(self.clear['may']) as wire:
            wire.want('HELO old.test', 250)
            wire.starttls()
            self.assertNotIn('STARTTLS', wire.ehlo())

    def test_not_advertised_inside(self):
        for level in ('may', 'must'):
            with self.subTest(level), kit.Wire(self.clear[level]) as wire:
                wire.ehlo()
                wire.starttls()
                self.assertNotIn('STARTTLS', wire.ehlo())

    def test_client_hello_in_clear(self):
        """TLS spoken to a port that begins in clear: one reply, then the end."""
        with kit.Wire(self.clear['may']) as wire:
            wire.send(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(500))
            self.assertEqual(wire.reply().code, 554)
            self.assertTrue(wire.is_closed())
        self.still_serves()

    def test_end_inside_data(self):
        """A client that is gone in the middle of DATA inside TLS: nothing is delivered."""
        word = kit.token()
        wire = kit.Wire(self.clear['must'])
        wire.ehlo()
        wire.starttls()
        wire.ehlo()
        wire.want('MAIL FROM:<a@b.test>', 250)
        wire.want('RCPT TO:<ann@router.test>', 250)
        wire.want('DATA', 354)
        wire.send('Subject: %s\r\n\r\nhalf\r\n' % word)
        wire.close()
        with self.assertRaises(AssertionError):
            self.shared.find_mail(word.encode(), timeout=0.5)
        self.still_serves()

    # --- ciphers ---

    def weak_cipher(self, ciphers):
        context = kit.client_context(only=ssl.TLSVersion.TLSv1_2)
        try:
            context.set_ciphers(ciphers + ':@SECLEVEL=0')
        except ssl.SSLError:
            self.skipTest("this machine's OpenSSL has none of them")
        with kit.Wire(self.clear['may']) as wire:
            wire.ehlo()
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                wire.starttls(context)

    # --- implicit TLS ---

    def implicit(self, level):
        word = kit.token()
        with kit.Wire(self.tls[level], tls=True) as wire:
            self.assertNotIn('STARTTLS', wire.ehlo())
            wire.want('STARTTLS', 503)
            wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % word)
        self.arrives(word, level, True)

    def implicit_handshake_fails(self, level):
        for data in (b'EHLO client.test\r\nMAIL FROM:<evil@far.test>\r\n', b'\x16\x03\x01', b''):
            with self.subTest(data=data), \
                    socket.create_connection(('127.0.0.1', self.tls[level]), 15) as s:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                try:
                    self.assertNotRegex(s.recv(4096), rb'^\d\d\d[ -]')
                except ConnectionError:
                    pass
        self.implicit(level)

    def test_implicit_says_nothing_in_clear(self):
        with socket.create_connection(('127.0.0.1', self.tls['may']), 15) as s:
            s.settimeout(0.5)
            with self.assertRaises(TimeoutError):
                s.recv(1)


for row in LEVELS:
    add_cases(TlsServer, row, [('starttls advertised', row)], TlsServer.advertised)
    add_cases(TlsServer, row, [('client in clear', row)], TlsServer.in_clear)
    add_cases(TlsServer, row, [('client says starttls', row)], TlsServer.with_starttls)
    add_cases(TlsServer, row, [
        ('handshake fails ' + kind, row, kind)
        for kind in ('old version', 'garbage', 'truncated record', 'closed')
    ], TlsServer.handshake_fails)
    add_cases(TlsServer, row, [('implicit', row)], TlsServer.implicit)
    add_cases(TlsServer, row, [('implicit handshake fails', row)],
              TlsServer.implicit_handshake_fails)

add_cases(TlsServer, 'must_before_tls', [
    ('mail', 'MAIL FROM:<a@b.test>', 530), ('rcpt', 'RCPT TO:<ann@router.test>', 530),
    ('data', 'DATA', 530), ('vrfy', 'VRFY ann', 530), ('expn', 'EXPN list', 530),
    ('help', 'HELP', 530), ('auth', 'AUTH PLAIN AAAA', 530), ('bdat', 'BDAT 3', 530),
    ('unknown', 'FOO', 530), ('bad mail', 'MAIL FROM', 530),
    ('ehlo', 'EHLO again.test', 250), ('helo', 'HELO again.test', 250),
    ('noop', 'NOOP', 250), ('rset', 'RSET', 250), ('quit', 'QUIT', 221),
    ('starttls with argument', 'STARTTLS x', 501),
], TlsServer.before_tls)

add_cases(TlsServer, 'must_before_ehlo', [
    ('mail', 'MAIL FROM:<a@b.test>', 530), ('rset', 'RSET', 250), ('noop', 'NOOP', 250),
    ('quit', 'QUIT', 221), ('helo', 'HELO x.test', 250),
], TlsServer.before_ehlo)

add_cases(TlsServer, 'weak_cipher', [
    ('anonymous', 'ADH:AECDH'), ('no encryption', 'eNULL'),
], TlsServer.weak_cipher)
