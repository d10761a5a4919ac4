"""Every sentence of the relay rule: which destinations are ours, which sources are
trusted, and the tricks that try to get round it."""
import kit
from harness import Router, SharedRouterTest, add_cases, free_port
from peers import Aiosmtpd

RULES = [
    '[127.0.0.5] $E$R$U%[127.0.0.5]@tcp-intra-daemon',
    '[127.0.0.6] $E$R$U%[127.0.0.6]@tcp-never-daemon',
    'ours.test $U%$D@tcp-out-daemon',
    '.sub.test $U%$H$D@tcp-out-daemon',
    'sub.test $U%$D@tcp-out-daemon',
    'bare.test $U%$D@tcp-out-daemon',
    '.bare.test $U%$H$D@tcp-out-daemon',
    'dot.sub.test $U%$D@tcp-out-daemon',
    'theirs.test $U%$D@tcp-out-daemon',
    'given.test $U%theirs.test@tcp-out-daemon',          # ours, becomes theirs
    'becomes.test $U%ours.test@tcp-out-daemon',          # theirs, becomes ours
    'repeat.test $U%theirs.test',                        # ours, becomes theirs by repeating
    'tolocal.test $U%router.test@router.test',           # not listed, ends here
    'trash.test $U%$D@bitbucket-daemon',                 # not listed, ends here
    '. $U%$H@tcp-out-daemon',
]
CHANNELS = [
    'tcp_local smtp switchchannel maytls tlsswitchchannel tcp_tls\ntcp-daemon',
    'tcp_tls smtp maytls\ntcp-tls-daemon',
    'tcp_intra smtp maytls tlsswitchchannel tcp_intra_tls\ntcp-intra-daemon',
    'tcp_intra_tls smtp maytls\ntcp-intra-tls-daemon',
    'tcp_never smtp noswitchchannel maytls\ntcp-never-daemon',
    'bitbucket\nbitbucket-daemon',
]
LOCALDOMAINS = ['router.test', 'ours.test', '! a comment', '.sub.test', 'bare.test', 'given.test',
                'repeat.test', '[192.0.2.9]']


class Relay(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.peer_server = cls.class_peer(Aiosmtpd(tls='none'))
        cls.port, cls.tls_port = free_port(), free_port()
        return Router(kit.site(
            RULES, CHANNELS + ['tcp_out smtp nomx daemon 127.0.0.1 port %d\ntcp-out-daemon'
                               % cls.peer_server.port],
            [kit.service('SMTP', 'tcp_local', cls.port, cls.tls_port)], LOCALDOMAINS))

    def wire(self, source=None, way='clear'):
        wire = kit.Wire(self.tls_port if way == 'implicit' else self.port, source=source,
                        tls=way == 'implicit')
        self.addCleanup(wire.close)
        wire.ehlo()
        if way == 'starttls':
            wire.starttls()
            wire.ehlo()
        wire.want('MAIL FROM:<sue@far.test>', 250)
        return wire

    def denied(self, address, source=None, way='clear'):
        reply = self.wire(source, way).want('RCPT TO:<%s>' % address, 550, '5.7.1')
        self.assertIn('relay', reply.text.lower())

    def taken(self, address, source=None, way='clear'):
        self.wire(source, way).want('RCPT TO:<%s>' % address, 250)

    def not_taken(self, address, codes):
        """Refused, by whatever code: it must not be relayed."""
        reply = self.wire().say('RCPT TO:<%s>' % address)
        self.assertIn(reply.code, codes, reply)

    def test_refusal_is_at_rcpt_and_logged(self):
        """The session goes on; the other recipient gets the message, the next hop never
        hears of the refused one."""
        word = kit.token()
        wire = self.wire()
        wire.want('RCPT TO:<eve@theirs.test>', 550, '5.7.1')
        wire.want('RCPT TO:<bob@ours.test>', 250)
        wire.want('DATA', 354)
        wire.send('Subject: %s\r\n\r\nx\r\n' % word)
        wire.want('.', 250)
        self.assertEqual(self.peer_server.find(word.encode())[1], ['bob@ours.test'])
        refused = self.shared.wait_event('refuse', to='eve@theirs.test')
        self.assertIn('5.7.1', refused['reply'])
        self.assertEqual(refused['peer'], '127.0.0.1')

    def test_trusted_mail_arrives(self):
        word = kit.token()
        kit.send(self.port, 'eve@theirs.test', source='127.0.0.5', subject=word)
        self.assertEqual(self.peer_server.find(word.encode())[1], ['eve@theirs.test'])

    def test_trust_is_of_the_session_not_the_sender(self):
        """A sender of ours, from outside, is not trusted."""
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            for sender in ('ann@router.test', 'bob@ours.test', '', 'x@[127.0.0.5]'):
                wire.want('MAIL FROM:<%s>' % sender, 250)
                wire.want('RCPT TO:<eve@theirs.test>', 550, '5.7.1')
                wire.want('RSET', 250)


# --- untrusted: what is ours ---
add_cases(Relay, 'ours', [
    ('local channel', 'ann@router.test'), ('case', 'ANN@ROUTER.Test'),
    ('local channel by a rule', 'ann@tolocal.test'), ('bitbucket', 'any@trash.test'),
    ('listed', 'bob@ours.test'), ('listed case', 'bob@OURS.test'),
    ('subdomain', 'bob@a.sub.test'), ('deep subdomain', 'bob@a.b.c.sub.test'),
    ('listed itself and its rule', 'bob@bare.test'), ('postmaster', 'postmaster'),
    ('postmaster case', 'PostMaster'), ('percent within ours', 'bob%ours.test@router.test'),
    ('route within ours', '@router.test:bob@ours.test'),
    ('bang within ours', 'ours.test!bob@router.test'),
], Relay.taken)
# --- untrusted: what is not ---
add_cases(Relay, 'denied', [
    ('other domain', 'eve@theirs.test'), ('unknown domain', 'eve@elsewhere.test'),
    ('parent of a subdomain entry', 'bob@sub.test'),
    ('subdomain of a plain entry', 'bob@x.bare.test'),
    ('suffix that is no subdomain', 'bob@notours.test'),
    ('given is ours, rewritten is not', 'bob@given.test'),
    ('rewritten is ours, given is not', 'bob@becomes.test'),
    ('repeat rule leads away', 'bob@repeat.test'),
    ('percent hack by the local host', 'eve%theirs.test@router.test'),
    ('percent hack twice', 'eve%theirs.test%router.test@router.test'),
    ('percent hack by an ours domain', 'eve%theirs.test@ours.test'),
    ('doubled percent by an ours domain', 'eve%%theirs.test@ours.test'),
    ('bang by the local host', 'theirs.test!eve@router.test'),
    ('bang by an ours domain', 'theirs.test!eve@ours.test'),
    ('source route', '@router.test:eve@theirs.test'),
    ('source route of two', '@router.test,@ours.test:eve@theirs.test'),
    ('source route by theirs', '@theirs.test:bob@ours.test'),
    ('quoted at by an ours domain', '"eve@theirs.test"@ours.test'),
    ('quoted percent by an ours domain', '"eve%theirs.test"@ours.test'),
    ('quoted bang by an ours domain', '"theirs.test!eve"@ours.test'),
    ('quoted pair', '"eve\\@theirs.test"@ours.test'),
    ('route and percent', '@ours.test:eve%theirs.test@router.test'),
    ('literal', 'eve@[127.0.0.1]'), ('literal of the trusted', 'eve@[127.0.0.2]'),
    ('ipv6 literal', 'eve@[IPv6:::1]'),
], Relay.denied)
# --- who is trusted ---
add_cases(Relay, 'source', [
    ('loopback is no exception', 'eve@theirs.test'),
    ('other loopback address', 'eve@theirs.test', '127.0.0.77'),
    ('starttls and its switch alone', 'eve@theirs.test', None, 'starttls'),
    ('implicit tls and its switch alone', 'eve@theirs.test', None, 'implicit'),
    ('ip rule to a noswitchchannel target', 'eve@theirs.test', '127.0.0.6'),
    ('the same with tls', 'eve@theirs.test', '127.0.0.6', 'starttls'),
], Relay.denied)
add_cases(Relay, 'trusted', [
    ('ip switch', 'eve@theirs.test', '127.0.0.5'),
    ('ip switch then starttls', 'eve@theirs.test', '127.0.0.5', 'starttls'),
    ('ip switch then implicit tls', 'eve@theirs.test', '127.0.0.5', 'implicit'),
    ('unknown domain', 'eve@elsewhere.test', '127.0.0.5'),
    ('percent hack', 'eve%theirs.test@router.test', '127.0.0.5'),
    ('source route', '@router.test:eve@theirs.test', '127.0.0.5'),
    ('rewritten is not ours', 'bob@given.test', '127.0.0.5'),
    ('local', 'ann@router.test', '127.0.0.5'),
], Relay.taken)
# --- the local part is data where the mail ends here ---
add_cases(Relay, 'not_relayed', [
    ('quoted at', '"eve@theirs.test"@router.test', (550,)),
    ('quoted percent', '"eve%theirs.test"@router.test', (550,)),
    ('empty domain', 'eve@', (501, 553)), ('no domain', 'eve', (553,)),
    ('two ats', 'eve@theirs.test@router.test', (501,)),
    ('domain with a blank', 'eve@theirs .test', (501, 553, 555)),
    ('trailing dot', 'eve@theirs.test.', (501, 550)),
    ('trailing dot of ours', 'eve@theirs.test%router.test.', (501, 550)),
    ('bare percent', 'eve%theirs.test', (553,)), ('bang only', 'theirs.test!eve', (553,)),
    ('route without mailbox', '@router.test,@theirs.test:', (501,)),
    ('empty percent host', 'eve%@router.test', (501, 550)),
    ('empty bang host', '!eve@router.test', (501, 550)),
    ('nested quotes', '""eve"@theirs.test"@router.test', (501,)),
], Relay.not_taken)
