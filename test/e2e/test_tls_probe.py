"""`pointsman tls probe`: what it tells of live peers (ours, openssl s_server, Python ssl), that
its verdict is what the daemon does, and that no peer makes it hang or crash."""
import os
import socket
import subprocess
import threading
import time
import unittest

import kit
from harness import TOOL, Router, SharedRouterTest, add_cases, free_port, wait_until
from peers import Aiosmtpd, Scripted
from pki import pki

IP = '127.0.0.1'
OFFER = b'250-scripted\r\n250 STARTTLS\r\n'


def probe(*arguments, config=None, timeout=30):
    """(exit code, object, standard error)"""
    command = [TOOL] + (['-c', config] if config else []) + ['tls', 'probe', '--json']
    done = subprocess.run(command + list(arguments), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout)
    return done.returncode, kit.json_line(done.stdout.decode()), done.stderr.decode()


def probe_text(*arguments, config=None):
    command = [TOOL] + (['-c', config] if config else []) + ['tls', 'probe']
    done = subprocess.run(command + list(arguments), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=30)
    return done.returncode, done.stdout.decode()


POLICIES = {
    'no': 'notlsclient', 'may': 'maytlsclient', 'stay': 'maytlsclient notlsfallback',
    'try': 'maytlsclient tlsverifytry', 'mayca': 'maytlsclient tlsverifyca',
    'must': 'musttlsclient', 'ca': 'musttlsclient tlsverifyca',
    'host': 'musttlsclient tlsverifyhost', 'fp': 'musttlsclient tlsverifyfp',
    'implicit': 'tlsimplicitclient tlsverifyhost', 'veto': 'maytlsclient',
    'never': 'maytlsclient', 'untrusted': 'maytlsclient tlsverifytry',
}
ACCESS = '''TLS_ACCESS

  TCP|127.0.0.1|*|127.0.0.1|*|SMTP/TLSv1.*|tcp_veto_*|*|*|  $N
  TCP|*|*|*|*|*|tcp_never_*|*|*|  $F
  TCP|*|*|*|*|*|tcp_untrusted_*|||  $N
'''
PEERS = ['none', 'good', 'rsa', 'other', 'expired', 'refused', 'broken', 'gone', 'rubbish',
         'injects', 'old', 'closed', 'implicit']
PROVEN = {'clear': 'none', 'tls': 'none', 'pinned': 'fp'}


def peers():
    ours = pki()
    pair = lambda name: dict(certificate=ours.pair(name))
    return {
        'none': Aiosmtpd(tls='none'), 'good': Aiosmtpd(**pair('ip')),
        'rsa': Aiosmtpd(**pair('rsa')), 'other': Aiosmtpd(**pair('other-ca')),
        'expired': Aiosmtpd(**pair('expired')), 'refused': Aiosmtpd(tls='refused'),
        'broken': Aiosmtpd(tls='broken'),
        'gone': Scripted(EHLO=OFFER, STARTTLS=None),
        'rubbish': Scripted(EHLO=OFFER, STARTTLS=b'no code\r\n'),
        'injects': Scripted(EHLO=OFFER, STARTTLS=b'220 go\r\n250 injected\r\n'),
        'old': Scripted(EHLO=b'500 what\r\n'), 'closed': Scripted(greeting=b'554 closed\r\n'),
        'implicit': Scripted(implicit=True, **pair('ip')),
    }


class Verdict(SharedRouterTest):
    """Policies times peers: the verdict is what a delivery comes to."""
    @classmethod
    def make_router(cls):
        ours = pki()
        cls.peers = peers()
        rules, channels = [], []
        for peer, at in cls.peers.items():
            cls.class_peer(at)
            for policy, words in POLICIES.items():
                key = '%s-%s' % (policy, peer)
                rules.append('%s.test $U%%$D@tcp-%s-daemon' % (key, key))
                channels.append('tcp_%s_%s smtp nomx daemon %s port %d logging %s tlsprofile ours\n'
                                'tcp-%s-daemon' % (policy, peer, IP, at.port, words, key))
        cls.port = free_port()
        tls = ('[ours]\nca_file = %s\nfingerprint = sha256:%s\n'
               % (ours.path('root.pem'), ours.spki('rsa')))
        return Router(kit.site(rules + ['. $U%$H@tcp-daemon'],
                               ['tcp_local smtp\ntcp-daemon'] + channels,
                               [kit.service('SMTP', 'tcp_local', cls.port)],
                               [r.split()[0] for r in rules], files={'tls.cnf': tls, 'mappings': ACCESS}))

    def cell(self, policy, peer):
        key = '%s-%s' % (policy, peer)
        code, told, error = probe('%s:%d' % (IP, self.peers[peer].port), '--channel',
                                  'tcp_%s_%s' % (policy, peer), '--timeout', '10', config=self.shared.conf)
        self.assertEqual(error, '')
        ident = kit.queue_id(kit.send(self.port, 'bob@%s.test' % key))
        event = self.shared.wait_event('deliver', id=ident)
        sent = event['outcome'] == 'delivered'
        self.assertEqual((told['sent'], code), (sent, 0 if sent else 1), (told, event))
        if sent:
            self.assertEqual(PROVEN.get(told['outcome'], told['outcome']), event.get('tls.verified', 'none'))
            self.assertEqual(told['outcome'] != 'clear', event['tls.active'] == 'yes')
            self.assertEqual(told['new_connection'], event.get('tls.fallback') == 'yes', event)
        elif told['status'].startswith('4.7'):
            self.assertEqual(told['status'], event['status'], (told, event))


add_cases(Verdict, 'verdict', [('%s_%s' % (policy, peer), policy, peer)
                               for policy in POLICIES for peer in PEERS
                               if (policy == 'implicit') == (peer == 'implicit')
                               or (policy == 'implicit' and peer in ('none', 'closed'))],
          Verdict.cell)


class Offers(unittest.TestCase):
    """What is told of a host, without a configuration."""
    def peer(self, peer):
        self.addCleanup(peer.stop)
        return peer

    def s_server(self, said, *arguments):
        """openssl s_server that says so after the handshake; its port."""
        port = free_port()
        certificate, key = pki().pair('rsa')
        process = subprocess.Popen(
            ['openssl', 's_server', '-accept', '%s:%d' % (IP, port), '-quiet', '-cert',
             certificate, '-cert_chain', certificate, '-key', key] + list(arguments),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            process.kill()
            process.wait()
            process.stdin.close()
        self.addCleanup(end)
        process.stdin.write(said)
        process.stdin.flush()

        def listens():
            with open('/proc/net/tcp', encoding='ascii') as file:
                return ':%04X 00000000:0000 0A' % port in file.read()
        wait_until('s_server listens', listens)
        return port

    SAID = b'220 s_server\r\n250-s_server\r\n250 SIZE 99\r\n221 bye\r\n'

    def test_s_server_tls13(self):
        port = self.s_server(self.SAID, '-tls1_3')
        code, told, error = probe('%s:%d' % (IP, port), '--implicit')
        self.assertEqual((code, error), (0, ''))
        self.assertEqual((told['greeting'], told['extensions'], told['failure']),
                         (['s_server'], ['SIZE 99'], None))
        tls, ours = told['tls'], pki()
        self.assertEqual(tls['version'], 'TLSv1.3')
        self.assertTrue(tls['group'])
        self.assertEqual(tls['bits'], 256)
        leaf = tls['certificates'][0]
        self.assertEqual(leaf['subject'], 'CN=mx.partner.test')
        self.assertEqual(leaf['names'], 'DNS:mx.partner.test')
        self.assertEqual(leaf['key'], 'RSA, 2048 bits')
        self.assertEqual(leaf['fingerprint'],
                         'sha256:' + ours.fingerprint('rsa').replace(':', '').lower())
        self.assertEqual(leaf['spki'], 'sha256:' + ours.spki('rsa'))
        self.assertIn('CN=Test middle', [c['subject'] for c in tls['certificates']])
        self.assertFalse(tls['ca']['proven'])
        self.assertIn('local issuer', tls['ca']['why'])
        self.assertIsNone(tls['pinned'])

    def test_s_server_tls12(self):
        port = self.s_server(self.SAID, '-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256',
                             '-groups', 'P-256')
        code, told, _ = probe('%s:%d' % (IP, port), '--implicit')
        self.assertEqual((code, told['tls']['version'], told['tls']['cipher'],
                          told['tls']['group']),
                         (0, 'TLSv1.2', 'ECDHE-RSA-AES128-GCM-SHA256', 'secp256r1'))

    def test_s_server_that_wants_a_certificate(self):
        port = self.s_server(b'', '-tls1_3', '-Verify', '1')
        code, told, _ = probe('%s:%d' % (IP, port), '--implicit')
        self.assertEqual((code, told['tls']['version']), (1, 'TLSv1.3'))
        self.assertIn('certificate required', told['failure'])

    def test_s_server_with_old_ciphers_only(self):
        port = self.s_server(b'', '-tls1_2', '-cipher', 'AES128-SHA')
        code, told, _ = probe('%s:%d' % (IP, port), '--implicit')
        self.assertEqual((code, told['tls'], told['outcome']), (1, None, 'clear'))
        self.assertIn('handshake failure', told['failure'])

    def test_text(self):
        peer = self.peer(Aiosmtpd(certificate=pki().pair('expired')))
        code, text = probe_text('%s:%d' % (IP, peer.port))
        self.assertEqual(code, 0, text)
        for part in ('connected ', 'greeting         220 peer.test', 'STARTTLS         220',
                     'TLS              TLSv1.3, TLS_', 'certificate      CN=mx.partner.test',
                     'EXPIRED', 'fingerprint    sha256:', 'CA               no: ',
                     'verdict          tls'):
            self.assertIn(part, text)

    def test_require(self):
        peer = self.peer(Aiosmtpd(certificate=pki().pair('ip')))
        self.assertEqual(probe('%s:%d' % (IP, peer.port), '--require', 'tls')[0], 0)
        code, told, _ = probe('%s:%d' % (IP, peer.port), '--require', 'ca')
        self.assertEqual((code, told['outcome'], told['below']), (1, 'tls', True))

    def test_nothing_is_offered(self):
        peer = self.peer(Aiosmtpd(tls='none'))
        code, told, _ = probe('%s:%d' % (IP, peer.port))
        self.assertEqual((code, told['starttls']['offered'], told['tls'], told['why']),
                         (1, False, None, 'STARTTLS is not offered'))

    def test_nobody_is_there(self):
        code, told, _ = probe('%s:%d' % (IP, free_port()))
        self.assertEqual((code, told['ip'], told['greeting']), (2, None, None))
        self.assertIn('Connection refused', told['failure'])

    def test_name_that_is_none(self):
        code, told, _ = probe('nobody.invalid', '--timeout', '5')
        self.assertEqual(code, 2)
        self.assertIn('cannot be looked up', told['failure'])

    @unittest.skipUnless(os.path.exists('/etc/hosts'), 'there is no /etc/hosts')
    def test_name(self):
        peer = self.peer(Aiosmtpd())
        code, told, _ = probe('localhost:%d' % peer.port)
        self.assertEqual((code, told['host']), (0, 'localhost'))


class Hostile(unittest.TestCase):
    """A socket that does whatever a case says."""
    def serve(self, behave, *arguments):
        listener = socket.socket()
        listener.bind((IP, 0))
        listener.listen(5)
        self.addCleanup(listener.close)

        def run():
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with connection:
                connection.settimeout(20)
                try:
                    behave(connection)
                except OSError:
                    pass
        threading.Thread(target=run, daemon=True).start()
        begun = time.monotonic()
        code, told, error = probe('%s:%d' % (IP, listener.getsockname()[1]), *arguments)
        self.assertEqual((code, error), (1, ''), told)
        self.assertLess(time.monotonic() - begun, 15)
        return told

    def to_starttls(self, connection, reply=b'220 go\r\n'):
        connection.sendall(b'220 hi\r\n')
        connection.recv(1000)
        connection.sendall(OFFER)
        connection.recv(1000)
        connection.sendall(reply)

    def test_silence(self):
        told = self.serve(lambda c: time.sleep(4), '--timeout', '1')
        self.assertEqual(told['failure'], 'no answer in time')

    def test_a_greeting_by_drops(self):
        def drip(connection):
            for octet in b'220 ' + b'x' * 100:
                connection.sendall(bytes([octet]))
                time.sleep(0.1)
        self.assertEqual(self.serve(drip, '--timeout', '2')['failure'], 'no answer in time')

    def test_a_reply_without_end(self):
        def pour(connection):
            while True:
                connection.sendall(b'220-' + b'x' * 70 + b'\r\n')
        self.assertIn('this is no SMTP', self.serve(pour)['failure'])

    def test_a_line_without_end(self):
        def pour(connection):
            while True:
                connection.sendall(b'x' * 65536)
        self.assertIn('this is no SMTP', self.serve(pour)['failure'])

    def test_http(self):
        told = self.serve(lambda c: c.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n'))
        self.assertIn('this is no SMTP', told['failure'])

    def test_control_bytes_are_not_shown(self):
        peer = Scripted(greeting=b'220 \x1b[2J\xff\xfe\x07hi\r\n',
                        EHLO=b'250-\x1b[31m\r\n250 \x9b\xc3(\r\n')
        self.addCleanup(peer.stop)
        done = subprocess.run([TOOL, 'tls', 'probe', '%s:%d' % (IP, peer.port)],
                              stdout=subprocess.PIPE, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertEqual([b for b in done.stdout if b < 32 and b != 10], [])
        told = probe('%s:%d' % (IP, peer.port))[1]
        self.assertIn('hi', told['greeting'][0])

    def test_rubbish_in_the_handshake(self):
        def talk(connection):
            self.to_starttls(connection)
            connection.recv(1000)
            connection.sendall(os.urandom(4096))
        told = self.serve(talk)
        self.assertIsNone(told['tls'])
        self.assertTrue(told['failure'])

    def test_end_in_the_handshake(self):
        def talk(connection):
            self.to_starttls(connection)
            connection.recv(1000)
        self.assertIn('closed', self.serve(talk)['failure'])

    def test_silence_in_the_handshake(self):
        def talk(connection):
            self.to_starttls(connection)
            time.sleep(4)
        self.assertEqual(self.serve(talk, '--timeout', '1')['failure'], 'no answer in time')

    def test_clear_instead_of_the_handshake(self):
        def talk(connection):
            self.to_starttls(connection)
            connection.recv(1000)
            connection.sendall(b'250 surprise\r\n' * 50)
        self.assertIn('does not speak TLS', self.serve(talk)['failure'])

    def test_injection(self):
        told = self.serve(lambda c: self.to_starttls(c, b'220 go\r\n250 injected\r\n'))
        self.assertTrue(told['starttls']['injected'])
        self.assertIsNone(told['tls'])
