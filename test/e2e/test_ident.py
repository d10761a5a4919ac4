"""Who the client is: the name of its address, what Received fields show of it, and the
switch by name. A real name server (nsd) knows the names of some addresses in 127/8."""
import re
import socket

import kit
from harness import OPTION_DAT, Router, RouterTest, SharedRouterTest, add_cases, free_port
from peers import Aiosmtpd, Nsd

GOOD, LIAR, NAMELESS, EVIL, LITERAL = ('127.0.1.10', '127.0.1.11', '127.0.1.12', '127.0.1.13',
                                       '127.0.1.14')
INSIDE, INSIDE_LIAR = '127.0.1.20', '127.0.1.21'
FORWARD = """\
good.z.test. A 127.0.1.10
good.z.test. A 127.0.1.99
a.inside.z.test. A 127.0.1.20
a.inside.z.test. A 127.0.2.5
a.inside.z.test. A 127.0.3.5
b.inside.z.test. A 127.0.1.99
never.z.test. A 127.0.1.22
tcp-named-daemon.z.test. A 127.0.1.23
same.z.test. A 127.0.1.24
must.z.test. A 127.0.1.25
"""
REVERSE = """\
10.1.0.127.in-addr.arpa. PTR Good.Z.test.
11.1.0.127.in-addr.arpa. PTR good.z.test.
13.1.0.127.in-addr.arpa. PTR x\\)\\032by\\(y.z.test.
14.1.0.127.in-addr.arpa. PTR 192.0.2.1.
20.1.0.127.in-addr.arpa. PTR a.inside.z.test.
21.1.0.127.in-addr.arpa. PTR b.inside.z.test.
22.1.0.127.in-addr.arpa. PTR never.z.test.
23.1.0.127.in-addr.arpa. PTR tcp-named-daemon.z.test.
24.1.0.127.in-addr.arpa. PTR same.z.test.
25.1.0.127.in-addr.arpa. PTR must.z.test.
5.2.0.127.in-addr.arpa. PTR a.inside.z.test.
5.3.0.127.in-addr.arpa. PTR a.inside.z.test.
"""


def name_server():
    return Nsd({'z.test': FORWARD, '127.in-addr.arpa': REVERSE})


def unfolded(mail):
    """The first Received field of a message on one line."""
    text = mail.decode('latin-1').replace('\r\n', '\n')
    field = re.search(r'^Received: (.*?)\n(?![ \t])', text, re.S | re.M).group(1)
    return re.sub(r'\n[ \t]+', ' ', field)


class Received(SharedRouterTest):
    CHANNELS = {
        'plain': '', 'full': 'identnone', 'limited': 'identnonelimited',
        'numeric': 'identnonenumeric', 'symbolic': 'identnonesymbolic',
        'tcp': 'identtcp', 'tcplimited': 'identtcplimited', 'tcpnumeric': 'identtcpnumeric',
        'tcpsymbolic': 'identtcpsymbolic', 'tag': 'forwardchecktag',
        'delete': 'forwardcheckdelete', 'none': 'forwardchecktag forwardchecknone',
        'symboltag': 'identnonesymbolic forwardchecktag',
        'symboldelete': 'identnonesymbolic forwardcheckdelete',
        'nofor': 'noreceivedfor', 'for': 'noreceivedfor receivedfor',
        'toname': 'identnonenumeric maytls tlsswitchchannel tcp_symbolic',
        'tonumber': 'identnone maytls tlsswitchchannel tcp_numeric',
        'totag': 'identnone maytls tlsswitchchannel tcp_tag',
    }

    @classmethod
    def make_router(cls):
        nsd = cls.class_peer(name_server())
        cls.peer_out = cls.class_peer(Aiosmtpd(tls='none'))
        words = 'nameservers 127.0.0.1@%d' % nsd.port
        cls.port = {name: free_port() for name in list(cls.CHANNELS) + ['system']}
        blocks = ['tcp_%s smtp %s %s\ntcp-%s-daemon' % (name, more, words, name)
                  for name, more in cls.CHANNELS.items()]
        blocks.append('tcp_system smtp identnone\ntcp-system-daemon')
        blocks += ['tcp_%s smtp logging %s daemon [127.0.0.1] port %d\ntcp-%s-daemon'
                   % (name, more, cls.peer_out.port, name)
                   for name, more in (('out', ''), ('outnofor', 'noreceivedfor'))]
        return Router(kit.site(
            ['out.test $U%$D@tcp-out-daemon', 'nofor.test $U%$D@tcp-outnofor-daemon'], blocks,
            [kit.service(n.upper(), 'tcp_' + n, p) for n, p in cls.port.items()],
            ['out.test', 'nofor.test'],
            files={'option.dat': OPTION_DAT + 'RECEIVED_DOMAIN=seen.here.test\n'}))

    def received(self, channel, source, tls=False, helo='client.test'):
        word = kit.token()
        with kit.Wire(self.port[channel], source=source) as wire:
            wire.want('EHLO ' + helo, 250)
            if tls:
                wire.starttls()
                wire.want('EHLO ' + helo, 250)
            wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % word)
        return unfolded(self.shared.find_mail(word.encode()))

    def shows(self, channel, source, who, tls=False):
        field = self.received(channel, source, tls)
        self.assertTrue(field.startswith('from client.test (%s) by ' % who), field)

    def test_what_is_no_helo_name(self):
        for channel, who in (('full', r'[127.0.1.10] (good.z.test) '),
                             ('symboltag', r'[unknown] (good.z.test) '),
                             ('numeric', '[127.0.1.10] ')):
            field = self.received(channel, GOOD, helo='x(y')
            self.assertTrue(field.startswith('from %s(helo=x?y) by ' % who), field)

    def test_ident_is_logged_where_it_was_asked(self):
        self.received('tag', LIAR)
        session = self.shared.events('connect')[-1]['session']
        ident, = self.shared.events('ident', session=session)
        self.assertEqual((ident['peer'], ident['name'], ident['confirmed']),
                         (LIAR, 'good.z.test', 'no'))
        self.received('full', NAMELESS)
        session = self.shared.events('connect')[-1]['session']
        ident, = self.shared.events('ident', session=session)
        self.assertNotIn('name', ident)
        self.assertIn('12.1.0.127.in-addr.arpa', ident['reason'])

    def test_nobody_is_asked_about_this_machine(self):
        for channel, source, who in (('full', '127.0.0.1', 'localhost [127.0.0.1]'),
                                     ('symbolic', '127.0.0.1', 'localhost'),
                                     ('delete', '127.0.0.1', 'localhost [127.0.0.1]'),
                                     ('system', GOOD, '[%s]' % GOOD)):
            self.shows(channel, source, who)
            session = self.shared.events('connect')[-1]['session']
            self.assertEqual(self.shared.events('ident', session=session), [])

    def test_our_own_name(self):
        self.assertIn(' by seen.here.test (Pointsman channel tcp_plain) ',
                      self.received('plain', GOOD))

    # --- receivedfor ---

    def names(self, channel, to, named):
        word, first = kit.token(), None
        to = to if isinstance(to, list) else [to]
        kit.send(self.port[channel], to, subject=word)
        if any('router.test' in one for one in to):
            mail = self.shared.find_mail(word.encode())
        else:
            mail = self.peer_out.find(word.encode())[2]
        field = unfolded(mail)
        self.assertEqual(re.findall(r' for <([^>]*)>;', field), [named] if named else [], field)


add_cases(Received, 'shows', [
    ('default', 'plain', GOOD, 'good.z.test [127.0.1.10]'),
    ('identnone', 'full', GOOD, 'good.z.test [127.0.1.10]'),
    ('identnonelimited', 'limited', GOOD, 'good.z.test [127.0.1.10]'),
    ('identnonenumeric', 'numeric', GOOD, '[127.0.1.10]'),
    ('identnonesymbolic', 'symbolic', GOOD, 'good.z.test'),
    ('identtcp', 'tcp', GOOD, 'good.z.test [127.0.1.10]'),
    ('identtcplimited', 'tcplimited', GOOD, 'good.z.test [127.0.1.10]'),
    ('identtcpnumeric', 'tcpnumeric', GOOD, '[127.0.1.10]'),
    ('identtcpsymbolic', 'tcpsymbolic', GOOD, 'good.z.test'),
    ('no check of a wrong name', 'none', LIAR, 'good.z.test [127.0.1.11]'),
    ('tag wrong', 'tag', LIAR, 'good.z.test* [127.0.1.11]'),
    ('tag right', 'tag', GOOD, 'good.z.test [127.0.1.10]'),
    ('delete wrong', 'delete', LIAR, '[127.0.1.11]'),
    ('delete right', 'delete', GOOD, 'good.z.test [127.0.1.10]'),
    ('symbolic tag wrong', 'symboltag', LIAR, 'good.z.test*'),
    ('symbolic delete wrong', 'symboldelete', LIAR, '[127.0.1.11]'),
    ('symbolic delete right', 'symboldelete', GOOD, 'good.z.test'),
    ('nameless', 'full', NAMELESS, '[127.0.1.12]'),
    ('symbolic nameless', 'symbolic', NAMELESS, '[127.0.1.12]'),
    ('a name that is none', 'full', EVIL, '[127.0.1.13]'),
    ('a name like an address', 'full', LITERAL, '[127.0.1.14]'),
    ('keywords of the channel after TLS', 'toname', GOOD, 'good.z.test', True),
    ('keywords of the channel after TLS numeric', 'tonumber', GOOD, '[127.0.1.10]', True),
    ('the check begins after TLS', 'totag', LIAR, 'good.z.test* [127.0.1.11]', True),
], Received.shows)
add_cases(Received, 'names', [
    ('by default', 'plain', 'ann@router.test', 'ann@router.test'),
    ('receivedfor', 'for', 'ann@router.test', 'ann@router.test'),
    ('noreceivedfor of the source', 'nofor', 'ann@router.test', None),
    ('sent on', 'plain', 'bob@out.test', 'bob@out.test'),
    ('noreceivedfor of the destination', 'plain', 'bob@nofor.test', None),
    ('nobody of several', 'plain', ['bob@out.test', 'joe@out.test'], None),
], Received.names)


class SwitchByName(SharedRouterTest):
    ALIAS = 'tcp_{0} smtp {1} {2}\ntcp-{0}-daemon {0}.alias.test'
    RULES = [
        '.inside.z.test $U%$H$D@tcp-inside-daemon',
        '[127.0.2.] $E$R$U%[127.0.2.$L]@tcp-net-daemon',
        '[127.0.3.] $E$R$U%[127.0.3.$L]@tcp-never-daemon',
        'never.z.test $U%$D@tcp-never-daemon',
        'same.z.test $U%$D@tcp-full-daemon',
        'must.z.test $F$U%$D@tcp-inside-daemon',
        '. $U%$H@tcp-out-daemon',
    ]
    CHANNELS = {
        'out': '', 'inside': 'maytls tlsswitchchannel tcp_tls', 'net': '', 'tls': '',
        'never': 'noswitchchannel',
        'full': 'switchchannel maytls', 'limited': 'switchchannel identnonelimited',
        'numeric': 'switchchannel identnonenumeric',
        'symbolic': 'switchchannel identnonesymbolic', 'fixed': 'noswitchchannel',
        'allow': 'allowswitchchannel',
    }
    STARTS = ('full', 'limited', 'numeric', 'symbolic', 'fixed', 'allow')

    @classmethod
    def make_router(cls):
        nsd = cls.class_peer(name_server())
        words = 'nameservers 127.0.0.1@%d' % nsd.port
        cls.port = {name: free_port() for name in cls.STARTS}
        cls.tls_port = free_port()
        blocks = [cls.ALIAS.format(name, more, words) for name, more in cls.CHANNELS.items()]
        blocks.append('tcp_named smtp %s\ntcp-named-daemon named.alias.test\n'
                      'tcp-named-daemon.z.test' % words)
        services = [kit.service(n.upper(), 'tcp_' + n, p,
                                cls.tls_port if n == 'full' else None)
                    for n, p in cls.port.items()]
        return Router(kit.site(cls.RULES, blocks, services))

    def switches(self):
        session = self.shared.events('connect')[-1]['session']
        return [(s['from'][4:], s['to'][4:], s['by'])
                for s in self.shared.events('switch', session=session)]

    def goes(self, start, source, to, by='name'):
        with kit.Wire(self.port[start], source=source) as wire:
            self.assertEqual(wire.greeting.text.split()[0], to + '.alias.test')
        self.assertEqual(self.switches(), [(start, to, by)] if start != to else [])

    def test_then_tls(self):
        with kit.Wire(self.tls_port, source=INSIDE, tls=True) as wire:
            self.assertEqual(wire.greeting.text.split()[0], 'tls.alias.test')
        self.assertEqual(self.switches(), [('full', 'inside', 'name'), ('inside', 'tls', 'tls')])

    def test_the_rule_is_named(self):
        self.goes('full', INSIDE, 'inside')
        session = self.shared.events('connect')[-1]['session']
        switch, = self.shared.events('switch', session=session)
        self.assertTrue(switch['rule'].endswith('pointsman.cnf:1'), switch)
        ident, = self.shared.events('ident', session=session)
        self.assertEqual((ident['name'], ident['confirmed']), ('a.inside.z.test', 'yes'))

    def test_a_name_gives_no_trust(self):
        """Rules for names are written to send mail there, not to let it through."""
        for source, reply in ((INSIDE, 550), ('127.0.2.5', 250)):
            with kit.Wire(self.port['full'], source=source) as wire:
                wire.ehlo()
                wire.want('MAIL FROM:<sue@far.test>', 250)
                wire.want('RCPT TO:<bob@elsewhere.test>', reply)


add_cases(SwitchByName, 'goes', [
    ('confirmed', 'full', INSIDE, 'inside'), ('symbolic', 'symbolic', INSIDE, 'inside'),
    ('not confirmed', 'full', INSIDE_LIAR, 'full'),
    ('limited', 'limited', INSIDE, 'limited'), ('numeric', 'numeric', INSIDE, 'numeric'),
    ('start is noswitchchannel', 'fixed', INSIDE, 'fixed'),
    ('start is allowswitchchannel', 'allow', INSIDE, 'allow'),
    ('target is noswitchchannel', 'full', '127.0.1.22', 'full'),
    ('by the host table', 'full', '127.0.1.23', 'named'),
    ('to where it is', 'full', '127.0.1.24', 'full'),
    ('rule for recipients only', 'full', '127.0.1.25', 'full'),
    ('match all', 'full', GOOD, 'full'), ('nameless', 'full', NAMELESS, 'full'),
    ('the address goes first', 'full', '127.0.2.5', 'net', 'ip'),
    ('the address decides, even for no', 'full', '127.0.3.5', 'full'),
    ('localhost', 'full', None, 'full'),
], SwitchByName.goes)


class Waiting(RouterTest):
    """A name server that never answers."""

    def setUp(self):
        silent = socket.socket(type=socket.SOCK_DGRAM)
        silent.bind(('127.0.0.1', 0))
        self.addCleanup(silent.close)
        self.port = {'plain': free_port(), 'switch': free_port()}
        self.words = 'nameservers 127.0.0.1@%d' % silent.getsockname()[1]
        self.it = self.router(self.site()).start()

    def site(self):
        return kit.site(
            ['.inside.z.test $U%$H$D@tcp-inside-daemon', '. $U%$H@tcp-inside-daemon'],
            ['tcp_plain smtp %s\ntcp-plain-daemon plain.alias.test' % self.words,
             'tcp_switch smtp switchchannel %s\ntcp-switch-daemon switch.alias.test' % self.words,
             'tcp_inside smtp\ntcp-inside-daemon'],
            [kit.service(n.upper(), 'tcp_' + n, p) for n, p in self.port.items()])

    def idents(self):
        return self.it.events('ident')

    def test_mail_waits_not_the_greeting(self):
        with kit.Wire(self.port['plain'], source=GOOD) as wire:
            wire.ehlo()
            self.assertEqual(self.idents(), [])
            wire.mail('ann@router.test')
        ident, = self.idents()
        self.assertIn('no answer in time', ident['reason'])
        self.assertTrue(unfolded(self.it.wait_mails()[0]).startswith(
            'from client.test ([%s]) by ' % GOOD))

    def test_pipelined_commands_wait_for_their_turn(self):
        with kit.Wire(self.port['plain'], source=GOOD) as wire:
            wire.ehlo()
            wire.send('MAIL FROM:<sue@far.test>\r\nRCPT TO:<ann@router.test>\r\nDATA\r\n')
            self.assertEqual([wire.reply().code for _ in range(3)], [250, 250, 354])
            wire.send('Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n')
            self.assertEqual([wire.reply().code for _ in range(2)], [250, 221])
        self.it.wait_mails()

    def test_the_greeting_waits_where_a_name_may_switch(self):
        with kit.Wire(self.port['switch'], source=GOOD) as wire:
            self.assertEqual(len(self.idents()), 1)
            self.assertEqual(wire.greeting.text.split()[0], 'switch.alias.test')
            wire.ehlo()
            wire.mail('ann@router.test')

    def test_stop_and_hang_up_meanwhile(self):
        waiting = [kit.Wire(self.port['switch'], source=GOOD, greeting=False) for _ in range(3)]
        talking = kit.Wire(self.port['plain'], source=GOOD)
        talking.ehlo()
        talking.send('MAIL FROM:<sue@far.test>\r\n')
        self.it.wait_event('connect', channel='tcp_switch')
        waiting[0].close()
        self.assertEqual(self.it.stop(), 0)
        for wire in waiting[1:]:
            self.assertTrue(wire.is_closed())
            wire.close()
        talking.close()


class Renewal(RouterTest):
    """A reload keeps the sessions it would treat alike."""

    def setUp(self):
        self.nsd = self.peer(name_server())
        self.port = free_port()
        self.it = self.router(self.site()).start()

    def site(self, inside='.inside.z.test $U%$H$D@tcp-inside-daemon', words='switchchannel'):
        server = 'nameservers 127.0.0.1@%d' % self.nsd.port
        return kit.site(
            [inside, '. $U%$H@tcp-out-daemon'],
            ['tcp_local smtp %s %s\ntcp-local-daemon' % (words, server),
             'tcp_inside smtp\ntcp-inside-daemon', 'tcp_out smtp\ntcp-out-daemon'],
            [kit.service('SMTP', 'tcp_local', self.port)])

    def after(self, source, **changes):
        """The reply to a command after a reload."""
        with kit.Wire(self.port, source=source) as wire:
            wire.ehlo()
            wire.want('NOOP', 250)
            for name, text in self.site(**changes).items():
                self.it.write(name, text)
            self.it.hang_up()
            self.it.wait_event('reload', result='loaded')
            code = wire.say('NOOP').code
            return code if code == 421 else wire.say('NOOP').code

    def test_same_way(self):
        self.assertEqual(self.after(INSIDE, words='switchchannel logging'), 250)

    def test_rule_gone(self):
        self.assertEqual(self.after(INSIDE, inside='far.test $U%$H$D@tcp-out-daemon'), 421)

    def test_names_count_no_more(self):
        self.assertEqual(self.after(INSIDE, words='switchchannel identnonelimited'), 421)
