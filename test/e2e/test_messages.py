"""Messages written by others, in over STARTTLS and out both ways, over STARTTLS to
aiosmtpd and into a Maildir: byte-exact but for the added header fields and addresses that
have no host. Then the awkward ones: big, empty, dots, long lines, sizes around every limit."""
import ast
import email
import glob
import os
import re

import kit
from harness import PEERS, Router, SharedRouterTest, add_cases, free_port
from peers import Aiosmtpd

ROOT = os.path.join(PEERS, 'mails', 'usr/lib/python3.11/test')
RECEIVED = rb'Received: from client\.test \(localhost \[127\.0\.0\.1\]\)(?:[^\r\n]|\r\n[ \t])*\r\n'
REAL_WANTED = 50
LINE_MAX = 8192


def crlf(data):
    """The input of a test: line ends made CR LF, the last line ended."""
    data = data.replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')
    return data if not data or data.endswith(b'\r\n') else data + b'\r\n'


def is_refused(data):
    """What we refuse by rule: NUL, bare CR, lines over LINE_MAX."""
    lines = data.split(b'\r\n')
    return any(b'\0' in l or b'\r' in l or b'\n' in l or len(l) > LINE_MAX for l in lines)


def completed(data):
    """As it leaves: addresses without a host are given the local host."""
    head, sep, body = data.partition(b'\r\n\r\n')
    bare = rb'(?m)^((?:From|To): \w+)(\r?)$(?!\n[ \t])'
    return re.sub(bare, rb'\1@router.test\2', head) + sep + body


def stuffed(data):
    return re.sub(rb'(^|\r\n)\.', rb'\1..', data)


def inner_messages(data):
    """Messages attached to a message, as they stand in it."""
    for part in email.message_from_bytes(data).walk():
        if part.get_content_type() == 'message/rfc822' and part.is_multipart():
            yield part.get_payload(0).as_bytes()


def quoted_in_tests():
    """Messages quoted in the tests of Python's mailbox and nntplib."""
    for name in ('test_mailbox.py', 'test_nntplib.py'):
        with open(os.path.join(ROOT, name), 'rb') as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            value = getattr(node, 'value', None)
            if isinstance(node, ast.Constant) and isinstance(value, str) and \
                    re.match(r'\s*(From|Return-Path|Path|X-Original-To): ', value) and \
                    '\n\n' in value:
                yield value.lstrip().encode()


def real_messages():
    """name -> bytes with CR LF, no two alike."""
    found = {}

    def add(name, data):
        data = crlf(data)
        if data not in found.values():
            found[name] = data
    for path in sorted(glob.glob(os.path.join(ROOT, 'test_email/data/*.txt'))):
        with open(path, 'rb') as file:
            data = file.read()
        name = os.path.basename(path)
        add(name, data)
        for i, inner in enumerate(inner_messages(data)):
            add('%s part %d' % (name, i), inner)
    for i, data in enumerate(quoted_in_tests()):
        add('quoted %d' % i, data)
    return found


def filled(size):
    """A message of exactly that many octets."""
    head = b'Subject: filled\r\n\r\n'
    line = b'0123456789' * 7 + b'\r\n'
    body = line * ((size - len(head)) // len(line))
    rest = size - len(head) - len(body)
    if rest in (0, 1):
        body, rest = body[:-len(line)], rest + len(line)
    return head + body + b'x' * (rest - 2) + b'\r\n'


class Messages(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.hop = cls.class_peer(Aiosmtpd(tls='good'))
        cls.port = free_port()
        return Router(kit.site(
            ['out.test $U%$D@tcp-out-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp maytlsserver\ntcp-daemon',
             'tcp_out smtp nomx musttlsclient daemon 127.0.0.1 port %d logging\ntcp-out-daemon'
             % cls.hop.port],
            [kit.service('SMTP', 'tcp_local', cls.port)], ['out.test']))

    def begin(self, to=('ann@router.test', 'bob@out.test')):
        wire = kit.Wire(self.port, timeout=60)
        self.addCleanup(wire.close)
        wire.ehlo()
        wire.starttls()
        wire.ehlo()
        wire.want('MAIL FROM:<sue@far.test> BODY=8BITMIME', 250)
        for address in to:
            wire.want('RCPT TO:<%s>' % address, 250)
        wire.want('DATA', 354)
        return wire

    def exact(self, data):
        wire = self.begin()
        wire.send(stuffed(data) + b'.\r\n')
        reply = wire.reply()
        self.assertEqual(reply.code, 250, reply)
        ident = kit.queue_id(reply.text)
        head = re.compile(RECEIVED)
        sent = self.shared.wait_event('deliver', id=ident, channel='tcp_out')
        self.assertEqual(sent['outcome'], 'delivered', sent)
        self.assertIn('TLS', sent['tls.version'])
        mine = [m for m in self.hop.received if b' id ' + ident.encode() in m[2][:2000]]
        self.assertEqual(len(mine), 1)
        self.assertTrue(mine[0][3])
        data = completed(data)
        self.same(data, mine[0][2], head, b'')
        stored = self.shared.find_mail(b' id ' + ident.encode())
        self.assertNotIn(b'\r\n', stored)
        self.same(data, stored.replace(b'\n', b'\r\n'), head,
                  b'Return-Path: <sue@far.test>\r\n')

    def same(self, data, got, head, first):
        self.assertTrue(got.startswith(first), got[:200])
        match = head.match(got, len(first))
        self.assertTrue(match, got[:400])
        rest = got[match.end():]
        if rest != data:
            at = next((i for i, (a, b) in enumerate(zip(rest, data)) if a != b),
                      min(len(rest), len(data)))
            self.fail('differs at %d of %d/%d: %r, was %r' % (
                at, len(rest), len(data), rest[at:at + 60], data[at:at + 60]))

    def refused(self, data, code, status):
        wire = self.begin(['ann@router.test'])
        wire.send(stuffed(data) + b'.\r\n')
        reply = wire.reply()
        self.assertEqual((reply.code, reply.text.split()[0]), (code, status))
        wire.want('NOOP', 250)

    def test_0_enough_real_messages(self):
        """Fifty at least, besides those that our rules refuse."""
        good = [n for n, d in REAL.items() if not is_refused(d)]
        bad = [n for n, d in REAL.items() if is_refused(d)]
        print('%d messages, %d more are refused by rule: %s' % (len(good), len(bad), bad))
        self.assertGreaterEqual(len(good), REAL_WANTED)
        self.assertEqual([n for n in good if completed(REAL[n]) != REAL[n]],
                         ['msg_05.txt', 'msg_15.txt', 'quoted 2', 'quoted 4'])

    def test_one_connection_for_all(self):
        """All of them over one connection, one after the other: none bleeds into the
        next."""
        wire = kit.Wire(self.port)
        self.addCleanup(wire.close)
        wire.ehlo()
        wire.starttls()
        wire.ehlo()
        idents = {}
        for name, data in REAL.items():
            if is_refused(data):
                continue
            wire.want('MAIL FROM:<>', 250)
            wire.want('RCPT TO:<bob@out.test>', 250)
            wire.want('DATA', 354)
            wire.send(stuffed(data) + b'.\r\n')
            idents[kit.queue_id(wire.reply().text)] = data
        for ident, data in idents.items():
            data = completed(data)
            got = self.hop.find(b' id ' + ident.encode())[2]
            self.assertTrue(got.endswith(data))
            self.assertTrue(re.fullmatch(RECEIVED, got[:len(got) - len(data)]))

    def test_fragments(self):
        """One octet a packet through the end of the message."""
        wire = self.begin()
        for octet in b'Subject: slow\r\n\r\n..\r\n.x\r\n.\r\n':
            wire.send(bytes([octet]))
        reply = wire.reply()
        self.assertEqual(reply.code, 250)
        ident = kit.queue_id(reply.text).encode()
        got = self.shared.find_mail(b' id ' + ident)
        self.assertTrue(got.endswith(b'Subject: slow\n\n.\nx\n'))


REAL = real_messages()
add_cases(Messages, 'real', [(n, d) for n, d in REAL.items() if not is_refused(d)],
          Messages.exact)
add_cases(Messages, 'real_refused', [(n, d, 554, '5.6.0') for n, d in REAL.items()
                                     if is_refused(d)], Messages.refused)
S = b'Subject: x\r\n\r\n'
add_cases(Messages, 'odd', [
    ('nothing at all', b''), ('only a line end', b'\r\n'), ('empty body', S),
    ('header only', b'Subject: x\r\n'), ('body without header', b'\r\nhello\r\n'),
    ('no header field', b'just text\r\nmore\r\n'), ('empty lines', S + b'\r\n' * 500),
    ('dots', S + b'.\r\n..\r\n...\r\n.x\r\nx.\r\n. \r\n.\r\n'),
    ('dot first', b'.\r\n'), ('dots only', b'.\r\n' * 300),
    ('dot last', S + b'text\r\n.\r\n'), ('commands', S + b'QUIT\r\nRSET\r\nSTARTTLS\r\n'),
    ('line of 998', S + b'x' * 998 + b'\r\n'), ('line of 999', S + b'x' * 999 + b'\r\n'),
    ('line of the limit', S + b'x' * LINE_MAX + b'\r\n'),
    ('long line of dots', S + b'.' * (LINE_MAX - 1) + b'\r\n'),
    ('long header', b'X-Long: ' + b'x' * 5000 + b'\r\n' + S),
    ('folds', b'Subject: a\r\n b\r\n\tc\r\n  \r\n d\r\n\r\nx\r\n'),
    ('trailing blanks', S + b'a  \r\n \t \r\n\t\r\n'),
    ('8 bit', S + bytes(range(128, 256)) + b'\r\n'),
    ('controls', S + bytes(c for c in range(1, 32) if c not in (10, 13)) + b'\x7f\r\n'),
    ('8 bit header', b'Subject: Gr\xc3\xbc\xc3\x9fe \xff\r\n\r\nx\r\n'),
    ('mbox line', b'From nobody Sat Nov 21 00:00:00 2026\r\n' + S + b'From x\r\n>From y\r\n'),
    ('many short lines', S + b'a\r\n' * 100000),
    ('ninety hops', b'Received: from a by b; x\r\n' * 90 + S),
    ('five megabytes', filled(5 << 20)),
] + [('size %d' % n, filled(n)) for n in (
    8191, 8192, 8193, 16383, 16384, 32768, 65279, 65280, 65535, 65536, 65537, 65538, 65600,
    131071, 131072, 131073)], Messages.exact)
add_cases(Messages, 'refused', [
    ('bare cr', S + b'a\rb\r\n', 554, '5.6.0'), ('bare lf', S + b'a\nb\r\n', 554, '5.6.0'),
    ('nul', S + b'a\0b\r\n', 554, '5.6.0'),
    ('line over the limit', S + b'x' * (LINE_MAX + 1) + b'\r\n', 554, '5.6.0'),
    ('endless line', S + b'x' * 1000000 + b'\r\n', 554, '5.6.0'),
    ('too many hops', b'Received: from a by b; x\r\n' * 120 + S, 554, '5.4.6'),
], Messages.refused)
