"""The options of a profile that say whom to trust and what to show, at work on the wire: CAs by
file, folder, store and of the system, for next hops and for clients; our certificate for next hops
that ask; the names of CAs that clients are told."""
import os
import shutil
import ssl
import subprocess

import kit
from harness import Router, SharedRouterTest, add_cases, free_port
from pki import pki
from stacks import Hop

# profile: its lines ({root} and {other} are CAs, {dir} holds both), and whether the next hop, whose
# certificate comes from root, verifies. The system is made to know root, and nobody else.
NEXT_HOPS = {
    'file': ('ca_file = {root}', True),
    'files': ('ca_file = {other}\nca_file = {root}', True),
    'dir': ('ca_dir = {dir}', True),
    'store': ('ca_store = {root}', True),
    'store-uri': ('ca_store = file:{root}', True),
    'system': ('', True),
    'other': ('ca_file = {other}', False),
    'other-and-system': ('ca_file = {other}\nca_system = yes', True),
    'other-not-system': ('ca_file = {other}\nca_system = no', False),
    'inherited': ('inherit = other', False),
    'cancelled': ('inherit = other\nca_file = none', True),
}
CLIENTS = {
    'client-file': 'client_ca_file = {root}', 'client-dir': 'client_ca_dir = {rootdir}',
    'client-store': 'client_ca_store = {root}', 'client-uri': 'client_ca_store = file:{root}',
    'client-silent': 'client_ca_file = {root}\nsend_ca_names = no',
}
# profile -> what the next hop is shown
SHOWN = {
    'shows-ec': ('client_cert = {client}.pem\nclient_key = {client}.key', 'client'),
    'shows-rsa': ('client_cert = {rsa}.pem\nclient_key = file:{rsa}.key', 'client-rsa'),
    'shows-inherited': ('inherit = shows-rsa', 'client-rsa'),
    'shows-none': ('inherit = shows-ec\nclient_cert = none', None),
    'shows-nothing': ('', None),
}


class Asking:
    """A stack of stacks.Hop that asks for a certificate; shown: of each client, or None."""

    def __init__(self):
        self.shown = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pki().pair('ecdsa'))
        self.context.load_verify_locations(pki().path('root.pem'))
        self.context.verify_mode = ssl.CERT_OPTIONAL

    def take(self, connection):
        connection = self.context.wrap_socket(connection, server_side=True)
        self.shown.append(connection.getpeercert(True))
        connection.close()


class Trust(SharedRouterTest):
    @classmethod
    def profiles(cls):
        ours = pki()
        for name, cas in (('cas', ('root', 'other')), ('rootca', ('root',))):
            os.mkdir(ours.path(name))
            os.chmod(ours.path(name), 0o755)
            for ca in cas:
                shutil.copy(ours.path(ca + '.pem'), os.path.join(ours.path(name), ca + '.pem'))
        places = dict(root=ours.path('root.pem'), other=ours.path('other.pem'),
                      dir=ours.path('cas'), rootdir=ours.path('rootca'),
                      client='../tls/client', rsa='../tls/client-rsa')
        lines = {name: text for name, (text, _) in list(NEXT_HOPS.items()) + list(SHOWN.items())}
        lines.update(CLIENTS)
        return ('[*]\nserver_cert = ../tls/server-pub.pem\nserver_key = ../tls/server-priv.pem\n' +
                ''.join('[%s]\n%s\n' % (n, t.format(**places)) for n, t in lines.items()))

    @classmethod
    def make_router(cls):
        port = free_port()
        cls.hop = cls.class_peer(Hop('127.40.0.1', port, 'python', pki().pair('ecdsa'), '13'))
        cls.asking = Asking()
        cls.class_peer(Hop('127.40.0.2', port, tls=cls.asking))
        ip = {name: '127.40.0.%d' % (2 if name in SHOWN else 1)
              for name in list(NEXT_HOPS) + list(SHOWN)}
        channels = ['tcp_%s smtp daemon %s port %d musttlsclient %s tlsprofile %s logging\n'
                    'tcp-%s-daemon' % (n.replace('-', '_'), ip[n], port, 'tlsverifyca' if n in
                                       NEXT_HOPS else 'notlsverify', n, n) for n in ip]
        channels += ['tcp_%s smtp maytlsserver musttlspeer tlsprofile %s logging\ntcp-%s-daemon'
                     % (n.replace('-', '_'), n, n) for n in CLIENTS]
        cls.ports = {n: free_port() for n in ['local'] + list(CLIENTS)}
        # what OpenSSL takes for the CAs of the system
        os.environ['SSL_CERT_FILE'] = pki().path('root.pem')
        os.environ['SSL_CERT_DIR'] = '/nowhere'
        router = Router(kit.site(
            ['%s.test $U%%$D@tcp-%s-daemon' % (n, n) for n in ip] + ['. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon'] + channels,
            [kit.service(n, 'tcp_' + n.replace('-', '_'), p) for n, p in cls.ports.items()],
            [n + '.test' for n in ip], files={'tls.cnf': cls.profiles()}))
        for name in ('client', 'client-rsa'):
            for path in pki().pair(name):
                shutil.copy(path, router.path('tls'))
        router.give_to_user()
        return router

    def deliver(self, profile):
        ident = kit.queue_id(kit.send(self.ports['local'], 'bob@%s.test' % profile))
        return self.shared.wait_event('deliver', id=ident)

    def next_hop(self, profile, good):
        event = self.deliver(profile)
        if good:
            self.assertEqual((event['outcome'], event['tls.verified']), ('delivered', 'ca'), event)
        else:
            self.assertEqual((event['outcome'], event['status']), ('deferred', '4.7.5'), event)
            self.assertIn('unable to get local issuer certificate', event['tls.error'])

    def client(self, profile):
        for shown, code in (('client', 250), ('client-other', 550)):
            context = kit.client_context()
            context.load_cert_chain(*pki().pair(shown))
            with self.subTest(shown=shown), kit.Wire(self.ports[profile]) as wire:
                wire.ehlo()
                wire.starttls(context)
                wire.ehlo()
                wire.want('MAIL FROM:<sue@far.test>', code)

    def our_certificate(self, profile, name):
        self.asking.shown.clear()
        self.deliver(profile)  # of no matter: the hop goes away after the handshake
        want = ssl.PEM_cert_to_DER_cert(
            pki().read(name + '.pem').split('-----END')[0] +
            '-----END CERTIFICATE-----\n') if name else None
        self.assertEqual(self.asking.shown[:1], [want])

    def ca_names(self, profile):
        """What openssl s_client is told."""
        done = subprocess.run(['openssl', 's_client', '-starttls', 'smtp', '-connect',
                               '127.0.0.1:%d' % self.ports[profile]], input=b'QUIT\r\n',
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20)
        return done.stdout.decode()

    def test_ca_names_are_sent(self):
        text = self.ca_names('client-file')
        self.assertIn('Acceptable client certificate CA names\nCN = Test root\n', text)

    def test_ca_names_are_not_sent(self):
        self.assertIn('No client certificate CA names sent', self.ca_names('client-silent'))


add_cases(Trust, 'next_hop', [(n, n, good) for n, (_, good) in NEXT_HOPS.items()], Trust.next_hop)
add_cases(Trust, 'client', [(n, n) for n in CLIENTS], Trust.client)
add_cases(Trust, 'our_certificate', [(n, n, shown) for n, (_, shown) in SHOWN.items()],
          Trust.our_certificate)
