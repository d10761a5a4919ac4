"""Next hops and clients whose TLS somebody else wrote: Python's ssl, openssl s_server and
s_client, gnutls-serv and gnutls-cli. Of the programs that serve none speaks SMTP: Hop does what is
said in clear, and hands the connection itself over to them for the handshake and what follows."""
import os
import select
import socket
import ssl
import subprocess
import threading

import kit
from harness import free_port, wait_until

STACKS = ('python', 'openssl', 'gnutls')
VERSIONS = ('10', '11', '12', '13')
PYTHON_VERSION = {'10': ssl.TLSVersion.TLSv1, '11': ssl.TLSVersion.TLSv1_1,
                  '12': ssl.TLSVersion.TLSv1_2, '13': ssl.TLSVersion.TLSv1_3}
OPENSSL_VERSION = {'10': '-tls1', '11': '-tls1_1', '12': '-tls1_2', '13': '-tls1_3'}
# what nobody should take today, so that only the version decides
ANY_CIPHER = 'ALL:@SECLEVEL=0'


def gnutls_priority(version):
    return 'NORMAL:-VERS-ALL:+VERS-TLS%s.%s:%%COMPAT' % (version[0], version[1])


class Talk:
    """The replies of a server that takes everything. mail: recipient -> how it came ('tls' or
    'clear'), shared by all connections."""

    def __init__(self, mail, how, offer=False):
        self.mail, self.how, self.offer = mail, how, offer
        self.recipients, self.in_data, self.ended = [], False, False

    def reply(self, line):
        """The reply to one line, b'' for none."""
        if self.in_data:
            if line != b'.':
                return b''
            self.in_data = False
            for one in self.recipients:
                self.mail[one] = self.how
            return b'250 2.0.0 taken\r\n'
        verb = line.split(b' ')[0].upper()
        if verb == b'EHLO':
            self.recipients = []
            return b'250-hop.test\r\n250 STARTTLS\r\n' if self.offer else b'250 hop.test\r\n'
        if verb == b'RCPT':
            self.recipients.append(line.partition(b'<')[2].partition(b'>')[0].decode())
        if verb == b'MAIL':
            self.recipients = []
        if verb == b'DATA':
            self.in_data = True
            return b'354 go on\r\n'
        if verb == b'QUIT':
            self.ended = True
            return b'221 bye\r\n'
        return b'250 ok\r\n' if verb in (b'MAIL', b'RCPT', b'RSET') else b'500 what\r\n'


def converse(read, write, talk):
    """Answers lines until the other side, or QUIT, ends it. False: it said STARTTLS."""
    buffer = b''
    while not talk.ended:
        while b'\n' not in buffer:
            more = read()
            if not more:
                return True
            buffer += more
        line, _, buffer = buffer.partition(b'\n')
        line = line.rstrip(b'\r')
        if talk.offer and line.upper() == b'STARTTLS':
            return False
        write(talk.reply(line))
    return True


class PythonTls:
    """Serves inside TLS with Python's ssl."""

    def __init__(self, pair, version, mail):
        self.mail = mail
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if version in ('10', '11'):
            self.context.set_ciphers(ANY_CIPHER)
        self.context.minimum_version = self.context.maximum_version = PYTHON_VERSION[version]
        self.context.load_cert_chain(*pair)

    def take(self, connection):
        connection = self.context.wrap_socket(connection, server_side=True)
        converse(lambda: connection.recv(65536), connection.sendall, Talk(self.mail, 'tls'))
        connection.close()


class Program:
    """A program that serves TLS on a port of its own; take() is the way there."""

    def __init__(self, command, **options):
        self.port = free_port()
        self.process = subprocess.Popen(command(self.port), stderr=subprocess.DEVNULL,
                                        **options)

    def wait(self):
        def answers():
            assert self.process.poll() is None, self.process.args
            with socket.socket() as s:
                return s.connect_ex(('127.0.0.1', self.port)) == 0
        wait_until('%s serves' % self.process.args[0], answers)

    def take(self, connection):
        with socket.create_connection(('127.0.0.1', self.port), 20) as there:
            there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.pump(connection, there)

    def pump(self, here, there):
        other = {here: there, there: here}
        while True:
            for s in select.select([here, there], [], [], 20)[0]:
                data = s.recv(65536)
                if not data:
                    return
                other[s].sendall(data)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class OpensslTls(Program):
    """openssl s_server: what it decrypts comes out of it, what is written to it goes to the
    client. One client at a time."""

    def __init__(self, pair, version, mail):
        ciphers = ['-cipher', ANY_CIPHER] if version in ('10', '11') else []
        super().__init__(lambda port: [
            'openssl', 's_server', '-quiet', '-accept', '127.0.0.1:%d' % port, '-cert', pair[0],
            '-cert_chain', pair[0], '-key', pair[1], OPENSSL_VERSION[version]] + ciphers,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.mail, self.turn, self.current = mail, threading.Lock(), None
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while self.process.poll() is None:
            # 221 could come out of the next connection: the end of this one says it, too
            write = lambda data: data.startswith(b'221') or self.process.stdin.write(data)
            converse(lambda: self.process.stdout.read(65536), write, Talk(self.mail, 'tls'))
            current = self.current
            if current:
                current.shutdown(socket.SHUT_RDWR)

    def take(self, connection):
        with self.turn:
            self.current = connection
            try:
                super().take(connection)
            finally:
                self.current = None


class GnutlsTls(Program):
    """gnutls-serv: it can echo, and that is no SMTP: a session goes as far as EHLO. It cannot be
    told to serve on loopback only."""

    def __init__(self, pair, version, mail):
        super().__init__(lambda port: [
            'gnutls-serv', '--echo', '--quiet', '--disable-client-cert', '--port', str(port),
            '--x509certfile', pair[0], '--x509keyfile', pair[1], '--priority',
            gnutls_priority(version)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


SERVERS = {'python': PythonTls, 'openssl': OpensslTls, 'gnutls': GnutlsTls}


class Hop:
    """A next hop at host:port. mail: recipient -> 'tls' or 'clear'; starttls: how often it was
    said. Without a stack STARTTLS is not offered, unless tls is given: with take(connection) for
    all behind the reply, and go_on, the reply itself."""

    def __init__(self, host, port, stack=None, pair=None, version=None, tls=None):
        self.mail, self.starttls = {}, 0
        self.tls = SERVERS[stack](pair, version, self.mail) if stack else tls
        self.listener = socket.create_server((host, port), backlog=100)
        threading.Thread(target=self.serve, daemon=True).start()

    def wait(self):
        """Until its program serves."""
        if isinstance(self.tls, Program):
            self.tls.wait()

    def serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.session, args=(connection,), daemon=True).start()

    def session(self, connection):
        connection.settimeout(20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            try:
                connection.sendall(b'220 hop.test\r\n')
                talk = Talk(self.mail, 'clear', offer=self.tls is not None)
                if not converse(lambda: connection.recv(65536), connection.sendall, talk):
                    self.starttls += 1
                    connection.sendall(getattr(self.tls, 'go_on', b'220 go on\r\n'))
                    self.tls.take(connection)
            except OSError:
                pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if isinstance(self.tls, Program):
            self.tls.stop()


# --- clients ---

class Pipe:
    """What kit.Wire needs of a socket: the two ends of a program."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, bufsize=0)

    def recv(self, size):
        if not select.select([self.process.stdout], [], [], 20)[0]:
            raise TimeoutError(self.process.args)
        return os.read(self.process.stdout.fileno(), size)

    def sendall(self, data):
        self.process.stdin.write(data)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def openssl_client(port, version, pair, ca, name, implicit):
    command = ['openssl', 's_client', '-quiet', '-connect', '127.0.0.1:%d' % port,
               '-servername', name, '-CAfile', ca, '-verify_hostname', name,
               '-verify_return_error', OPENSSL_VERSION[version]]
    if not implicit:
        command += ['-starttls', 'smtp']
    if pair:
        command += ['-cert', pair[0], '-cert_chain', pair[0], '-key', pair[1]]
    if version in ('10', '11'):
        command += ['-cipher', ANY_CIPHER]
    return command


def gnutls_client(port, version, pair, ca, name, implicit):
    command = ['gnutls-cli', '--logfile', '/dev/null', '--port', str(port), '--x509cafile', ca,
               '--sni-hostname', name, '--verify-hostname', name, '--priority',
               gnutls_priority(version), '127.0.0.1']
    if not implicit:
        command.insert(1, '--starttls-proto=smtp')
    if pair:
        command[1:1] = ['--x509certfile', pair[0], '--x509keyfile', pair[1]]
    return command


def python_context(version, pair, ca):
    context = ssl.create_default_context(cafile=ca)
    if version in ('10', '11'):
        context.set_ciphers(ANY_CIPHER)
    context.minimum_version = context.maximum_version = PYTHON_VERSION[version]
    if pair:
        context.load_cert_chain(*pair)
    return context


class ClientWire(kit.Wire):
    """A session with the router inside TLS, by a stack. The router's certificate has to verify
    against ca and be for name. A handshake that fails is kit.Closed, or an error of ssl's, here or
    at the first reply."""

    def __init__(self, stack, port, version, pair, ca, name, implicit=False):
        if stack == 'python':
            super().__init__(port, greeting=not implicit)
            if not implicit:
                self.ehlo()
                self.want('STARTTLS', 220)
            self.socket = python_context(version, pair, ca).wrap_socket(
                self.socket, server_hostname=name)
        else:
            make = openssl_client if stack == 'openssl' else gnutls_client
            self.buffer = b''
            self.socket = Pipe(make(port, version, pair, ca, name, implicit))
        self.greeting = self.reply() if implicit else None
