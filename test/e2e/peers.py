"""Peers that somebody else wrote: Postfix's smtp-sink, aiosmtpd, nsd. They are unpacked
under POINTSMAN_PEERS, run on loopback ports, and end by process id."""
import asyncio
import glob
import logging
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from harness import PEERS, free_port, make_certificate, wait_until

sys.path.insert(0, os.path.join(PEERS, 'aiosmtpd', 'usr/lib/python3/dist-packages'))


for noisy in ('mail.log', 'mail.debug', 'asyncio'):
    logging.getLogger(noisy).setLevel(logging.CRITICAL)


def peer_environment(name):
    root = os.path.join(PEERS, name)
    libraries = glob.glob(os.path.join(root, 'usr/lib/*-linux-gnu*')) + \
        [os.path.join(root, 'usr/lib/postfix')]
    return dict(os.environ, LD_LIBRARY_PATH=':'.join(libraries), LC_ALL='C')


def answers(port, host='127.0.0.1'):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((host, port)) == 0


class Process:
    """A peer that is a program in the foreground."""

    def start(self, command, name):
        self.folder = tempfile.mkdtemp(prefix='pointsman-peer-')
        os.chmod(self.folder, 0o755)
        self.output = open(os.path.join(self.folder, 'output'), 'wb')
        self.process = subprocess.Popen(command(self.folder), env=peer_environment(name),
                                        stdout=self.output, stderr=self.output,
                                        stdin=subprocess.DEVNULL, cwd=self.folder)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class SmtpSink(Process):
    """Postfix's smtp-sink: plaintext only. Further options as in its manual page."""

    def __init__(self, *options, port=None, host='127.0.0.1'):
        self.port = port or free_port()
        program = os.path.join(PEERS, 'postfix/usr/sbin/smtp-sink')
        user = ['-u', 'nobody'] if os.geteuid() == 0 else []

        def command(folder):
            os.chmod(folder, 0o777)
            return [program] + user + ['-d', os.path.join(folder, 'mail.')] + list(options) + \
                ['%s:%d' % (host, self.port), '100']
        self.start(command, 'postfix')
        wait_until('smtp-sink listens', lambda: answers(self.port, host))

    def messages(self):
        """One bytes object per message, with smtp-sink's X- lines in front. A file is there,
        but empty, before the message is complete."""
        found = []
        for path in sorted(glob.glob(os.path.join(self.folder, 'mail.*'))):
            with open(path, 'rb') as file:
                found.append(file.read())
        return [message for message in found if message]


class Nsd(Process):
    """An authoritative name server. zones: name -> text of its records (SOA and NS are
    added)."""

    def __init__(self, zones):
        self.port = free_port()
        program = os.path.join(PEERS, 'nsd/usr/sbin/nsd')

        def command(folder):
            lines = ['server:', ' ip-address: 127.0.0.1', ' port: %d' % self.port,
                     ' username: ""', ' chroot: ""', ' database: ""', ' zonesdir: "%s"' % folder,
                     ' pidfile: "%s/pid"' % folder, ' xfrdfile: "%s/xfrd"' % folder,
                     ' zonelistfile: "%s/zones"' % folder, ' xfrdir: "%s"' % folder,
                     ' server-count: 1', ' rrl-ratelimit: 0',
                     'remote-control:', ' control-enable: no']
            for name, text in zones.items():
                path = os.path.join(folder, name + '.zone')
                with open(path, 'w') as file:
                    file.write('$TTL 5\n%s. SOA ns.%s. root.%s. 1 3600 600 86400 5\n'
                               '%s. NS ns.%s.\nns.%s. A 127.0.0.1\n%s\n'
                               % (name, name, name, name, name, name, text))
                lines += ['zone:', ' name: "%s"' % name, ' zonefile: "%s"' % path]
            config = os.path.join(folder, 'nsd.conf')
            with open(config, 'w') as file:
                file.write('\n'.join(lines) + '\n')
            return [program, '-d', '-c', config]
        self.start(command, 'nsd')
        wait_until('nsd listens', lambda: answers(self.port) or self.ended())

    def ended(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.folder, 'output'), 'rb') as file:
                raise AssertionError('nsd: ' + file.read().decode())


class Aiosmtpd:
    """aiosmtpd in a thread. tls: 'none' not offered, 'good', 'broken' (the handshake
    cannot succeed: the server only takes ciphers no client of today has), 'refused'
    (starttls_reply instead of a handshake). replies: verb or recipient -> reply.
    received: (sender, recipients, bytes, tls) of each message, times: when; seen: EHLO, MAIL and
    STARTTLS in their order; options: those of each MAIL."""

    def __init__(self, tls='good', port=None, host='127.0.0.1', answers=None,
                 hostname='peer.test', starttls_reply='454 4.7.0 TLS not available',
                 size_limit=1 << 30, certificate=None, version=None):
        from aiosmtpd.smtp import SMTP
        self.port = port or free_port()
        self.received, self.times, self.seen, self.options = [], [], [], []
        self.connections, self.servers = 0, []
        self.replies = answers or {}
        self.folder = tempfile.mkdtemp(prefix='pointsman-peer-')
        context = None
        if tls != 'none':
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*(certificate or make_certificate(self.folder, hostname)))
            if version:
                context.minimum_version = context.maximum_version = version
            if tls == 'broken':
                context.set_ciphers('aNULL:@SECLEVEL=0')
                context.maximum_version = ssl.TLSVersion.TLSv1_2
        peer = self

        class Server(SMTP):
            line_length_limit = 1 << 17

            async def smtp_STARTTLS(self, argument):
                peer.seen.append('STARTTLS')
                if tls == 'refused':
                    await self.push(starttls_reply)
                    return
                await SMTP.smtp_STARTTLS(self, argument)

        class Handler:
            async def handle_EHLO(self, server, session, envelope, hostname, responses):
                session.host_name = hostname
                peer.seen.append('EHLO tls' if session.ssl else 'EHLO')
                return responses

            async def handle_MAIL(self, server, session, envelope, address, options):
                peer.seen.append('MAIL tls' if session.ssl else 'MAIL')
                peer.options.append(options)
                if 'MAIL' in peer.replies:
                    return peer.replies['MAIL']
                envelope.mail_from = address
                return '250 OK'

            async def handle_RCPT(self, server, session, envelope, address, options):
                reply = peer.replies.get(address) or peer.replies.get('RCPT')
                if reply:
                    return reply
                envelope.rcpt_tos.append(address)
                return '250 OK'

            async def handle_DATA(self, server, session, envelope):
                if 'DATA' in peer.replies:
                    return peer.replies['DATA']
                peer.times.append(time.time())
                peer.received.append((envelope.mail_from, list(envelope.rcpt_tos),
                                      envelope.original_content, bool(session.ssl)))
                return '250 2.0.0 OK'

        def make():
            self.connections += 1
            self.servers.append(Server(Handler(), hostname=hostname, tls_context=context,
                                       data_size_limit=size_limit, loop=self.loop))
            return self.servers[-1]

        def serve():
            asyncio.set_event_loop(self.loop)
            self.server = self.loop.run_until_complete(
                self.loop.create_server(make, host, self.port))
            self.loop.run_forever()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()
        wait_until('aiosmtpd listens', lambda: answers_quietly(host, self.port))
        self.seen.clear()
        self.connections = 0

    def stop(self):
        async def end():
            self.server.close()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # a connection left open would be one to a host that says nothing any more
            for server in self.servers:
                if server.transport:
                    server.transport.abort()
            for _ in range(3):
                await asyncio.sleep(0)
            self.loop.stop()
        if self.thread.is_alive():
            asyncio.run_coroutine_threadsafe(end(), self.loop)
            self.thread.join(5)
            self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait(self, count=1, timeout=20):
        """The messages received, at least so many."""
        wait_until('%d messages at the peer' % count, lambda: len(self.received) >= count,
                   timeout)
        return self.received

    def find(self, token, timeout=20):
        """The message that holds token."""
        return wait_until('%r at the peer' % token, lambda: [
            m for m in self.received if token in m[2]], timeout)[0]


def answers_quietly(host, port):
    """Connects and says QUIT, so that the peer logs no broken session."""
    try:
        with socket.create_connection((host, port), 1) as s:
            s.recv(200)
            s.sendall(b'QUIT\r\n')
            return True
    except OSError:
        return False


class Scripted:
    """A server that answers by rote: replies maps 'greeting' and verbs to bytes (None:
    hang up instead; 'RCPT <address>' for one recipient). After LHLO the end of a message is
    answered once for each recipient taken, by '. <address>' or '.' (RFC 2033). path: a
    Unix socket in the place of the port. With 'TLS' in replies the
    handshake is done after the reply to STARTTLS, with 'implicit' before the greeting; its
    certificate is 'certificate', or one made for it. seen: (verb, tls) in order; messages:
    bytes as they came."""

    DEFAULT = {'greeting': b'220 scripted\r\n', 'EHLO': b'250 scripted\r\n',
               'HELO': b'250 scripted\r\n', 'LHLO': b'250 scripted\r\n', 'MAIL': b'250 ok\r\n', 'RCPT': b'250 ok\r\n',
               'DATA': b'354 go on\r\n', '.': b'250 taken\r\n', 'QUIT': b'221 bye\r\n',
               'STARTTLS': b'220 go ahead\r\n', 'RSET': b'250 ok\r\n'}

    def __init__(self, host='127.0.0.1', port=None, path=None, **replies):
        self.replies = dict(self.DEFAULT, **replies)
        self.seen, self.messages, self.connections = [], [], 0
        self.folder = tempfile.mkdtemp(prefix='pointsman-peer-')
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*self.replies.get('certificate') or
                                     make_certificate(self.folder, 'scripted.test'))
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = port or free_port()
        self.listener.bind(path or (host, self.port))
        if path:
            os.chmod(path, 0o666)
        self.listener.listen(50)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.session, args=(connection,), daemon=True).start()

    def session(self, connection):
        connection.settimeout(20)
        try:
            self.talk(connection)
        except (OSError, ValueError):
            pass
        finally:
            connection.close()

    def answer(self, connection, verb, line=b''):
        """False: hang up."""
        exact = verb
        if verb in ('RCPT', '.') and line:
            exact += ' ' + self.address(line)
        reply = self.replies.get(exact, self.replies.get(verb, b'500 what\r\n'))
        if reply is None:
            return False
        connection.sendall(reply)
        return True

    @staticmethod
    def address(line):
        return line.decode('latin-1').partition(':')[2].split()[0].strip('<>')

    def taken(self, line):
        reply = self.replies.get('RCPT ' + self.address(line), self.replies['RCPT'])
        return reply is not None and reply.startswith(b'2')

    def talk(self, connection):
        if 'implicit' in self.replies:
            connection = self.context.wrap_socket(connection, server_side=True)
        if not self.answer(connection, 'greeting'):
            return
        file, tls = connection.makefile('rb'), 'implicit' in self.replies
        lmtp, recipients = False, []
        while True:
            line = file.readline()
            if not line:
                return
            verb = line.split(b' ')[0].strip().decode('latin-1').upper()
            self.seen.append((verb, tls))
            if not self.answer(connection, verb, line) or verb == 'QUIT':
                return
            lmtp = lmtp or verb == 'LHLO'
            if verb == 'MAIL':
                recipients = []
            if verb == 'RCPT' and self.taken(line):
                recipients.append(line)
            if verb == 'STARTTLS' and 'TLS' in self.replies:
                connection = self.context.wrap_socket(connection, server_side=True)
                file, tls = connection.makefile('rb'), True
            if verb == 'DATA' and self.replies['DATA'].startswith(b'354'):
                lines = []
                for text in iter(file.readline, b'.\r\n'):
                    if not text:
                        return
                    lines.append(text)
                self.messages.append(b''.join(lines))
                self.seen.append(('.', tls))
                for one in recipients if lmtp else [b'']:
                    if not self.answer(connection, '.', one):
                        return

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)


class Numbered(Scripted):
    """Knows what was said on which connection, in the order of their beginnings."""

    def __init__(self, **replies):
        self.said, self.own = [], threading.local()
        super().__init__(**replies)

    def answer(self, connection, verb, line=b''):
        if verb == 'greeting':
            self.own.verbs = []
            self.said.append(self.own.verbs)
        self.own.verbs.append(verb)
        return super().answer(connection, verb, line)

    def count(self, verb):
        """How often, for each connection."""
        return [verbs.count(verb) for verbs in self.said]
