"""`groups_retry`: a next hop that does not answer the first ClientHello is asked once more with other
groups, before anything else that follows from broken TLS."""
import socket
import ssl

import kit
from harness import Router, SharedRouterTest, free_port
from peers import Scripted

# the extension supported_groups with X25519 alone, as the profile says
X25519_ONLY = b'\x00\x0a\x00\x04\x00\x02\x00\x1d'


class Deaf:
    """What a host does with a ClientHello: dislikes(octets) makes it hang up."""
    def __init__(self, dislikes):
        self.dislikes = dislikes
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def __getattr__(self, name):
        return getattr(self.context, name)

    def wrap_socket(self, connection, server_side):
        hello = b''
        while len(hello) < 5 or len(hello) < 5 + int.from_bytes(hello[3:5], 'big'):
            hello = connection.recv(65536, socket.MSG_PEEK)
            if not hello:
                raise OSError('gone')
        if self.dislikes(hello):
            raise OSError('not that one')
        return self.context.wrap_socket(connection, server_side=server_side)


def host(dislikes, **replies):
    peer = Scripted(**dict({'EHLO': b'250-scripted\r\n250 STARTTLS\r\n', 'TLS': True}, **replies))
    context = peer.context
    peer.context = Deaf(dislikes)
    peer.context.context = context
    return peer


HOSTS = {
    'x25519': lambda hello: X25519_ONLY in hello,
    'all': lambda hello: True,
    'nothing': lambda hello: False,
}
# channel: host, words, whether the profile has groups_retry
CHANNELS = {
    'may': ('x25519', 'maytlsclient', True), 'must': ('x25519', 'musttlsclient', True),
    'without': ('x25519', 'maytlsclient', False), 'deaf': ('all', 'maytlsclient', True),
    'deafmust': ('all', 'musttlsclient', True), 'good': ('nothing', 'maytlsclient', True),
    'verify': ('nothing', 'musttlsclient tlsverifyhost', True),
    'implicit': ('x25519', 'tlsimplicitclient', True),
}
TLS = '[with]\ngroups = X25519\ngroups_retry = P-256:P-384\n[without]\ngroups = X25519\n'


class Groups(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.peers, rules, channels = {}, [], []
        for name, (kind, words, retry) in CHANNELS.items():
            more = {'implicit': True} if name == 'implicit' else {}
            peer = cls.peers[name] = cls.class_peer(host(HOSTS[kind], **more))
            rules.append('%s.test $U%%$D@tcp-%s-daemon' % (name, name))
            channels.append('tcp_%s smtp nomx daemon 127.0.0.1 port %d logging %s tlsprofile %s\n'
                            'tcp-%s-daemon' % (name, peer.port, words,
                                               'with' if retry else 'without', name))
        cls.port = free_port()
        return Router(kit.site(rules + ['. $U%$H@tcp-daemon'],
                               ['tcp_local smtp\ntcp-daemon'] + channels,
                               [kit.service('SMTP', 'tcp_local', cls.port)],
                               [r.split()[0] for r in rules], files={'tls.cnf': TLS}))

    def send(self, name):
        peer = self.peers[name]
        before, begun = peer.connections, len(peer.seen)
        ident = kit.queue_id(kit.send(self.port, 'bob@%s.test' % name))
        event = self.shared.wait_event('deliver', id=ident)
        self.assertEqual(self.shared.events('tls_downgrade', id=ident) != [],
                         event['tls.summary'] == 'may>clear', event)
        return event, peer.connections - before, [v for v, _ in peer.seen[begun:]]

    def retried(self, name, summary):
        event, connections, _ = self.send(name)
        self.assertEqual((event['outcome'], event['tls.summary'], event['tls.group']),
                         ('delivered', summary, 'secp256r1'), event)
        self.assertEqual(connections, 2)
        first, second = self.shared.events('tls', id=event['id'])
        self.assertTrue(first['error'])
        self.assertEqual((second['groups'], second['group']), ('retry', 'secp256r1'))

    def test_may(self):
        self.retried('may', 'may>tls')

    def test_must(self):
        self.retried('must', 'must>tls')

    def test_implicit(self):
        self.retried('implicit', 'must>tls')

    def test_without(self):
        event, connections, said = self.send('without')
        self.assertEqual((event['tls.summary'], connections, said.count('STARTTLS')),
                         ('may>clear', 2, 1))

    def test_once_only(self):
        event, connections, said = self.send('deaf')
        self.assertEqual((event['tls.summary'], connections, said.count('STARTTLS')),
                         ('may>clear', 3, 2))

    def test_must_never_falls_back(self):
        event, connections, said = self.send('deafmust')
        self.assertEqual((event['outcome'], event['status'], connections),
                         ('deferred', '4.7.5', 2))
        self.assertNotIn('MAIL', said)

    def test_not_needed(self):
        event, connections, _ = self.send('good')
        self.assertEqual((event['tls.summary'], event['tls.group'].lower(), connections),
                         ('may>tls', 'x25519', 1))

    def test_not_behind_an_answer(self):
        """A certificate that does not verify would not by other groups."""
        event, connections, _ = self.send('verify')
        self.assertEqual((event['outcome'], event['status'], connections),
                         ('deferred', '4.7.5', 1))

    def test_probe(self):
        for name, group in (('may', 'secp256r1'), ('good', 'x25519')):
            done = self.shared.tool('tls', 'probe', '--json', '--channel', 'tcp_' + name,
                                    '127.0.0.1')
            told = kit.json_line(done.stdout)
            self.assertEqual((told['outcome'], told['tls']['group'].lower(),
                              told['tls']['groups_retry']), ('tls', group, name == 'may'), told)
        told = kit.json_line(self.shared.tool('tls', 'probe', '--json', '--channel', 'tcp_deafmust',
                                              '127.0.0.1').stdout)
        self.assertEqual((told['sent'], told['status']), (False, '4.7.5'))

    def test_checked(self):
        bad = self.shared.path('conf', '..', 'bad')
        self.shared.write('../bad/pointsman.cnf', '. $U%$H@tcp-daemon\n\nl\nhere.test\n\n'
                          'tcp_local smtp maytlsclient\ntcp-daemon\n')
        for value, said in (('P-256:nonsense', "OpenSSL knows no group 'nonsense' [tls-group]"),
                            ('', "[option-empty]")):
            self.shared.write('../bad/tls.cnf', '[*]\ngroups_retry = %s\n' % value)
            done = self.shared.tool('-c', bad, 'check')
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stdout)
