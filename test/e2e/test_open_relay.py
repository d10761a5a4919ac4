"""Is it an open relay? Every way we know to write a foreign address so that a router might
take it for one of ours, offered by a stranger to the configurations we ship, in clear and
over TLS. Each must be refused at RCPT; nothing may reach the next hop or stay in the queue.
What strangers may write to must go on working.

In the addresses, {o} is a domain of ours that goes to a next hop, {l} is this system, {t} is
somebody else; {O}, {L}, {T} are the same in capitals."""
import re

import kit
import shipped
from harness import Router, SharedRouterTest, add_cases, wait_until
from peers import SmtpSink

THEIRS = 'theirs.test'

# --- refused -------------------------------------------------------------------------

PERCENT = [
    'eve%{t}@{o}', 'eve%{t}@{l}', 'eve%{t}%{o}@{o}', 'eve%{o}%{t}@{o}', 'eve%{t}%{o}%{l}@{l}',
    'eve%%{t}@{o}', 'eve%{t}%@{o}', '%{t}@{o}', 'eve%@{t}', 'eve%{t}', 'eve%{t}@',
    'eve%25{t}@{o}', 'eve%40{t}@{o}', 'eve%{t}.@{o}', 'eve%.{t}@{o}', 'eve%[192.0.2.1]@{o}',
    'eve%[127.0.0.1]@{o}', 'eve%[IPv6:2001:db8::1]@{o}', 'eve%192.0.2.1@{o}', 'eve%{t}@x.{o}',
    'a%b%c%d%{t}@{o}',
]
BANG = [
    '{t}!eve@{o}', '{t}!eve@{l}', '{t}!{o}!eve@{o}', '{o}!{t}!eve@{o}', '{l}!{t}!eve@{l}',
    '{t}!eve', '{o}!{t}!eve', 'a!b!{t}!eve@{o}', '{t}!@{o}', '!{t}!eve@{o}', '{t}!!eve@{o}',
    '{t}.!eve@{o}', '[192.0.2.1]!eve@{o}', '{t}::eve@{o}',
]
MIXED = [
    '{t}!eve%{o}@{o}', '{o}!eve%{t}@{o}', '{t}!eve%{t}@{o}', '{o}!eve%{o}@{t}', '{o}!eve@{t}',
    'eve%{o}!{t}@{o}', 'eve%{t}!{o}@{o}', '%{t}!eve@{o}', 'eve!%{t}@{o}', '"{t}!eve"%{o}@{o}',
    '"eve%{t}"%{o}@{o}', '{o}!"eve@{t}"@{o}',
]
ROUTES = [
    '@{o}:eve@{t}', '@{l}:eve@{t}', '@{o},@{l}:eve@{t}', '@{t}:ann@{o}', '@{o},@{t}:ann@{o}',
    '@{t},@{o}:ann@{o}', '@{t},@{o}:eve@{t}', '@[127.0.0.1]:eve@{t}', '@[127.0.0.1]:ann@{o}',
    '@{o}:eve%{t}@{o}', '@{o}:{t}!eve@{o}', '@{o}:"eve@{t}"@{o}', '@{o}.:eve@{t}', '@:eve@{t}',
    '@{o}eve@{t}', '@{o}:@{o}:eve@{t}', '@{o}:', '@,@{o}:eve@{t}', '@{o}:eve@{o}%{t}',
    '@{o} :eve@{t}', '@{o},:eve@{t}', '@{l},@{l},@{l},@{l}:eve@{t}', '@{o}:eve',
    '@{t}:postmaster',
]
QUOTED = [
    '"eve@{t}"@{o}', '"eve%{t}"@{o}', '"{t}!eve"@{o}', r'"eve\@{t}"@{o}', r'"eve\%{t}"@{o}',
    r'"{t}\!eve"@{o}', r'"\e\v\e@{t}"@{o}', r'eve\@{t}@{o}', r'eve\%{t}@{o}', '"eve@{t}"',
    '"eve"%{t}@{o}', '"@{o}:eve@{t}"@{o}', '"eve@{t}" @{o}', '""@{t}', '"eve%{t}@{o}"@{o}',
    '" eve@{t}"@{o}', '"eve@{t} "@{o}', '"eve"@{t}', '"<eve@{t}>"@{o}', '"a"."eve@{t}"@{o}',
    '(eve@{t})@{o}', 'eve(@{t})@{o}', '"eve@{t}"@{l}%{o}', r'"\"eve@{t}\""@{o}', '"eve@{t}',
    'eve"@{t}"@{o}', '"{o}!{t}!eve%{o}"@{o}', '"eve%{t}%{o}"@{o}', '"{t}!{o}!eve@{o}"@{o}',
]
LITERALS = [
    'eve@[127.0.0.1]', 'ann@[127.0.0.1]', 'eve@[192.0.2.1]', 'eve@[10.1.2.3]', 'eve@[IPv6:::1]',
    'eve@[IPv6:2001:db8::1]', 'eve@[IPv6:::ffff:192.0.2.1]', 'eve@[ipv6:::1]', 'eve@[::1]',
    'eve@[0x7f.0.0.1]', 'eve@[0300.0.2.1]', 'eve@[2130706433]', 'eve@[127.1]', 'eve@127.0.0.1',
    'eve@2130706433', 'eve@[{t}]', 'eve@[]', 'eve@[127.0.0.1', 'eve@127.0.0.1]',
    'eve%{t}@[127.0.0.1]', '{t}!eve@[127.0.0.1]', 'eve@[X-{t}:1]', 'eve@#127',
    'eve@[192.0.2.1].{o}', 'postmaster@[192.0.2.1]',
]
ATS = [
    'eve@{t}@{o}', 'eve@{o}@{t}', 'eve@@{t}', 'eve@@{o}', 'eve@{t}@', '@{t}@{o}',
    'eve@{o}@{o}@{t}', 'eve@{t}@{l}', '@', '@{t}', '@{o}', 'eve@', 'eve', '',
]
DOTS = [
    'eve@{t}.', 'eve@{t}..', 'eve@.{t}', 'eve@{o}.', 'eve@{o}..{t}', 'eve@.{o}', '.@{t}',
    '.eve@{t}', 'eve.@{t}', 'e..ve@{t}', 'eve@{t}.{o}.', 'eve%{t}.@{l}', 'eve@{o}.%{t}',
]
CASES = ['EVE@{T}', 'eve%{T}@{O}', '{T}!EVE@{o}', '@{O}:EVE@{T}', '"Eve@{T}"@{O}', 'PostMaster@{T}',
         'eve@{L}.{t}']
NAMES = [
    'eve@{t}', 'ann@{t}', 'eve@{o}.{t}', 'eve@not{o}', 'eve@{o}-{t}', 'eve@x{o}', 'eve@{o}_{t}',
    'eve@x', 'eve@localhost', 'eve@xn--thirs-kva.test', 'eve@-{o}', 'eve@{o}-', 'eve@{t}:25',
    'eve@{o}:{t}', 'eve@{t}/{o}', 'eve@{o}#{t}', 'eve@{t}&{o}', 'eve@{t},ann@{o}',
    'ann@{o},eve@{t}', 'ann@{o};eve@{t}', 'ann@{o} eve@{t}', 'eve@{t} ann@{o}', 'eve @{t}',
    'eve@ {t}', ' eve@{t}', 'eve@{t} ', 'eve@{t}\t', 'eve\t@{t}',
]
POSTMASTER = [
    'postmaster@{t}', 'postmaster%{t}', 'postmaster%{t}@{o}', 'postmaster%{t}@{l}',
    '{t}!postmaster', '{t}!postmaster@{o}', '"postmaster@{t}"@{o}', '"postmaster"@{t}',
    'postmaster@{t}@{l}', '@{l}:postmaster@{t}', 'postmaster@', 'postmaster@{o}.{t}',
    'postmaster@localhost', 'abuse@{t}', 'mailer-daemon@{t}',
]
EIGHT_BIT = [
    'ev\u00e9@{t}', 'eve@th\u00e9irs.test', 'eve%th\u00e9irs.test@{o}', 'eve\uff20{t}@{o}',
    'eve\uff05{t}@{o}', '{t}\uff01eve@{o}', 'eve@theirs\u3002test', 'eve@{o}\u3002{t}',
    'eve@{t}\u00ad', '\u202eeve@{t}', '"ev\u00e9@{t}"@{o}', 'ann\u200b@{o}',
    b'eve\xc1\x80{t}@{o}', b'ev\xe9@{t}', b'eve\xa5{t}@{o}', b'eve\xff@{o}', b'eve\x7f@{t}',
    b'eve%{t}\x7f@{o}', b'eve\x01@{t}', b'eve\x08%{t}@{o}', b'eve@{t}\x00', b'eve\x00@{t}',
    b'ann@{o}\x00.{t}', b'"ann\x00@{t}"@{o}',
]
LONG = [
    'e' * 64 + '@{t}', 'e' * 65 + '@{o}', 'e' * 300 + '@{t}', 'e' * 3000 + '@{t}',
    'eve' + '%{t}' * 5 + '@{o}', 'eve' + '%{t}' * 60 + '@{o}', '{t}!' * 5 + 'eve@{o}',
    '{t}!' * 60 + 'eve@{o}', '@{o},' * 60 + '@{o}:eve@{t}', 'eve@' + 'x.' * 100 + '{t}',
    'eve@' + 'x.' * 200 + '{t}', 'eve@' + 'x' * 64 + '.{o}', '"' + 'e' * 300 + '@{t}"@{o}',
    'eve%' + 'x.' * 100 + '{t}@{o}', '"' + '\\e' * 20 + '@{t}"@{o}',
]
REFUSED = {'percent': PERCENT, 'bang': BANG, 'mixed': MIXED, 'route': ROUTES, 'quoted': QUOTED,
           'literal': LITERALS, 'ats': ATS, 'dots': DOTS, 'cases': CASES, 'names': NAMES,
           'postmaster': POSTMASTER, 'eight_bit': EIGHT_BIT, 'long': LONG}
# What stands in the brackets is no longer the whole of it.
COMMANDS = [
    'RCPT TO:eve@{t}', 'RCPT TO: <eve@{t}>', 'RCPT TO:<eve@{t}', 'RCPT TO:eve@{t}>',
    'RCPT TO:<<eve@{t}>>', 'RCPT TO:<ann@{o}><eve@{t}>', 'RCPT TO:<ann@{o}>,<eve@{t}>',
    'RCPT TO:<ann@{o}> <eve@{t}>', 'RCPT TO:Eve <eve@{t}>',
    'RCPT TO:<ann@{o}> ORCPT=eve@{t}', 'RCPT TO:<eve@{t}> ORCPT=rfc822;ann@{o}',
    'RCPT TO:<eve@{t}> NOTIFY=NEVER', 'RCPT TO:<ann@{o}> eve@{t}', 'RCPT TO:<"ann@{o}>"<eve@{t}>',
    'RCPT TO:<ann@{o}>eve@{t}', 'RCPT <eve@{t}>', 'RCPT eve@{t}', 'RCPT TO:<>', 'RCPT TO',
    'RCPT FROM:<eve@{t}>', 'RCPT TO:<eve@{t}> RELAY=YES', 'rcpt to:<eve@{t}>',
    'RCPT\tTO:<eve@{t}>', 'SEND FROM:<eve@{t}>', 'SOML FROM:<eve@{t}>', 'SAML FROM:<eve@{t}>',
    'ETRN {t}', 'TURN', 'ATRN {t}', 'XCLIENT ADDR=127.0.0.5', 'XFORWARD ADDR=127.0.0.5',
    'AUTH PLAIN AGV2ZQBldmU=', 'EXPN eve@{t}',
]
SENDERS = [
    '', 'ann@{o}', 'ann@{l}', 'postmaster@{o}', 'eve@{t}', '@{o}:ann@{o}',
    'x@[127.0.0.1]', '"ann@{o}"@{t}', 'ann%{o}@{l}', 'ann@[10.1.2.3]', 'mailer-daemon@{l}',
]
# --- taken: (address, what the next hop is told; None: delivered here) -------------------

TAKEN = [
    ('ann@{o}', 'ann@{o}'), ('ANN@{O}', 'ANN@{o}'), ('"ann"@{o}', '"ann"@{o}'),
    ('"a n n"@{o}', '"a n n"@{o}'), ('ann+box@{o}', 'ann+box@{o}'),
    ('ann.lee@{o}', 'ann.lee@{o}'), ('/G=ann/S=lee/@{o}', '/G=ann/S=lee/@{o}'),
    ('=?utf-8?q?eve=40theirs?=@{o}', '=?utf-8?q?eve=40theirs?=@{o}'),
    ('eve=40theirs@{o}', 'eve=40theirs@{o}'), ('e' * 64 + '@{o}', 'e' * 64 + '@{o}'),
    ('@{l}:ann@{o}', 'ann@{o}'), ('postmaster', None),
    ('PostMaster', None), ('postmaster@{l}', None), ('POSTMASTER@{L}', None),
    ('"postmaster"@{l}', None), ('ann@{l}', None), ('@{l}:ann@{l}', None),
]


class OpenRelay:
    """The cases; a class of its own for each configuration. `folder` below etc/, `changes`
    as in shipped.files(), and what {o} and {l} are."""
    changes = ()
    hop_domain = None  # what the next hop sees in place of {o}, if not that
    postmaster = set()  # who that is at the next hop; nobody: it has a Maildir
    routed = None  # what it sees for '@{o}:ann@{o}'

    @classmethod
    def make_router(cls):
        cls.sink = cls.class_peer(SmtpSink())
        files, cls.ports = shipped.files(cls.folder, cls.sink.port, cls.changes)
        return Router(files, users=('ann', 'postmaster'))

    @classmethod
    def fill(cls, text, ours=None):
        """The address or command with the names in it, as bytes."""
        text = text.encode() if isinstance(text, str) else text
        for letter, name in (('o', ours or cls.ours), ('l', cls.local), ('t', THEIRS)):
            text = text.replace(b'{%s}' % letter.encode(), name.encode())
            text = text.replace(b'{%s}' % letter.upper().encode(), name.upper().encode())
        return text

    def arrived(self):
        """What the next hop got: [(recipients, message)]."""
        told = re.compile(rb'^X-Rcpt-Args: <(.*)>(?: ORCPT=\S+)?$', re.M)
        return [(told.findall(m), m) for m in self.sink.messages()]

    def wire(self, tls=False, sender='eve@{t}'):
        wire = kit.Wire(self.ports[self.port], source='127.0.0.77')
        self.addCleanup(wire.close)
        wire.ehlo()
        if tls:
            wire.starttls()
            wire.ehlo()
        wire.want(b'MAIL FROM:<' + self.fill(sender) + b'>', 250)
        return wire

    def refused_command(self, command):
        command = self.fill(command)
        for tls in (False, True):
            wire = self.wire(tls)
            reply = wire.say(command)
            self.assertIn(reply.code // 100, (4, 5), (command, reply))
            self.assertIn(wire.say('DATA').code, (503, 554))
            wire.close()

    def refused_address(self, address):
        self.refused_command(b'RCPT TO:<' + self.fill(address) + b'>')

    def refused_sender(self, sender):
        """Whoever the envelope says it is from."""
        for tls in (False, True):
            wire = self.wire(tls, sender)
            wire.want('RCPT TO:<eve@theirs.test>', 550)
            wire.close()

    def taken(self, address, arrives):
        for tls in (False, True):
            word = kit.token()
            wire = self.wire(tls)
            wire.want(b'RCPT TO:<' + self.fill(address) + b'>', 250)
            wire.want('DATA', 354)
            wire.send('Subject: %s\r\n\r\nx\r\n' % word)
            wire.want('.', 250)
            wire.close()
            if arrives:
                found = wait_until('the message at the next hop', lambda: [
                    to for to, m in self.arrived() if word.encode() in m])
                local, at, domain = found[0][0].rpartition(b'@')
                self.assertEqual([[local + at + domain.lower()]],
                                 [[self.fill(arrives, self.hop_domain)]])
            elif 'post' in address.lower() and self.postmaster:
                wait_until('the message at the next hop', lambda: self.postmaster == {
                    one for to, m in self.arrived() if word.encode() in m for one in to})
            else:
                user = 'postmaster' if 'post' in address.lower() else 'ann'
                self.shared.find_mail(word.encode(), user)

    def test_route_of_ours(self):
        self.taken('@{o}:ann@{o}', self.routed)

    def test_names_of_clients_are_not_believed(self):
        for name in (self.ours, self.local, 'localhost', '[127.0.0.5]', '[IPv6:::1]'):
            with kit.Wire(self.ports[self.port], source='127.0.0.77') as wire:
                wire.want('EHLO ' + name, 250)
                wire.want('MAIL FROM:<ann@%s>' % self.ours, 250)
                wire.want('RCPT TO:<eve@theirs.test>', 550)

    def test_zz_nothing_went_out(self):
        """All refused recipients beside a good one: only that gets the message, and at the
        end nothing is left. (The last test: names sort.)"""
        self.shared.wait_status(queue_messages=0)
        expected = {self.fill(a, self.hop_domain).lower() for _, a in TAKEN if a}
        expected |= {self.routed.encode()} | self.postmaster
        before = len(self.arrived())
        sent = 0
        for group in REFUSED.values():
            for at in range(0, len(group), 5):  # fewer than the limits of a session
                word = kit.token()
                wire = self.wire()
                for address in group[at:at + 5]:
                    reply = wire.say(b'RCPT TO:<' + self.fill(address) + b'>')
                    self.assertGreaterEqual(reply.code, 400, (address, reply))
                wire.want(b'RCPT TO:<' + self.fill('ann@{o}') + b'>', 250)
                wire.want('DATA', 354)
                wire.send('Subject: %s\r\n\r\nx\r\n' % word)
                wire.want('.', 250)
                wire.close()
                sent += 1
        wait_until('the good ones arrive', lambda: len(self.arrived()) >= before + sent)
        self.shared.wait_status(queue_messages=0)
        self.assertEqual(len(self.arrived()), before + sent)
        for recipients, _ in self.arrived():
            self.assertLessEqual({r.lower() for r in recipients}, expected)
        for event in self.shared.events('route'):
            self.assertNotIn('theirs', event['rewritten'].lower().replace('eve=40theirs', ''))



class Demo(OpenRelay, SharedRouterTest):
    """What `bootstrap run` starts."""
    folder, port = 'demo', '2525'
    ours, local, hop_domain = 'demo.test', 'router.demo.test', 'inner.demo.test'
    routed = '@inner.demo.test:ann@demo.test'


class Site(OpenRelay, SharedRouterTest):
    """etc/examples/site. Loopback is a network of that site's own; here only one address of
    it is, so that the clients of these cases are strangers."""
    folder, port = 'examples/site', '25'
    changes = [('mappings', '$(127.0.0.0/8)', '$(127.0.0.5/32)')]
    ours, local = 'example.com', 'router.example.com'
    routed, postmaster = 'ann@example.com', shipped.OPERATORS


for name, group in REFUSED.items():
    add_cases(OpenRelay, 'refused_' + name, [(str(i), a) for i, a in enumerate(group)],
              OpenRelay.refused_address)
add_cases(OpenRelay, 'command', [(str(i), c) for i, c in enumerate(COMMANDS)],
          OpenRelay.refused_command)
add_cases(OpenRelay, 'sender', [(str(i), s) for i, s in enumerate(SENDERS)],
          OpenRelay.refused_sender)
add_cases(OpenRelay, 'taken', [(str(i), a, h) for i, (a, h) in enumerate(TAKEN)], OpenRelay.taken)
