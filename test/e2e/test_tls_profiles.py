"""Profiles of tls.cnf at work: which certificate and which protocols clients and next hops
meet, by channel; and that a reload changes them."""
import os
import ssl

import kit
from harness import Router, SharedRouterTest, free_port, make_certificate
from peers import Aiosmtpd

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

TLS_CNF = """\
[*]
server_cert = ../tls/server-pub.pem
server_key = ../tls/server-priv.pem
sni = mail.customer.test : ../tls/customer/server-pub.pem : file:../tls/customer/server-priv.pem
[modern]
preset = modern
[bank]
server_cert = ../tls/bank/server-pub.pem
server_key = ../tls/bank/server-priv.pem
client_cert = ../tls/bank/server-pub.pem
client_key = file:../tls/bank/server-priv.pem
sni = none
protocol_max = TLSv1.2
"""


class Profiles(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.ports = {name: free_port() for name in ('local', 'modern', 'bank', 'implicit')}
        cls.peer_of = {name: cls.class_peer(Aiosmtpd()) for name in ('modern', 'bank')}
        out = ['tcp_to%s smtp nomx daemon 127.0.0.1 port %d musttlsclient logging tlsprofile %s\n'
               'to-%s' % (name, peer.port, name, name) for name, peer in cls.peer_of.items()]
        router = Router(kit.site(
            ['to%s.test $U%%$D@to-%s' % (n, n) for n in cls.peer_of] + ['. $U%$H@tcp-daemon'],
            ['tcp_local smtp maytlsserver\ntcp-daemon',
             'tcp_modern smtp maytlsserver tlsprofile modern\nmodern-daemon',
             'tcp_bank smtp maytlsserver tlsprofile BANK\nbank-daemon'] + out,
            [kit.service(n, 'tcp_' + n, cls.ports[n]) for n in ('local', 'modern', 'bank')] +
            [kit.service('implicit', 'tcp_bank', tls_port=cls.ports['implicit'])],
            ['to%s.test' % n for n in cls.peer_of], files={'tls.cnf': TLS_CNF}))
        for name in ('customer', 'bank'):
            folder = router.path('tls', name)
            os.mkdir(folder)
            make_certificate(folder, name + '.test')
        router.give_to_user()
        return router

    def shown(self, port, sni=None, tls=False, version=None):
        """(a name in the certificate that is shown, protocol); None without a handshake."""
        context = kit.client_context(only=version)
        with kit.Wire(port, greeting=not tls) as wire:
            if not tls:
                wire.ehlo()
                wire.want('STARTTLS', 220)
            try:
                wire.socket = context.wrap_socket(wire.socket, server_hostname=sni)
            except (ssl.SSLError, ConnectionError):
                return None
            seen = wire.socket.getpeercert(True)
            names = [n for n in (b'router.test', b'customer.test', b'bank.test') if n in seen]
            return names[0].decode(), wire.socket.version()

    def test_certificate_by_channel(self):
        self.assertEqual(self.shown(self.ports['local']), ('router.test', 'TLSv1.3'))
        self.assertEqual(self.shown(self.ports['modern']), ('router.test', 'TLSv1.3'))
        self.assertEqual(self.shown(self.ports['bank']), ('bank.test', 'TLSv1.2'))
        self.assertEqual(self.shown(self.ports['implicit'], tls=True), ('bank.test', 'TLSv1.2'))

    def test_certificate_by_name(self):
        for port, asked, name in (('local', 'mail.customer.test', 'customer.test'),
                                  ('modern', 'mail.customer.test', 'customer.test'),
                                  ('bank', 'mail.customer.test', 'bank.test'),
                                  ('local', 'nobody.test', 'router.test')):
            with self.subTest(port=port, asked=asked):
                self.assertEqual(self.shown(self.ports[port], asked)[0], name)

    def test_protocols(self):
        for port, version, good in (('local', TLS12, True), ('local', TLS13, True),
                                    ('modern', TLS12, False), ('modern', TLS13, True),
                                    ('bank', TLS12, True), ('bank', TLS13, False)):
            with self.subTest(port=port, version=version):
                self.assertEqual(self.shown(self.ports[port], version=version) is not None, good)

    def test_next_hops(self):
        for name, version in (('modern', 'TLSv1.3'), ('bank', 'TLSv1.2')):
            ident = kit.queue_id(kit.send(self.ports['local'], 'bob@to%s.test' % name))
            event = self.shared.wait_event('deliver', id=ident)
            self.assertEqual(event['outcome'], 'delivered', event)
            self.assertEqual(event['tls.version'], version, event)

    def test_zz_reload(self):
        """The last one: what it changes stays."""
        self.shared.write('tls.cnf', TLS_CNF.replace('TLSv1.2', 'TLSv1.3')
                          .replace('preset = modern', 'protocol_max = TLSv1.2'))
        self.shared.control('{"v":1,"command":"reload"}\n')
        self.shared.wait_event('reload', result='loaded')
        self.assertEqual(self.shown(self.ports['modern']), ('router.test', 'TLSv1.2'))
        self.assertEqual(self.shown(self.ports['bank']), ('bank.test', 'TLSv1.3'))
        self.shared.write('tls.cnf', TLS_CNF + 'groups = nosuch\n')
        self.shared.control('{"v":1,"command":"reload"}\n')
        self.shared.wait_event('reload', result='refused')
        self.assertEqual(self.shown(self.ports['bank']), ('bank.test', 'TLSv1.3'))
