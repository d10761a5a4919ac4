"""What the integration tests share: a real pointsmand in a folder of its own, its log
as data, its Maildirs. Everything stays on loopback and ends by process id."""
import glob
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

BUILD = os.environ['POINTSMAN_BUILD']
PEERS = os.environ.get('POINTSMAN_PEERS', '')
DAEMON = os.path.join(BUILD, 'pointsmand')
TOOL = os.path.join(BUILD, 'pointsman')
USER = 'pointsman'

OPTION_DAT = """\
QUEUE_DIRECTORY=../queue
MAILDIR_ROOT=../mail
CONTROL_SOCKET=../run/control
WORKERS=2
"""
TLS_CNF = """\
[*]
server_cert = ../tls/server-pub.pem
server_key = ../tls/server-priv.pem
"""

# Modules that run at the same time take ports from different parts of the range.
PORT_SLOT = int(os.environ.get('POINTSMAN_PORT_SLOT', os.getpid())) % 12
_used_ports = set()


def free_port():
    """A TCP and UDP port on 127.0.0.1 below the ephemeral range that nobody uses."""
    while True:
        port = 20000 + 1000 * PORT_SLOT + random.randint(0, 999)
        if port in _used_ports:
            continue
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(('127.0.0.1', port))
                udp.bind(('127.0.0.1', port))
            except OSError:
                continue
        _used_ports.add(port)
        return port


def wait_until(what, check, timeout=20):
    """Calls check() until it gives something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError('not within %s s: %s' % (timeout, what))
        time.sleep(0.02)


def tell(text):
    """A line that run.py shows in any case."""
    print('\n# ' + text, flush=True)


def make_certificate(folder, name='router.test'):
    """A self-signed certificate; returns (certificate, key) paths."""
    cert, key = os.path.join(folder, 'server-pub.pem'), os.path.join(folder, 'server-priv.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=' + name,
                    '-addext', 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1' % name,
                    '-keyout', key, '-out', cert], check=True, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o600)
    return cert, key


_FIELD = re.compile(r'([A-Za-z0-9_.]+)=("(?:[^"\\]|\\.)*"|\S*)')


def parse_log_line(text):
    event = {}
    for key, value in _FIELD.findall(text):
        if value.startswith('"'):
            value = re.sub(r'\\(.)', r'\1', value[1:-1])
        event[key] = value
    return event


class Router:
    """One pointsmand. files: name -> text in the configuration folder; option.dat,
    tls.cnf and a certificate are made unless given (None leaves one out)."""

    def __init__(self, files, users=('ann',), arguments=()):
        self.top = tempfile.mkdtemp(prefix='pointsman-test-')
        os.chmod(self.top, 0o755)
        self.conf = self.path('conf')
        self.arguments = list(arguments)
        self.process = None
        self.mails_read = {}  # a message in new/ never changes
        self.log_path = self.path('log')
        self.log_start = 0
        for name in ('conf', 'tls', 'mail', 'run'):
            os.mkdir(self.path(name))
        make_certificate(self.path('tls'))
        self.write('option.dat', OPTION_DAT)
        self.write('tls.cnf', TLS_CNF)
        for name, text in files.items():
            self.write(name, text)
        for user in users:
            os.mkdir(self.path('mail', user))
        self.give_to_user()

    def path(self, *parts):
        return os.path.join(self.top, *parts)

    def write(self, name, text):
        """Writes (text None: removes) a configuration file."""
        path = os.path.join(self.conf, name)
        if text is None:
            if os.path.exists(path):
                os.remove(path)
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        if os.geteuid() == 0:
            os.chmod(path, 0o644)

    def read(self, name):
        with open(os.path.join(self.conf, name)) as file:
            return file.read()

    def give_to_user(self):
        if os.geteuid() != 0:
            return
        user = pwd.getpwnam(USER)
        for folder in ('tls', 'mail', 'run', 'queue'):
            for root, _, names in os.walk(self.path(folder)):
                os.chown(root, user.pw_uid, user.pw_gid)
                for name in names:
                    os.chown(os.path.join(root, name), user.pw_uid, user.pw_gid)

    # --- life ---

    def start(self, wait=True, **options):
        self.log_start = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen([DAEMON, '-c', self.conf] + self.arguments,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            **options)
        if wait:
            wait_until('the daemon starts', lambda: self.events('start') or self.has_ended())
            if self.has_ended():
                raise AssertionError('pointsmand ended: ' + self.log_text())
        return self

    def has_ended(self):
        return self.process.poll() is not None

    def stop(self):
        """SIGTERM; the exit code must be 0 (a sanitizer's report makes it another)."""
        if self.process and not self.has_ended():
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        code = self.process.returncode if self.process else 0
        self.process = None
        return code

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def remove(self):
        if self.process and not self.has_ended():
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.top, ignore_errors=True)

    # --- looking ---

    def log_text(self):
        """The log since the last start(). While the daemon runs only whole lines: the one
        being written may be seen in part."""
        if not os.path.exists(self.log_path):
            return ''
        running = self.process is not None and not self.has_ended()
        with open(self.log_path, 'rb') as file:
            file.seek(self.log_start)
            text = file.read()
        if running:
            text = text[:text.rfind(b'\n') + 1]
        return text.decode('utf-8', 'replace')

    def events(self, name=None, **fields):
        found = []
        for text in self.log_text().splitlines():
            if name and 'event=%s ' % name not in text:
                continue
            event = parse_log_line(text)
            if name and event.get('event') != name:
                continue
            if all(event.get(k) == str(v) for k, v in fields.items()):
                found.append(event)
        return found

    def wait_event(self, name, timeout=20, **fields):
        """The first such event, or a failure that shows the log's end."""
        try:
            return wait_until('%s %s' % (name, fields), lambda: self.events(name, **fields),
                              timeout)[0]
        except AssertionError as error:
            raise AssertionError('%s\n%s' % (error, self.log_text()[-6000:])) from None

    def mails(self, user='ann'):
        """The delivered messages' bytes, line ends as stored."""
        found = []
        for path in sorted(glob.glob(self.path('mail', user, 'new', '*'))):
            if path not in self.mails_read:
                with open(path, 'rb') as file:
                    self.mails_read[path] = file.read()
            found.append(self.mails_read[path])
        return found

    def wait_mails(self, count=1, user='ann', timeout=20):
        try:
            wait_until('%d mails for %s' % (count, user), lambda: len(self.mails(user)) >= count,
                       timeout)
        except AssertionError as error:
            raise AssertionError('%s\n%s' % (error, self.log_text()[-6000:])) from None
        return self.mails(user)

    def find_mail(self, token, user='ann', timeout=20):
        """The delivered message that holds token (bytes)."""
        return self.find_mails(token, 1, user, timeout)[0]

    def find_mails(self, token, count, user='ann', timeout=20):
        found = lambda: [m for m in self.mails(user) if token in m]
        try:
            wait_until('%d mails with %r for %s' % (count, token, user),
                       lambda: len(found()) >= count, timeout)
        except AssertionError as error:
            raise AssertionError('%s\n%s' % (error, self.log_text()[-6000:])) from None
        return found()

    def control(self, line, timeout=20):
        """One line to the control socket, as it stands; the reply's text."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(self.path('run', 'control'))
            s.sendall(line if isinstance(line, bytes) else line.encode())
            return s.makefile('r', encoding='utf-8').readline()

    def status(self):
        """The fields of the daemon's status."""
        return json.loads(self.control('{"v":1,"command":"status"}\n'))

    def wait_status(self, timeout=20, **fields):
        return wait_until('status %s' % fields, lambda: (lambda s: all(
            s.get(k) == v for k, v in fields.items()) and s)(self.status()), timeout)

    def tool(self, *arguments, **options):
        """Runs pointsman on this configuration."""
        command = [TOOL, '-c', self.conf] + list(arguments)
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=60, text=True, **options)

    def tool_bytes(self, *arguments):
        """Its standard output alone, as it is."""
        return subprocess.run([TOOL, '-c', self.conf] + list(arguments), stdout=subprocess.PIPE,
                              timeout=60).stdout


class RouterTest(unittest.TestCase):
    """A test case whose routers and peers are ended with it."""

    def router(self, files, **options):
        router = Router(files, **options)
        self.addCleanup(self.end_router, router)
        return router

    def end_router(self, router):
        result = self._outcome.result
        failed = any(test is self or getattr(test, 'test_case', None) is self
                     for test, _ in result.failures + result.errors)
        log = router.log_text()[-5000:] if failed else ''
        try:
            if router.process:
                code = router.stop()
                self.assertEqual(code, 0, 'pointsmand exit code %s\n%s'
                                 % (code, router.log_text()[-5000:]))
        finally:
            if log:
                print(log)
            router.remove()

    def peer(self, peer):
        self.addCleanup(peer.stop)
        return peer


class SharedRouterTest(unittest.TestCase):
    """A test case with one router for all its tests, made by make_router(); its exit code
    must be 0, too. Peers that live as long are made with class_peer()."""
    maxDiff = 2000

    @classmethod
    def make_router(cls):
        """-> Router, not yet started."""
        raise NotImplementedError

    @classmethod
    def class_peer(cls, peer):
        cls.addClassCleanup(peer.stop)
        return peer

    @classmethod
    def setUpClass(cls):
        router = cls.shared = cls.make_router()
        cls.addClassCleanup(router.remove)
        router.start()

    @classmethod
    def tearDownClass(cls):
        router = cls.shared
        if router.process:
            code = router.stop()
            if code != 0:
                raise AssertionError('pointsmand exit code %s\n%s'
                                     % (code, router.log_text()[-5000:]))

    def peer(self, peer):
        self.addCleanup(peer.stop)
        return peer


def add_cases(cls, prefix, rows, run):
    """A test method of cls for each row: (name, argument...) -> run(self, argument...)."""
    for row in rows:
        def test(self, arguments=tuple(row[1:])):
            run(self, *arguments)
        name = 'test_%s_%s' % (prefix, re.sub(r'[^A-Za-z0-9]+', '_', row[0]).strip('_'))
        if hasattr(cls, name):
            raise ValueError('two cases are named ' + name)
        test.__doc__ = None
        setattr(cls, name, test)
