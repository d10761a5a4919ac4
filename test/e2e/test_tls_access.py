"""TLS_ACCESS and TLS_PEER_ACCESS: after a handshake, who may go on, and on which channel; which
of the switches wins; what is written in certificates by those who mean harm. Clients tell the
cases apart by their address or by the name they ask for."""
import os
import ssl
import subprocess

import kit
from harness import Router, SharedRouterTest, add_cases, free_port
from peers import Aiosmtpd
from pki import pki

ACCESS = """\
TLS_ACCESS

! case: the last number of the client's address
  TCP|127.0.0.1|*|127.0.1.1|*|SMTP/TLSv1.*|tcp_in|*|*|  $Stcp_a
  TCP|*|*|127.0.1.2|*  $N
  TCP|*|*|127.0.1.3|*  $F$>not$ with$ us|Go$ away
  TCP|*|*|127.0.1.4|*  $B
  TCP|*|*|127.0.1.5|*  $<seen$ by$ access
  TCP|*|*|127.0.1.6|*  $N$X5.7.1|No$ thanks
  TCP|*|*|127.0.1.7|*  $|LOOP;$0|$Y
  TCP|*|*|127.0.1.8|*|*|*|CN=client|CN=Test$ middle|  $Stcp_b
  TCP|*|*|127.0.1.9|*  $Stcp_a
  TCP|*|*|127.0.1.10|*  $Stcp_in
  TCP|*|*|127.0.1.11|*  $S$0
  TCP|*|*|127.0.1.12|*  $N$X4.7.9|Later
  TCP|*|*|127.0.1.13|*  $Stcp_a$B

LOOP

  *  $|LOOP;$0|$Y

TLS_PEER_ACCESS

  tcp_in|*|*|*|*|*|*|*|127.0.1.9  $NBehind$ the$ switch
  tcp_in|*|*|*|*|*|*|*|127.0.1.13  $Stcp_b
  tcp_in|*|*|*|*|*|*|to-b.router.test|*  $Stcp_b
  tcp_in|*|*|*|*|*|*|block.router.test|*  $B
  tcp_in|*|*|*|*|*|*|note.router.test|*  $<seen$ by$ peer$ access
  tcp_in|*|*|*|*|*|*|fault.router.test|*  $S$7
  tcp_in|TLSv1.2|*|*|*|*|*|version.router.test|*  $NToo$ old
  tcp_in|*|*CHACHA20*|*|*|*|*|cipher.router.test|*  $NNo$ ChaCha
  tcp_in|*|*|secp256r1|*|*|*|group.router.test|*  $NNo$ P-256
  tcp_in|*|*|*|N|*|*|verified.router.test|*  $N$X5.7.1|Client$ certificate$ required
  tcp_in|*|*|*|Y|CN=client|*|subject.router.test|*  $Stcp_b
  tcp_in|*|*|*|*|*|sha256:%(spki)s|pinned.router.test|*  $Stcp_b
  tcp_in|*|*|*|Y|*partner*|*|hostile.router.test|*  $Stcp_b
  tcp_in|*|*|*|*|*|sha256:%(spki)s|hostile.router.test|*  $Stcp_b
  tcp_in|*|*|*|*|*|*|tcp_b|*  $Stcp_b
  tcp_plain|*|*|*|*|*|*|to-b.router.test|*  $Stcp_b
  tcp_plain|*|*|*|*|*|*|deny.router.test|*  $N
"""
TLS_CNF = """\
[*]
server_cert = ../tls/server-pub.pem
server_key = ../tls/server-priv.pem
client_ca_file = %s
"""
VERSIONS = {'12': ssl.TLSVersion.TLSv1_2, '13': ssl.TLSVersion.TLSv1_3}
STARTTLS, IMPLICIT = 'starttls', 'implicit'


def forge(name, subject, replace=None):
    """A leaf for clients with a subject of our choice, signed by the intermediate CA; then
    replace = (old, new) of the same length is done in what is signed."""
    p = pki()
    if os.path.exists(p.path(name + '.pem')):
        return p.pair(name)
    p.key(name, 'ec')
    p.write(name + '.ext', 'basicConstraints = CA:FALSE\nextendedKeyUsage = clientAuth\n')
    p.openssl('req', '-new', '-key', name + '.key', '-out', name + '.csr', '-config', 'config',
              '-utf8', '-subj', subject)
    p.openssl('x509', '-req', '-in', name + '.csr', '-CA', 'middle.pem', '-CAkey', 'middle.key',
              '-out', name + '.pem', '-days', '20', '-set_serial', '77', '-extfile',
              name + '.ext')
    if replace:
        p.openssl('x509', '-in', name + '.pem', '-outform', 'DER', '-out', name + '.der')
        sign_again(p, name, *replace)
    p.write(name + '.pem', p.read(name + '.pem') + p.read('middle.pem'))
    return p.pair(name)


def der(data, at):
    """(begin of the value, its end) of the element at a place."""
    size = data[at + 1]
    if size < 0x80:
        return at + 2, at + 2 + size
    n = size & 0x7f
    size = int.from_bytes(data[at + 2:at + 2 + n], 'big')
    return at + 2 + n, at + 2 + n + size


def element(tag, value):
    size = (bytes([len(value)]) if len(value) < 0x80 else
            b'\x82' + len(value).to_bytes(2, 'big'))
    return bytes([tag]) + size + value


def sign_again(p, name, old, new):
    with open(p.path(name + '.der'), 'rb') as file:
        data = file.read()
    begin, _ = der(data, 0)
    _, end = der(data, begin)
    assert len(old) == len(new) and data[begin:end].count(old) == 1
    signed = data[begin:end].replace(old, new)
    _, algorithm_end = der(data, end)
    with open(p.path('tbs'), 'wb') as file:
        file.write(signed)
    p.openssl('dgst', '-sha256', '-sign', 'middle.key', '-out', 'signature', 'tbs')
    with open(p.path('signature'), 'rb') as file:
        signature = element(3, b'\0' + file.read())
    with open(p.path(name + '.der'), 'wb') as file:
        file.write(element(0x30, signed + data[end:algorithm_end] + signature))
    p.openssl('x509', '-inform', 'DER', '-in', name + '.der', '-out', name + '.pem')


# case: number of the client's address, name it asks for, certificate it shows; then the
# switch that is made, or the reply after the handshake
A, B = ('tcp_a', 'TLS_ACCESS'), ('tcp_b', 'TLS_PEER_ACCESS')
PEER, TLS, STAYS = ('tcp_peer', 'certificate'), ('tcp_tls', 'tls'), None
CASES = [
    ('nothing', 99, '', None, TLS),
    ('nothing verified', 99, '', 'client', PEER),
    ('nothing unverified', 99, '', 'client-other', TLS),
    # the first that names a channel
    ('access', 1, '', None, A),
    ('access before certificate', 9 + 4, '', 'client', A),
    ('access before peer access', 1, 'to-b.router.test', None, A),
    ('access before all', 13, 'to-b.router.test', 'client', A),
    ('peer access', 99, 'to-b.router.test', None, B),
    ('peer access before certificate', 99, 'to-b.router.test', 'client', B),
    ('own channel is one', 10, 'to-b.router.test', 'client', STAYS),
    # $B
    ('blocked', 4, '', None, STAYS),
    ('blocked, not the certificate', 4, '', 'client', PEER),
    ('blocked, not the other table', 4, 'to-b.router.test', None, B),
    ('blocked by peer access', 99, 'block.router.test', None, STAYS),
    ('blocked by peer access, verified', 99, 'block.router.test', 'client', PEER),
    # notes
    ('note', 5, '', None, TLS),
    ('note of peer access', 99, 'note.router.test', None, TLS),
    # refusals
    ('refused', 2, '', None, '421 4.7.0 TLS Negotiation failed.'),
    ('refused $F', 3, '', None, '421 4.7.0 Go away'),
    ('refused for good', 6, '', None, '554 5.7.1 No thanks'),
    ('refused for now', 12, '', None, '421 4.7.9 Later'),
    ('refused behind a switch', 9, '', 'client', '421 4.7.0 Behind the switch'),
    # faults refuse for now
    ('fault', 7, '', None, '421 4.3.5 access cannot be decided now, try again later'),
    ('no channel', 11, '', None, '421 4.3.5 access cannot be decided now, try again later'),
    ('fault of peer access', 99, 'fault.router.test', 'client',
     '421 4.3.5 access cannot be decided now, try again later'),
    # what they look at
    ('subject of access', 8, '', 'client', ('tcp_b', 'TLS_ACCESS')),
    ('subject that is not verified', 8, '', 'client-other', TLS),
    ('not verified', 99, 'verified.router.test', 'client-other',
     '554 5.7.1 Client certificate required'),
    ('no certificate', 99, 'verified.router.test', None,
     '554 5.7.1 Client certificate required'),
    ('verified', 99, 'verified.router.test', 'client', PEER),
    ('subject', 99, 'subject.router.test', 'client', B),
    ('subject of another CA', 99, 'subject.router.test', 'client-other', TLS),
    ('fingerprint without a CA', 99, 'pinned.router.test', 'client-other', B),
    ('another fingerprint', 99, 'pinned.router.test', 'client', PEER),
]
# name: subject, what is replaced in it
HOSTILE = {
    'bars': ('/description=x|sha256:%s|hostile.router.test|127.0.0.1', None),
    'pattern': ('/CN=$Stcp_b $* % * $$', None),
    'quoted': ('/CN=x\\\\,CN=client', None),
    'nul': ('/CN=clientXevil', (b'clientXevil', b'client\0evil')),
    'line': ('/CN=clientXevil', (b'clientXevil', b'client\nevil')),
    'bytes': ('/CN=clientXYevil', (b'clientXYevil', b'client\xc3\xa9evil')),
}


class Access(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.ports = {name: free_port() for name in ('in', 'plain', 'implicit')}
        channels = ['tcp_%s smtp maytlsserver logging\n%s-daemon' % (n, n)
                    for n in ('a', 'tls', 'peer')]
        channels += [
            'tcp_b smtp maytlsserver logging\nb-daemon',
            'tcp_in smtp maytlsserver maytlspeer tlspeerswitchchannel tcp_peer '
            'tlsswitchchannel tcp_tls logging\nin-daemon',
            'tcp_plain smtp maytlsserver logging\nplain-daemon']
        services = [kit.service('in', 'tcp_in', cls.ports['in']),
                    kit.service('plain', 'tcp_plain', cls.ports['plain']),
                    kit.service('implicit', 'tcp_in', tls_port=cls.ports['implicit'])]
        return Router(kit.site(['. $U%$H@no-daemon'], channels, services, files={
            'tls.cnf': TLS_CNF % pki().path('root.pem'),
            'mappings': ACCESS % {'spki': pki().spki('client-other')}
            + '\nORIG_SEND_ACCESS\n\n  tcp_b|*  $NThis$ is$ b\n  *  $NThis$ is$ not\n'}))

    # --- one handshake ---

    def context(self, shown, version='13'):
        context = kit.client_context()
        context.minimum_version = context.maximum_version = VERSIONS[version]
        if shown:
            context.load_cert_chain(*(pki().pair(shown) if isinstance(shown, str) else shown))
        return context

    def handshake(self, wire, how, context, sni='', session=None):
        if how == STARTTLS:
            wire.ehlo()
            wire.want('STARTTLS', 220)
        wire.socket = context.wrap_socket(wire.socket, server_hostname=sni or None,
                                          session=session)

    def connect(self, how, number, port=None):
        return kit.Wire(port or self.ports['in' if how == STARTTLS else 'implicit'],
                        source='127.0.1.%d' % number, greeting=how == STARTTLS)

    def last_session(self, number):
        return self.shared.events('connect', peer='127.0.1.%d' % number)[-1]['session']

    def run_case(self, number, sni, shown, expected, version, how):
        with self.connect(how, number) as wire:
            self.handshake(wire, how, self.context(shown, version), sni)
            if isinstance(expected, str):
                reply = wire.reply()
                self.assertEqual('%d %s' % reply, expected)
                self.assertTrue(wire.is_closed())
            else:
                if how == IMPLICIT:
                    self.assertEqual(wire.reply().code, 220)
                wire.ehlo()
                self.assertEqual(wire.say('MAIL FROM:<sue@far.test>').code, 250)
        session = self.last_session(number)
        end = self.shared.wait_event('disconnect', session=session)
        switches = [(e['to'], e['by']) for e in self.shared.events('switch', session=session)]
        if isinstance(expected, str):
            self.assertEqual(switches, [])
            self.assertEqual(end['reason'], 'tls-access')
            self.assertEqual(self.shared.events('refuse', session=session)[0]['reply'], expected)
        else:
            self.assertEqual(switches, [expected] if expected else [])
            self.assertEqual(end['channel'], expected[0] if expected else 'tcp_in')

    # --- what is logged ---

    def verdict(self, number, sni, event='access'):
        with self.connect(STARTTLS, number) as wire:
            self.handshake(wire, STARTTLS, self.context(None), sni)
        self.shared.wait_event('disconnect', session=self.last_session(number))
        return self.shared.events(event, session=self.last_session(number))[-1]

    def test_log(self):
        seen = self.verdict(5, '')
        self.assertEqual((seen['table'], seen['text']), ('TLS_ACCESS', 'seen by access'))
        self.assertTrue(seen['rule'].startswith('mappings:'))
        seen = self.verdict(99, 'note.router.test')
        self.assertEqual((seen['table'], seen['text']),
                         ('TLS_PEER_ACCESS', 'seen by peer access'))
        self.assertEqual(seen['probe'].split('|')[0:3] + seen['probe'].split('|')[4:],
                         ['tcp_in', 'TLSv1.3', 'TLS_AES_256_GCM_SHA384', 'N', '', '',
                          'note.router.test', '127.0.1.99'])
        refused = self.verdict(3, '')
        self.assertEqual((refused['result'], refused['refusal']), ('refused', 'not with us'))
        fault = self.verdict(7, '', 'error')
        self.assertEqual((fault['what'], fault['table']), ('access table', 'TLS_ACCESS'))
        probe = self.verdict(2, '')['probe'].split('|')
        self.assertEqual(probe[:2] + probe[3:4] + probe[5:],
                         ['TCP', '127.0.0.1', '127.0.1.2', 'SMTP/TLSv1.3:TLS_AES_256_GCM_SHA384',
                          'tcp_in', '', '', ''])

    def test_tls_event(self):
        event = self.verdict(99, 'note.router.test', 'tls')
        self.assertEqual(event['bits'], '256')
        self.assertTrue(event['group'])
        self.assertGreaterEqual(float(event['handshake_ms']), 0)

    # --- version, cipher, group ---

    def told(self, sni, context):
        with self.connect(STARTTLS, 99) as wire:
            self.handshake(wire, STARTTLS, context, sni)
            try:
                wire.send('NOOP\r\n')
                return wire.reply()
            except ConnectionError as error:
                raise AssertionError('no reply was read') from error

    def test_version(self):
        self.assertEqual(self.told('version.router.test', self.context(None, '12')),
                         (421, '4.7.0 Too old'))
        self.assertEqual(self.told('version.router.test', self.context(None, '13')).code, 250)

    def test_cipher(self):
        context = self.context(None, '12')
        context.set_ciphers('ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305')
        self.assertEqual(self.told('cipher.router.test', context), (421, '4.7.0 No ChaCha'))
        self.assertEqual(self.told('cipher.router.test', self.context(None, '12')).code, 250)

    def test_group(self):
        context = self.context(None)
        context.set_ecdh_curve('prime256v1')
        self.assertEqual(self.told('group.router.test', context), (421, '4.7.0 No P-256'))
        self.assertEqual(self.told('group.router.test', self.context(None)).code, 250)

    # --- behind the switch ---

    def test_new_channel(self):
        """Limits, access tables and the log are those of the channel behind the switch."""
        for sni, text in (('to-b.router.test', 'This is b'), ('', 'This is not')):
            with self.connect(STARTTLS, 99) as wire:
                self.handshake(wire, STARTTLS, self.context(None), sni)
                wire.ehlo()
                wire.want('MAIL FROM:<sue@far.test>', 250)
                wire.want('RCPT TO:<ann@router.test>', 550, text)

    def test_clear_is_not_asked(self):
        with self.connect(STARTTLS, 2) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)

    def test_pipelined(self):
        """What was sent together with the end of the handshake is not executed by a session that
        is refused."""
        with self.connect(STARTTLS, 2) as wire:
            self.handshake(wire, STARTTLS, self.context(None))
            try:
                wire.send('EHLO x.test\r\nMAIL FROM:<sue@far.test>\r\n')
            except ConnectionError:
                pass
            self.assertEqual(wire.reply().code, 421)
            self.assertTrue(wire.is_closed())

    # --- resumption ---

    def resume(self, version, first, second):
        """The reply to NOOP or the first one, of a session that is resumed."""
        context, session = self.context(None, version), None
        for sni in (first, second):
            with self.connect(STARTTLS, 99, self.ports['plain']) as wire:
                self.handshake(wire, STARTTLS, context, sni, session)
                wire.send('NOOP\r\n')
                reply = wire.reply()
                resumed, session = wire.socket.session_reused, wire.socket.session
            self.shared.wait_event('disconnect', session=self.last_session(99))
        event = self.shared.events('tls', session=self.last_session(99))[-1]
        self.assertEqual(event.get('resumed') == 'yes', resumed)
        return reply, resumed

    def test_resumed(self):
        for version in VERSIONS:
            reply, resumed = self.resume(version, 'to-b.router.test', 'to-b.router.test')
            self.assertEqual((reply.code, resumed), (250, True))
            switches = self.shared.events('switch', session=self.last_session(99))
            self.assertEqual([e['by'] for e in switches], ['TLS_PEER_ACCESS'])
            event = self.shared.events('tls', session=self.last_session(99))[-1]
            self.assertTrue(event['cipher'])

    def test_resumed_is_asked_again(self):
        """A session that was let in before is not let in for that; who shows another name is
        another one, or gets no more than the name he began with."""
        reply, resumed = self.resume('13', '', 'deny.router.test')
        self.assertEqual(reply, (421, '4.7.0 TLS Negotiation failed.'))

    # --- other clients ---

    def test_openssl(self):
        for sni, text in (('version.router.test', '421 4.7.0 Too old'),
                          ('to-b.router.test', '250 2.0.0')):
            done = subprocess.run(
                ['openssl', 's_client', '-connect', '127.0.0.1:%d' % self.ports['in'],
                 '-starttls', 'smtp', '-servername', sni, '-tls1_2', '-quiet', '-crlf'],
                input='NOOP\nQUIT\n', stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, timeout=20)
            self.assertIn(text, done.stdout)

    # --- certificates that mean harm ---

    def hostile(self, name):
        subject, replace = HOSTILE[name]
        shown = forge('hostile-' + name,
                      subject.replace('%s', pki().spki('client-other')), replace)
        for sni in ('hostile.router.test', 'subject.router.test'):
            self.not_fooled(shown, sni)

    def not_fooled(self, shown, sni):
        with self.connect(STARTTLS, 99) as wire:
            self.handshake(wire, STARTTLS, self.context(shown), sni)
            wire.ehlo()
            self.assertEqual(wire.say('MAIL FROM:<sue@far.test>').code, 250)
        session = self.last_session(99)
        self.shared.wait_event('disconnect', session=session)
        event = self.shared.events('tls', session=session)[-1]
        self.assertEqual(event['verified'], 'ca')
        switches = [(e['to'], e['by']) for e in self.shared.events('switch', session=session)]
        self.assertEqual(switches, [PEER], event)

    def test_long(self):
        """A subject longer than what is kept of it: nobody can say whose it is."""
        shown = forge('hostile-long', '/CN=client' + ''.join('/OU=' + c * 64
                                                             for c in 'abcdefghijklmnopqrst'))
        with self.connect(STARTTLS, 99) as wire:
            self.handshake(wire, STARTTLS, self.context(shown))
            self.assertEqual(wire.reply().code, 421)
        error = self.shared.wait_event('error', session=self.last_session(99))
        self.assertEqual(error['reason'], 'the names in the certificate are too long')

    def test_zz_reload(self):
        """The last one. A session whose handshake would lead elsewhere now begins anew; others
        stay."""
        with self.connect(STARTTLS, 99, self.ports['plain']) as wire, \
                self.connect(STARTTLS, 98, self.ports['plain']) as other:
            self.handshake(wire, STARTTLS, self.context(None), 'to-b.router.test')
            self.handshake(other, STARTTLS, self.context(None), '')
            wire.ehlo()
            other.ehlo()
            self.shared.write('mappings', ACCESS.replace(
                'tcp_plain|*|*|*|*|*|*|to-b.router.test|*  $Stcp_b',
                'tcp_plain|*|*|*|*|*|*|to-b.router.test|*  $Stcp_a') % {'spki': 'x' * 64})
            self.shared.control('{"v":1,"command":"reload"}\n')
            self.shared.wait_event('reload', result='loaded')
            for one, code in ((wire, 421), (other, 250)):
                reply = one.say('NOOP')
                codes = [reply.code]
                if reply.code != 421 and code == 421:
                    codes.append(one.reply().code)
                self.assertEqual(codes[-1], code)


add_cases(Access, 'case', [('%s %s %s' % (c[0], v, h),) + c[1:] + (v, h)
                           for c in CASES for v in VERSIONS for h in (STARTTLS, IMPLICIT)],
          Access.run_case)
add_cases(Access, 'hostile', [(n, n) for n in HOSTILE], Access.hostile)


# channel: keywords, what the entry says, and whether the mail is delivered: over TLS, in clear, or
# not at all
OUTGOING = {
    'fine': ('maytlsclient', '$Y', 'tls'),
    'falls': ('maytlsclient', '$N', 'clear'),
    'never': ('maytlsclient', '$F', None),
    'keyword': ('maytlsclient notlsfallback', '$N', None),
    'must': ('musttlsclient', '$N', None),
    'fault': ('maytlsclient', '$|LOOP;$0|', None),
    'note': ('maytlsclient', '$<seen', 'tls'),
}


class Outgoing(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.port = free_port()
        cls.peers, rules, channels, entries = {}, [], [], []
        for name, (words, says, _) in OUTGOING.items():
            peer = cls.peers[name] = cls.class_peer(Aiosmtpd(tls='good'))
            rules.append('%s.test $U%%$D@tcp-%s-daemon' % (name, name))
            channels.append('tcp_%s smtp nomx daemon 127.0.0.1 port %d %s logging\n'
                            'tcp-%s-daemon' % (name, peer.port, words, name))
            entries.append('  TCP|127.0.0.1|%d|127.0.0.1|*|SMTP/TLSv1.3:*|tcp_%s|||  %s\n'
                           % (peer.port, name, says))
        return Router(kit.site(
            rules + ['. $U%$H@tcp-daemon'], ['tcp_local smtp\ntcp-daemon'] + channels,
            [kit.service('SMTP', 'tcp_local', cls.port)], [n + '.test' for n in OUTGOING],
            files={'mappings': 'TLS_ACCESS\n\n%s\nLOOP\n\n  *  $|LOOP;$0|$Y\n'
                   % ''.join(entries)}))

    def delivery(self, name):
        word, how = kit.token(), OUTGOING[name][2]
        ident = kit.queue_id(kit.send(self.port, 'bob@%s.test' % name, subject=word))
        event = self.shared.wait_event('deliver', id=ident)
        self.assertEqual(event['outcome'], 'delivered' if how else 'deferred', event)
        self.assertEqual(event['tls.active'], 'yes' if how == 'tls' else 'no')
        if how:
            self.assertEqual(bool(self.peers[name].find(word.encode())[3]), how == 'tls')
        else:
            self.assertNotIn('MAIL', ''.join(self.peers[name].seen))
        if how != 'tls':
            self.assertIn('TLS_ACCESS', event['tls.error'])
        if how is None:
            self.assertEqual(event['status'], '4.7.5')
        if name == 'fault':
            self.assertTrue(self.shared.events('error', id=ident, table='TLS_ACCESS'))
        elif name != 'fine':
            seen = self.shared.events('access', id=ident)[0]
            self.assertEqual(seen['result'], 'none' if name == 'note' else 'refused')


add_cases(Outgoing, 'delivery', [(n, n) for n in OUTGOING], Outgoing.delivery)
