"""What scanners find of the default profile, by STARTTLS and by TLS from the first byte: sslscan's
XML, and what it does not ask: compression, and resumption."""
import os
import shutil
import ssl
import struct
import subprocess
import unittest
import xml.etree.ElementTree

import kit
from harness import Router, SharedRouterTest, add_cases, free_port
from pki import pki

WAYS = ('starttls', 'implicit')
# of TLS 1.2: an ephemeral key exchange, and an AEAD; of TLS 1.3 all are
FORWARD, AEAD = ('ECDHE-', 'DHE-'), ('-GCM-', 'CHACHA20', '-CCM')


def client_hello(methods):
    """A record: TLS 1.2, ECDHE suites with AEAD, these compression methods."""
    suites = struct.pack('>6H', 10, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0x00FF)
    groups = struct.pack('>6H', 10, 8, 6, 29, 23, 24)
    signatures = struct.pack('>6H', 13, 8, 6, 0x0403, 0x0804, 0x0401)
    extensions = groups + signatures
    body = (b'\x03\x03' + os.urandom(32) + b'\x00' + suites + bytes([len(methods)]) + methods +
            struct.pack('>H', len(extensions)) + extensions)
    message = b'\x01' + struct.pack('>I', len(body))[1:] + body
    return b'\x16\x03\x01' + struct.pack('>H', len(message)) + message


@unittest.skipUnless(shutil.which('sslscan'), 'sslscan is not there (./bootstrap test gets it)')
class Scan(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.ports = {way: free_port() for way in WAYS}
        pairs = [pki().pair('ecdsa'), pki().pair('rsa')]
        tls = '[*]\n' + ''.join('server_cert = ../tls/%d.pem\nserver_key = ../tls/%d.key\n' % (n, n)
                                for n in range(len(pairs)))
        router = Router(kit.site(
            ['. $U%$H@tcp-daemon'], ['tcp_local smtp maytlsserver\ntcp-daemon'],
            [kit.service('SMTP', 'tcp_local', cls.ports['starttls'], cls.ports['implicit'])],
            files={'tls.cnf': tls}))
        for n, pair in enumerate(pairs):
            for path, end in zip(pair, ('pem', 'key')):
                shutil.copy(path, router.path('tls', '%d.%s' % (n, end)))
        router.give_to_user()
        return router

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seen = {way: cls.scan(way) for way in WAYS}

    @classmethod
    def scan(cls, way):
        command = ['sslscan', '--xml=-', '--no-colour']
        command += ['--starttls-smtp'] if way == 'starttls' else []
        done = subprocess.run(command + ['127.0.0.1:%d' % cls.ports[way]], timeout=120, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return xml.etree.ElementTree.fromstring(done.stdout).find('ssltest')

    def protocols(self, way):
        found = {(p.get('type') + p.get('version')): p.get('enabled')
                 for p in self.seen[way].iter('protocol')}
        self.assertEqual(found, {'ssl2': '0', 'ssl3': '0', 'tls1.0': '0', 'tls1.1': '0',
                                 'tls1.2': '1', 'tls1.3': '1'})

    def ciphers(self, way):
        found = {(c.get('sslversion'), c.get('cipher')) for c in self.seen[way].iter('cipher')}
        self.assertEqual({version for version, _ in found}, {'TLSv1.2', 'TLSv1.3'})
        old = [name for version, name in found if version == 'TLSv1.2']
        # both certificates are used
        self.assertIn('ECDHE-ECDSA-AES256-GCM-SHA384', old)
        self.assertIn('ECDHE-RSA-AES256-GCM-SHA384', old)
        for name in old:
            self.assertTrue(name.startswith(FORWARD), name)
            self.assertTrue(any(word in name for word in AEAD), name)
        for version, name in found - {('TLSv1.2', name) for name in old}:
            self.assertTrue(name.startswith('TLS_') and ('GCM' in name or 'POLY1305' in name
                                                         or 'CCM' in name), (version, name))
        for cipher in self.seen[way].iter('cipher'):
            self.assertIn(cipher.get('strength'), ('acceptable', 'strong'), cipher.attrib)
            self.assertGreaterEqual(int(cipher.get('bits')), 128, cipher.attrib)
            self.assertTrue(cipher.get('curve') or cipher.get('dhebits'), cipher.attrib)

    def groups(self, way):
        found = list(self.seen[way].iter('group'))
        self.assertTrue(found)
        for group in found:
            self.assertGreaterEqual(int(group.get('bits')), 112, group.attrib)

    def renegotiation(self, way):
        found = [(r.get('supported')) for r in self.seen[way].iter('renegotiation')]
        self.assertEqual(found, ['0'])

    def heartbleed(self, way):
        found = {h.get('vulnerable') for h in self.seen[way].iter('heartbleed')}
        self.assertEqual(found, {'0'})

    def downgrades(self, way):
        """Nor may a client fall back by itself without being told (RFC 7507)."""
        self.assertEqual([f.get('supported') for f in self.seen[way].iter('fallback')] or ['1'],
                         ['1'])

    # --- what sslscan does not ask, or only some builds of it ---

    def compression(self, way):
        """DEFLATE is offered first; the answer is null. sslscan tells where it can."""
        self.assertEqual([c.get('supported') for c in self.seen[way].iter('compression')
                          if c.get('supported') != '0'], [])
        with kit.Wire(self.ports[way], greeting=way == 'starttls') as wire:
            if way == 'starttls':
                wire.ehlo()
                wire.want('STARTTLS', 220)
            wire.send(client_hello(b'\x01\x00'))
            hello = b''
            while len(hello) < 9 or len(hello) < 9 + 2 + 32 + 1 + hello[43] + 3:
                hello += wire.socket.recv(4096)
        self.assertEqual((hello[0], hello[5]), (0x16, 2))  # ServerHello
        self.assertEqual(hello[44 + hello[43] + 2], 0)

    def resumed(self, way, version):
        context = kit.client_context(only=version)
        session, reused = None, []
        for _ in range(3):
            with kit.Wire(self.ports[way], greeting=way == 'starttls') as wire:
                if way == 'starttls':
                    wire.ehlo()
                    wire.want('STARTTLS', 220)
                wire.socket = context.wrap_socket(wire.socket, server_hostname='router.test',
                                                  session=session)
                if way == 'implicit':
                    wire.reply()
                wire.ehlo()
                wire.want('QUIT', 221)
                reused.append(wire.socket.session_reused)
                session = wire.socket.session
        self.assertEqual(reused, [False, True, True])
        events = self.shared.events('tls', resumed='yes', version=version.name.replace('_', '.'))
        self.assertGreaterEqual(len(events), 2)

    def resumption(self, way):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                self.resumed(way, version)


for name in ('protocols', 'ciphers', 'groups', 'renegotiation', 'heartbleed', 'downgrades',
             'compression', 'resumption'):
    add_cases(Scan, name, [(way, way) for way in WAYS], getattr(Scan, name))
