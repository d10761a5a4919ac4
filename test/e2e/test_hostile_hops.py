"""Next hops that break every rule: replies in pieces, too long, with octets nobody expects,
too early, too many; connections that end, or stand still, at each step. Whatever they do, the
message is delivered, deferred or failed as their words allow, nobody else waits for them, and
what they say gets into no log line, report or answer of the tool unseen."""
import email
import email.policy
import json
import socket
import ssl
import struct
import subprocess
import tempfile
import time

import kit
from harness import TOOL, Router, SharedRouterTest, add_cases, free_port, make_certificate, wait_until
from peers import Scripted

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
EHLO = b'250-hop.test\r\n250 8BITMIME\r\n'
PIPE = b'250-hop.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n'


class Hop(Scripted):
    """Each connection is given to script(Line); it ends when that returns."""

    def __init__(self, script, certificate):
        self.script = script
        super().__init__(certificate=certificate)

    def talk(self, connection):
        self.script(Line(connection))


class Line:
    def __init__(self, connection):
        self.socket, self.buffer = connection, b''

    def say(self, data):
        self.socket.sendall(data)

    def pieces(self, data):
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            self.socket.sendall(data[i:i + 1])
            time.sleep(0.002)

    def until(self, end=b'\r\n'):
        while end not in self.buffer:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError
            self.buffer += more
        got, self.buffer = self.buffer.split(end, 1)
        return got

    def ask(self, data):
        """The reply, and what comes then."""
        self.say(data)
        return self.until()

    def reset(self):
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()

    def transaction(self, ehlo=EHLO, rcpt=b'250 ok\r\n', final=b'250 taken\r\n'):
        """All as it should be, for one recipient, up to QUIT."""
        self.ask(b'220 hop\r\n')
        self.ask(ehlo)
        self.ask(b'250 ok\r\n')
        self.ask(rcpt)
        self.say(b'354 go\r\n')
        self.until(b'\r\n.\r\n')
        self.ask(final)
        self.say(b'221 bye\r\n')


def in_pieces(line):
    line.pieces(b'220-hop\r\n220 test\r\n')
    line.until()
    line.pieces(PIPE)
    line.until()
    line.pieces(b'250 ok\r\n250 ok\r\n354 go\r\n')
    line.until(b'\r\n.\r\n')
    line.pieces(b'250-2.0.0 taken\r\n250 2.0.0 really\r\n')
    line.until()


def greeting(data):
    return lambda line: (line.say(data), time.sleep(0.3))


def ehlo(data):
    def script(line):
        line.ask(b'220 hop\r\n')
        line.ask(data)
        line.ask(b'250 ok\r\n')
        line.ask(b'250 ok\r\n')
        line.say(b'354 go\r\n')
        line.until(b'\r\n.\r\n')
        line.ask(b'250 taken\r\n')
    return script


def final(data):
    return lambda line: line.transaction(final=data)


def rcpt(data):
    def script(line):
        line.ask(b'220 hop\r\n')
        line.ask(EHLO)
        line.ask(b'250 ok\r\n')
        line.ask(data)
        line.say(b'221 bye\r\n')
    return script


def then(step, act):
    """Goes right up to the step, then act(line)."""
    def script(line):
        for name, reply in (('greeting', b'220 hop\r\n'), ('EHLO', EHLO), ('MAIL', b'250 ok\r\n'),
                            ('RCPT', b'250 ok\r\n'), ('DATA', b'354 go\r\n'),
                            ('dot', b'250 taken\r\n')):
            if name == step:
                act(line)
                return
            line.say(reply)
            line.until(b'\r\n.\r\n' if name == 'DATA' else b'\r\n')
    return script


def data_early(reply):
    """Something behind the 354, before a large message is there."""
    def script(line):
        line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.ask(b'220 hop\r\n')
        line.ask(EHLO)
        line.ask(b'250 ok\r\n')
        line.ask(b'250 ok\r\n')
        line.say(b'354 go\r\n' + reply)
        time.sleep(0.5)
    return script


def unasked(line):
    """All replies with the first one."""
    line.ask(b'220 hop\r\n')
    line.ask(EHLO)
    line.say(b'250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n')
    time.sleep(0.5)


def unasked_pipelining(line):
    line.ask(b'220 hop\r\n')
    line.ask(PIPE)
    line.say(b'250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n250 taken\r\n250 taken\r\n')
    time.sleep(0.5)


def deaf(line):
    """Takes the connection and the first octets of the message, and no more."""
    line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.ask(b'220 hop\r\n')
    line.ask(EHLO)
    line.ask(b'250 ok\r\n')
    line.ask(b'250 ok\r\n')
    line.say(b'354 go\r\n')
    time.sleep(8)


def silent(line):
    time.sleep(8)


def shaken(then_what, large=False):
    """Under TLS up to the message; then_what(line) stands where its end would come."""
    def script(line):
        line.ask(b'220 hop\r\n')
        line.ask(b'250-hop.test\r\n250 STARTTLS\r\n')
        line.say(b'220 go\r\n')
        line.socket = CONTEXT.wrap_socket(line.socket, server_side=True)
        line.until()
        line.ask(PIPE)
        line.say(b'250 ok\r\n250 ok\r\n354 go\r\n')
        line.until(b'DATA\r\n') if large else line.until(b'\r\n.\r\n')
        then_what(line)
    return script


def notify(line):
    """close_notify, and the connection stays."""
    line.socket.settimeout(1)
    line.socket.unwrap()


def clear(line):
    """Octets that are no record of TLS, where the reply would be."""
    raw = socket.socket(fileno=line.socket.detach())
    raw.sendall(b'250 2.0.0 taken\r\n')
    time.sleep(0.5)
    raw.close()


OUTCOMES = [
    # name, script, outcome, status, large
    ('pieces', in_pieces, 'delivered', '2.'),
    ('NUL in the greeting', greeting(b'220 a\0b\r\n'), 'deferred', '4.5.0'),
    ('a megabyte without line end', greeting(b'220 ' + b'x' * 1000000), 'deferred', '4.5.0'),
    ('a megabyte of lines', greeting(b'220-' + b'x' * 60 + b'\r\n220-' * 1 +
                                    (b'x' * 60 + b'\r\n220-') * 16000), 'deferred', '4.5.0'),
    ('greeting 250', greeting(b'250 hello\r\n'), 'deferred', '4.5.0'),
    ('greeting 354', greeting(b'354 hello\r\n'), 'deferred', '4.5.0'),
    ('greeting 999', greeting(b'999 hello\r\n'), 'deferred', '4.5.0'),
    ('greeting HTTP', greeting(b'HTTP/1.1 400 Bad Request\r\n\r\n'), 'deferred', '4.5.0'),
    ('greeting of two codes', greeting(b'220-a\r\n554 b\r\n'), 'deferred', '4.5.0'),
    ('greeting without CR', greeting(b'220 a\n'), 'deferred', '4.5.0'),
    ('EHLO with 10,000 keywords', ehlo(b'250-hop\r\n' + b''.join(
        b'250-X%d\r\n' % i for i in range(10000)) + b'250 SIZE\r\n'), 'deferred', '4.5.0'),
    ('EHLO with ninety keywords', ehlo(b'250-hop\r\n' + b''.join(
        b'250-X%d\r\n' % i for i in range(90)) + b'250 SIZE\r\n'), 'delivered', '2.'),
    ('SIZE that does not fit', ehlo(b'250-hop\r\n250 SIZE 99999999999999999999999999\r\n'),
     'delivered', '2.'),
    ('SIZE that is none', ehlo(b'250-hop\r\n250 SIZE -1\r\n'), 'delivered', '2.'),
    ('keywords with 8-bit octets', ehlo(b'250-h\xff\r\n250-\xc3\xa9=\x80\r\n250 SIZE\r\n'),
     'delivered', '2.'),
    ('only the code', ehlo(b'250\r\n'), 'delivered', '2.'),
    ('a final reply of two thousand octets', final(b'250 ' + b'y' * 2000 + b'\r\n'), 'delivered', '2.'),
    ('a final reply that is too long', final(b'250 ' + b'y' * 200000 + b'\r\n'), 'deferred', '4.5.0'),
    ('final 3xx', final(b'354 more\r\n'), 'deferred', '4.5.0'),
    ('final with a class that does not fit', final(b'250 5.1.1 taken\r\n'), 'delivered', '2.'),
    ('final 5xx', final(b'554 5.6.0 no\r\n'), 'failed', '5.6.0'),
    ('RCPT 354', rcpt(b'354 go\r\n'), 'deferred', '4.5.0'),
    ('RCPT 552 5.2.2', rcpt(b'552 5.2.2 full\r\n'), 'failed', '5.2.2'),
    ('RCPT 599', rcpt(b'599 what\r\n'), 'failed', '5.'),
    ('RCPT 600', rcpt(b'600 what\r\n'), 'deferred', '4.5.0'),
    ('too many replies', unasked, 'deferred', '4.5.0'),
    ('too many replies with PIPELINING', unasked_pipelining, 'deferred', '4.5.0'),
    ('250 before the dot', data_early(b'250 taken\r\n'), 'deferred', '4.5.0', True),
    ('354 twice', data_early(b'354 go\r\n'), 'deferred', '4.5.0', True),
    ('554 before the dot', data_early(b'554 5.7.1 enough\r\n'), 'failed', '5.7.1', True),
    ('452 before the dot', data_early(b'452 4.3.1 full\r\n'), 'deferred', '4.3.1', True),
    ('354, then closed', then('DATA', lambda line: line.say(b'354 go\r\n')), 'deferred', '4.4.2', True),
    ('deaf', deaf, 'deferred', '4.4.2', True),
    ('accepts and says nothing', silent, 'deferred', '4.4.1'),
    ('says nothing at the end', then('dot', silent), 'deferred', '4.4.2'),
    ('close_notify in the message', shaken(notify, True), 'deferred', '4.4.2', True),
    ('close_notify for a reply', shaken(notify), 'deferred', '4.4.2'),
    ('a reply in clear under TLS', shaken(clear), 'deferred', '4.4.2'),
] + [('reset at ' + step, then(step, Line.reset), 'deferred', '4.4.')
     for step in ('greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'dot')]


class Hops(SharedRouterTest):
    """One channel for each of them."""

    @classmethod
    def make_router(cls):
        with tempfile.TemporaryDirectory() as folder:
            certificate = make_certificate(folder)
            CONTEXT.load_cert_chain(*certificate)
            cls.make_hops(certificate)
        cls.port = free_port()
        rules, channels, files = [], [], {}
        for i, (hop, domain) in enumerate(cls.hops.values()):
            rules.append('%s $U%%$D@tcp-h%d' % (domain, i))
            channels.append('tcp_h%d smtp nomx maytlsclient daemon 127.0.0.1 logging nocache '
                            'backoff PT1H port %d\ntcp-h%d' % (i, hop.port, i))
            files['tcp_h%d_option' % i] = ''.join('%s=0.05\n' % n for n in (
                'STATUS_RECEIVE_TIME', 'STATUS_MAIL_RECEIVE_TIME', 'STATUS_RCPT_RECEIVE_TIME',
                'STATUS_DATA_RECEIVE_TIME', 'DATA_TRANSMIT_TIME'))
        return Router(kit.site(
            ['router.test $U%router.test@router.test'] + rules,
            ['l logging\nrouter.test', 'tcp_local smtp\ntcp-daemon'] + channels,
            [kit.service('SMTP', 'tcp_local', cls.port)],
            ['router.test'] + [domain for _, domain in cls.hops.values()], files=files),
            users=['sue', 'postmaster'])

    @classmethod
    def make_hops(cls, certificate):
        rows = [(row[0], row[1]) for row in OUTCOMES] + [('words', cls.words)]
        cls.hops = {name: (cls.class_peer(Hop(script, certificate)), 'h%d.test' % i)
                    for i, (name, script) in enumerate(rows)}

    @classmethod
    def words(cls, line):
        line.transaction(final=cls.said)

    @classmethod
    def send(cls, name, large=False):
        word = kit.token()
        body = 'Subject: %s\r\n\r\n' % word + ('z' * 76 + '\r\n') * (60000 if large else 1)
        return kit.queue_id(kit.send(cls.port, 'joe@' + cls.hops[name][1], 'sue@router.test',
                                     body=body)), word

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sent = {row[0]: cls.send(row[0], large=len(row) > 4)[0] for row in OUTCOMES}

    def ends(self, name, outcome, status, large=False):
        event = self.shared.wait_event('deliver', id=self.sent[name], timeout=30)
        self.assertEqual(event['outcome'], outcome, event)
        self.assertTrue(event['status'].startswith(status), event)
        self.assertEqual(self.hops[name][0].connections, 1)

    def test_words(self):
        """What a hop says is shown, and is never more than text: in log, report and tool."""
        words = (b'\x1b[2J\x07 event=deliver "to=x \\ %n ${IFS} \xff\xfe \xc3\xa9 \xe2\x80\xae '
                 b'\x7f\x01\t--== <b>')
        type(self).said = b'554-5.6.0 ' + words + b'\r\n554 5.6.0 Status: 2.0.0\r\n'
        ident, word = self.send('words')
        event = self.shared.wait_event('deliver', id=ident)
        self.assertEqual((event['outcome'], event['status']), ('failed', '5.6.0'))
        log = self.shared.log_text()
        self.assertEqual([c for c in log if c < ' ' and c != '\n' or c in '\x7f\u202e\ufffd'], [])
        mail = self.shared.find_mail(b'Subject: ' + word.encode(), 'sue')
        report = email.message_from_bytes(mail, policy=email.policy.default)
        self.assertEqual([d for p in report.walk() for d in p.defects], [])
        status = report.get_payload()[1].get_payload()
        self.assertEqual(len(status), 2)
        self.assertEqual(status[1]['Status'], '5.6.0')
        self.assertIn('Status: 2.0.0', status[1]['Diagnostic-Code'])
        self.assertEqual([o for o in mail if o < 32 and o not in (9, 10) or o > 126], [])

    def test_words_in_the_tool(self):
        type(self).said = b'451-4.3.0 \x1b[2J\x9b2J \xff\r\n451 4.3.0 again\r\n'
        ident, _ = self.send('words')
        self.shared.wait_event('deliver', id=ident)
        wait_until('it waits', lambda: 'again' in self.shared.tool('queue', 'show', ident).stdout)
        for words in (['show', ident], ['directory'], ['top', 'reason', '--once']):
            out = subprocess.run([TOOL, '-c', self.shared.conf, 'queue'] + words, timeout=60,
                                 stdout=subprocess.PIPE).stdout
            self.assertEqual([o for o in out if o < 32 and o != 10 or o > 126], [], out)
        shown = json.loads(self.shared.tool('queue', 'show', ident, '--json').stdout.splitlines()[0])
        self.assertIn('again', json.dumps(shown))


add_cases(Hops, 'ends', [(row[0],) + row[:1] + row[2:] for row in OUTCOMES], Hops.ends)
