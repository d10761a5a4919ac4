"""Clients written elsewhere: swaks, curl and Python's smtplib, each in clear, with
STARTTLS and with implicit TLS; then what the extensions promise, on the wire."""
import subprocess
import tempfile

import kit
from harness import Router, SharedRouterTest, add_cases, free_port
from peers import Aiosmtpd

TLS_CLAUSE = rb'with ESMTPS\s+\(version=TLSv1\.[23]\s+cipher=[A-Z0-9_-]+\)'


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=30, text=True)
    if done.returncode != 0:
        raise AssertionError('%s\nexit code %d\n%s' % (command, done.returncode, done.stdout))
    return done.stdout


def swaks(port, way, word):
    tls = {'clear': [], 'starttls': ['--tls'], 'implicit': ['--tls-on-connect']}[way]
    run('swaks', '--server', '127.0.0.1', '--port', str(port), '--from', kit.SENDER, '--to',
        'ann@router.test', '--helo', 'client.test', '--header', 'Subject: ' + word,
        '--body', 'from swaks', *tls)


def curl(port, way, word):
    scheme = 'smtps' if way == 'implicit' else 'smtp'
    tls = {'clear': [], 'starttls': ['--ssl-reqd', '--insecure'], 'implicit': ['--insecure']}
    with tempfile.NamedTemporaryFile('w', newline='') as file:
        file.write('Subject: %s\r\n\r\nfrom curl\r\n' % word)
        file.flush()
        run('curl', '--silent', '--show-error', '--url',
            '%s://127.0.0.1:%d/client.test' % (scheme, port), '--mail-from', kit.SENDER,
            '--mail-rcpt', 'ann@router.test', '--upload-file', file.name, *tls[way])


def smtplib(port, way, word):
    kit.send(port, 'ann@router.test', subject=word, tls=None if way == 'clear' else way)


class Clients(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.port, cls.tls_port = free_port(), free_port()
        cls.peer8 = cls.class_peer(Aiosmtpd(tls='none', size_limit=100000))
        return Router(kit.site(
            ['out.test $U%$D@tcp-out-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp maytls tlsswitchchannel tcp_tls logging\ntcp-daemon',
             'tcp_tls smtp musttlsserver logging\ntcp-tls-daemon',
             'tcp_out smtp nomx daemon 127.0.0.1 port %d logging\ntcp-out-daemon'
             % cls.peer8.port],
            [kit.service('SMTP', 'tcp_local', cls.port),
             kit.service('SUBMISSIONS', 'tcp_tls', tls_port=cls.tls_port)],
            ['out.test']))

    def client(self, program, way):
        word = kit.token()
        program(self.tls_port if way == 'implicit' else self.port, way, word)
        mail = self.shared.find_mail(word.encode())
        received = mail[mail.index(b'Received:'):mail.index(b'Subject:')]
        self.assertRegex(received, rb'from client\.test \(localhost \[127\.0\.0\.1\]\)')
        self.assertRegex(received, rb'by router\.test')
        if way == 'clear':
            self.assertRegex(received, rb'channel tcp_local\)\s+with ESMTP\s+id')
            self.assertNotIn(b'TLS', received)
        else:
            self.assertRegex(received, rb'channel tcp_tls\)\s+' + TLS_CLAUSE)
        self.assertTrue(mail.startswith(b'Return-Path: <' + kit.SENDER.encode() + b'>\n'))
        self.in_the_log(received, way)

    def in_the_log(self, received, way):
        ident = received.split(b' id ')[-1].split()[0].decode().rstrip(';')
        enqueue = self.shared.wait_event('enqueue', id=ident)
        session = enqueue['session']
        connect = self.shared.wait_event('connect', session=session)
        self.assertEqual(connect['peer'], '127.0.0.1')
        self.assertEqual(connect['channel'], 'tcp_tls' if way == 'implicit' else 'tcp_local')
        route = self.shared.wait_event('route', session=session)
        self.assertEqual(route['channel'], 'l')
        switches = self.shared.events('switch', session=session)
        if way == 'starttls':
            self.assertEqual([(s['from'], s['to'], s['by']) for s in switches],
                             [('tcp_local', 'tcp_tls', 'tls')])
            self.assertIn('pointsman.cnf:', switches[0]['rule'])
        else:
            self.assertEqual(switches, [])
        self.assertEqual(len(self.shared.events('tls', session=session)),
                         0 if way == 'clear' else 1)
        deliver = self.shared.wait_event('deliver', id=ident)
        self.assertEqual((deliver['outcome'], deliver['channel']), ('delivered', 'l'))

    # --- the extensions ---

    def test_ehlo_words(self):
        with kit.Wire(self.port) as wire:
            words = wire.ehlo()
            self.assertEqual(words[''], 'router.test')
            for word in ('PIPELINING', '8BITMIME', 'SIZE', 'ENHANCEDSTATUSCODES', 'STARTTLS'):
                self.assertIn(word, words)
            self.assertGreater(int(words['SIZE'].split()[1]), 1 << 20)

    def test_helo_is_smtp(self):
        word = kit.token()
        with kit.Wire(self.port) as wire:
            wire.want('HELO old.test', 250)
            wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % word)
        mail = self.shared.find_mail(word.encode())
        self.assertRegex(mail, rb'from old\.test .*\n?.*with SMTP\s')

    def test_pipelining(self):
        """One write for a whole transaction: the replies come in order."""
        word = kit.token()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.send('MAIL FROM:<%s>\r\nRCPT TO:<ann@router.test>\r\n'
                      'RCPT TO:<nobody@router.test>\r\nRCPT TO:<postmaster@router.test>\r\n'
                      'DATA\r\n' % kit.SENDER)
            self.assertEqual([wire.reply().code for _ in range(5)], [250, 250, 550, 250, 354])
            wire.send('Subject: %s\r\n\r\nx\r\n.\r\nNOOP\r\nQUIT\r\n' % word)
            self.assertEqual([wire.reply().code for _ in range(3)], [250, 250, 221])
            self.assertTrue(wire.is_closed())
        self.shared.find_mail(word.encode())
        self.shared.find_mail(word.encode(), user='postmaster')

    def test_pipelined_messages(self):
        """Several messages behind each other, DATA content in the same packets."""
        words = [kit.token() for _ in range(10)]
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            for word in words[:-1]:
                wire.send('MAIL FROM:<%s>\r\nRCPT TO:<ann@router.test>\r\nDATA\r\n'
                          % kit.SENDER)
                self.assertEqual([wire.reply().code for _ in range(3)], [250, 250, 354])
                wire.send('Subject: %s\r\n\r\nx\r\n.\r\nRSET\r\n' % word)
                self.assertEqual([wire.reply().code for _ in range(2)], [250, 250])
            wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % words[-1])
        for word in words:
            self.shared.find_mail(word.encode())

    def test_pipelined_after_refused_mail(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.send('MAIL FROM:<bad\r\nRCPT TO:<ann@router.test>\r\nDATA\r\nNOOP\r\n')
            self.assertEqual([wire.reply().code for _ in range(4)], [501, 503, 503, 250])

    def test_8bitmime(self):
        word = kit.token()
        body = 'Subject: {}\r\n\r\nGr\u00fc\u00dfe\r\n'.format(word).encode()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<a@b.test> BODY=9BIT', 501)
            wire.mail(['ann@router.test', 'bob@out.test'], parameters=' BODY=8BITMIME',
                      body=body)
        self.assertIn('Gr\u00fc\u00dfe\n'.encode(), self.shared.find_mail(word.encode()))
        mail = self.peer8.find(word.encode())
        self.assertTrue(mail[2].endswith('Gr\u00fc\u00dfe\r\n'.encode()))
        self.assertIn('BODY=8BITMIME', self.peer8.options[-1])

    def test_size(self):
        with kit.Wire(self.port) as wire:
            limit = int(wire.ehlo()['SIZE'].split()[1])
            wire.want('MAIL FROM:<a@b.test> SIZE=%d' % (limit + 1), 552, '5.3.4')
            wire.want('MAIL FROM:<a@b.test> SIZE=99999999999999999999', 552, '5.3.4')
            wire.want('MAIL FROM:<a@b.test> SIZE=many', 501)
            wire.want('MAIL FROM:<a@b.test> SIZE=%d' % limit, 250)
            wire.want('RSET', 250)
            wire.want('MAIL FROM:<a@b.test> FOO=1', 555)

    def test_size_given_to_the_next_hop(self):
        word = kit.token()
        kit.send(self.port, 'bob@out.test', subject=word)
        mail = self.peer8.find(word.encode())
        sizes = [int(o[5:]) for options in self.peer8.options for o in options
                 if o.startswith('SIZE=')]
        self.assertIn(len(mail[2]), sizes)

    def test_too_big_for_the_next_hop(self):
        """Its SIZE says so: not even tried, a report goes to the sender."""
        word = kit.token()
        kit.send(self.port, 'bob@out.test', sender='ann@router.test',
                 body='Subject: %s\r\n\r\n' % word + ('x' * 70 + '\r\n') * 2000)
        report = self.shared.find_mail(('Subject: ' + word).encode())
        self.assertIn(b'5.3.4', report)

    # --- the other verbs ---

    def verb(self, command, code, text=''):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want(command, code, text)
            wire.want('NOOP', 250)

    def test_order_of_commands(self):
        with kit.Wire(self.port) as wire:
            wire.want('MAIL FROM:<a@b.test>', 503)
            wire.ehlo()
            wire.want('RCPT TO:<ann@router.test>', 503)
            wire.want('DATA', 503)
            wire.want('MAIL FROM:<a@b.test>', 250)
            wire.want('DATA', 503)
            wire.want('MAIL FROM:<a@b.test>', 503)
            wire.want('RSET', 250)
            wire.want('RCPT TO:<ann@router.test>', 503)
            wire.want('QUIT', 221)
            self.assertTrue(wire.is_closed())

    def test_strict_line_ends(self):
        """Only CR LF . CR LF ends a message; a bare LF or CR refuses it, at its end."""
        for name, text in (('lf', b'a\nb\r\n.\r\n'), ('cr', b'a\rb\r\n.\r\n'),
                           ('lf dot lf', b'a\n.\nMAIL FROM:<evil@x.test>\r\n.\r\n'),
                           ('cr dot cr', b'a\r.\rQUIT\r\n.\r\n'),
                           ('lf dot crlf', b'a\n.\r\nQUIT\r\n.\r\n'),
                           ('nul', b'a\0b\r\n.\r\n')):
            with self.subTest(name), kit.Wire(self.port) as wire:
                wire.ehlo()
                wire.want('MAIL FROM:<a@b.test>', 250)
                wire.want('RCPT TO:<ann@router.test>', 250)
                wire.want('DATA', 354)
                wire.send(b'Subject: smuggled\r\n\r\n' + text)
                self.assertEqual(wire.reply().code, 554)
                wire.want('NOOP', 250)
        self.assertFalse([m for m in self.shared.mails() if b'smuggled' in m])

    def test_bare_lf_in_a_command(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.send(b'NOOP\nMAIL FROM:<a@b.test>\r\n')
            self.assertEqual(wire.reply().code, 500)
            wire.want('RCPT TO:<ann@router.test>', 503)

    def test_http_is_sent_away(self):
        with kit.Wire(self.port) as wire:
            wire.send('POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.test>\r\n')
            self.assertEqual(wire.reply().code, 554)
            self.assertTrue(wire.is_closed())

    def test_hundred_recipients(self):
        """RFC 5321 4.5.3.1.8: at least a hundred are taken."""
        word = kit.token()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.mail(['u%d@out.test' % i for i in range(100)],
                      body='Subject: %s\r\n\r\nx\r\n' % word)
        self.assertEqual(len(self.peer8.find(word.encode())[1]), 100)


add_cases(Clients, 'client', [
    ('%s %s' % (program.__name__, way), program, way)
    for program in (swaks, curl, smtplib) for way in ('clear', 'starttls', 'implicit')
], Clients.client)

add_cases(Clients, 'verb', [
    ('vrfy', 'VRFY ann', 252), ('noop with argument', 'NOOP x', 250), ('rset', 'RSET', 250),
    ('help', 'HELP', 214), ('expn', 'EXPN list', 502), ('bdat', 'BDAT 10 LAST', 502),
    ('auth', 'AUTH PLAIN AAAA', 502), ('unknown', 'FOO', 500), ('lower case', 'noop', 250),
    ('ehlo without name', 'EHLO', 501),
    ('mail without path', 'MAIL', 501), ('mail without domain', 'MAIL FROM:<ann>', 553),
    ('too long', 'NOOP ' + 'x' * 3000, 500), ('nul', b'NOOP \0', 500),
    ('not ascii', 'MAIL FROM:<\u00fc@b.test>', 553),
], Clients.verb)
