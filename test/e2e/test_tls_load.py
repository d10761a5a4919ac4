"""Handshakes while certificates are replaced all the time: none fails, memory stays where it
is; and resumption by openssl's own client. POINTSMAN_HANDSHAKES=10000 is the long form."""
import os
import re
import socket
import ssl
import subprocess
import threading
import time

import kit
from harness import RouterTest, free_port, make_certificate, wait_until

HANDSHAKES = int(os.environ.get('POINTSMAN_HANDSHAKES', '4000'))
WARM = HANDSHAKES // 5
GROWTH_KIB = 4096
CLIENTS = 4

CHANNELS = ['tcp_local smtp maytls\ntcp-daemon',
            'tcp_bank smtp maytls tlsprofile bank\ntcp-bank-daemon']
TLS_CNF = """\
[*]
server_cert = ../tls/server-pub.pem
server_key = ../tls/server-priv.pem
[bank]
"""


class Load(RouterTest):
    def begin(self):
        self.port, self.implicit, self.bank = free_port(), free_port(), free_port()
        self.it = self.router(kit.site(
            ['. $U%$H@tcp-daemon'], CHANNELS,
            [kit.service('SMTP', 'tcp_local', self.port, self.implicit),
             kit.service('BANK', 'tcp_bank', tls_port=self.bank)], files={'tls.cnf': TLS_CNF}))
        self.it.start()

    def memory_kib(self):
        with open('/proc/%d/status' % self.it.process.pid, encoding='ascii') as file:
            return int(re.search(r'VmRSS:\s+(\d+)', file.read()).group(1))

    def rotate(self, stop):
        """A new certificate each second, put in place in two steps, as everybody does."""
        made = self.it.path('made')
        os.mkdir(made)
        number = 0
        while not stop.wait(1):
            number += 1
            make_certificate(made, 'mail%d.test' % number)
            self.give(made)
            for file in ('server-pub.pem', 'server-priv.pem'):
                os.rename(os.path.join(made, file), self.it.path('tls', file))
            if number % 2 == 0:  # besides what it notices by itself
                self.it.tool('tls', 'reload')

    def give(self, folder):
        owner = os.stat(self.it.path('tls', 'server-priv.pem'))
        for file in os.listdir(folder):
            if os.geteuid() == 0:
                os.chown(os.path.join(folder, file), owner.st_uid, owner.st_gid)

    def handshakes(self, count, context, failed, seen):
        """From the first byte, so that it is the handshake that takes the time; each tenth
        is resumed."""
        session = None
        for i in range(count):
            try:
                with socket.create_connection(('127.0.0.1', self.implicit), 20) as s, \
                        context.wrap_socket(s, session=session if i % 10 == 9 else None) as t:
                    assert t.recv(3) == b'220'
                    seen.add(t.getpeercert(True))
                    session = t.session
            except (OSError, AssertionError) as error:
                failed.append(repr(error))

    def shake(self, count, failed, seen):
        contexts = [kit.client_context() for _ in range(CLIENTS)]
        threads = [threading.Thread(target=self.handshakes,
                                    args=(count // CLIENTS, c, failed, seen)) for c in contexts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_rotation(self):
        """And a session that began before all of that is still served at its end."""
        self.begin()
        stop, failed, seen = threading.Event(), [], set()
        rotation = threading.Thread(target=self.rotate, args=(stop,))
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.starttls()
            wire.ehlo()
            rotation.start()
            try:
                self.shake(WARM, failed, seen)
                warm = self.memory_kib()
                began = time.monotonic()
                self.shake(HANDSHAKES - WARM, failed, seen)
                while time.monotonic() - began < 3:
                    self.shake(40, failed, seen)
                grown = self.memory_kib() - warm
                print('%d handshakes, %d certificates seen, %d KiB after %d, %+d KiB after all'
                      % (HANDSHAKES, len(seen), warm, WARM, grown))
            finally:
                stop.set()
                rotation.join()
            wire.mail('ann@router.test')
        self.assertEqual(failed, [])
        self.assertGreater(len(seen), 1)
        self.assertFalse([e for e in self.it.events('tls') if 'error' in e])
        self.assertFalse(self.it.events('renew', result='refused'))
        if 'asan' not in self.libraries():
            self.assertLess(grown, GROWTH_KIB)
        wait_until('one set of contexts is left', lambda: 'replaced' not in
                   self.it.tool('tls', 'contexts').stdout)

    def libraries(self):
        with open('/proc/%d/maps' % self.it.process.pid, encoding='utf-8') as file:
            return file.read()

    # --- resumption, as openssl sees it ---

    def client(self, port, *arguments):
        """What s_client says of one session, which ends with the end of its input."""
        with subprocess.Popen(
                ['openssl', 's_client', '-connect', '127.0.0.1:%d' % port, '-ign_eof',
                 '-nocommands'] + list(arguments), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as s:
            return s.communicate('QUIT\r\n', timeout=20)[0]

    def is_reused(self, said):
        self.assertRegex(said, r'(New|Reused), TLSv1')
        return 'Reused, ' in said

    def test_resumption(self):
        """By a ticket: on any worker, and after renewals; not under another profile, nor
        when the profile has changed."""
        self.begin()
        for version in ('-tls1_2', '-tls1_3'):
            with self.subTest(version):
                ticket = self.it.path('ticket' + version)
                self.assertFalse(self.is_reused(
                    self.client(self.implicit, version, '-sess_out', ticket)))
                for _ in range(4):
                    self.assertTrue(self.is_reused(
                        self.client(self.implicit, version, '-sess_in', ticket)))
                self.assertFalse(self.is_reused(
                    self.client(self.bank, version, '-sess_in', ticket)))
                self.it.tool('tls', 'reload')
                self.it.tool('reload')
                self.assertTrue(self.is_reused(
                    self.client(self.implicit, version, '-sess_in', ticket)))
        self.it.write('tls.cnf', TLS_CNF + 'preset = modern\n')
        self.it.tool('reload')
        self.assertTrue(self.is_reused(self.client(self.implicit, '-tls1_3', '-sess_in', ticket)))
        self.it.write('tls.cnf', TLS_CNF.replace('[bank]', 'groups = P-256:P-384\n[bank]'))
        self.it.tool('reload')
        self.assertFalse(self.is_reused(
            self.client(self.implicit, '-tls1_3', '-sess_in', ticket)))

    def test_reconnect(self):
        self.begin()
        said = self.client(self.implicit, '-tls1_2', '-reconnect')
        self.assertEqual(said.count('Reused, '), 5, said)
