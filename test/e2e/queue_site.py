"""A router for the tests of the queue's tool: one next hop that works, one where nobody
listens, one that waits for a word before it answers the end of a message."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import kit
from harness import TOOL, RouterTest, free_port, wait_until
from peers import Aiosmtpd, Scripted

RULES = ['router.test $U%router.test@router.test', 'good.test $U%$D@tcp-good',
         'dead.test $U%$D@tcp-dead', 'slow.test $U%$D@tcp-slow']
OURS = ['router.test', 'good.test', 'dead.test', 'slow.test']
SUE = 'sue@router.test'


class Waiting(Scripted):
    """Answers the end of a message when go is set, with `end`."""

    def __init__(self, **replies):
        self.go = threading.Event()
        super().__init__(**replies)

    def answer(self, connection, verb, line=b''):
        if verb == '.':
            self.go.wait(15)
        return super().answer(connection, verb, line)


class Terminal:
    """The tool on a terminal of so many rows and columns."""

    def __init__(self, conf, *arguments, rows=24, columns=80, term='xterm'):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [TOOL, '-c', conf] + list(arguments), stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, env=dict(os.environ, TERM=term), preexec_fn=self.log_in)
        os.close(slave)
        self.text = b''

    @staticmethod
    def log_in():
        """As a shell that somebody types at would start it: what runs these tests in the
        background may have ^C ignored."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def read(self, seconds):
        """More of what comes within that time; False when there is none."""
        try:
            if not select.select([self.master], [], [], seconds)[0]:
                return False
            piece = os.read(self.master, 65536)
        except OSError:  # the other end is closed
            return False
        self.text += piece
        return piece != b''

    def wait(self, pattern, seconds=20):
        """What was written up to the end of the pattern, which is taken away."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                seen, self.text = self.text[:found.end()], self.text[found.end():]
                return seen
            if time.monotonic() > end or not self.read(end - time.monotonic()):
                raise AssertionError('%r not in %r' % (pattern, self.text))

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, seconds=30):
        """The exit code; all that was not waited for is in text."""
        last = time.monotonic() + seconds
        while time.monotonic() < last and self.read(last - time.monotonic()):
            pass
        os.close(self.master)
        return self.process.wait(seconds)


class QueueTest(RouterTest):
    def begin(self, slow=None, words='', files=()):
        self.port, self.dead = free_port(), free_port()
        self.good = self.peer(Aiosmtpd(tls='none'))
        self.slow = self.peer(Waiting(**(slow or {})))
        self.addCleanup(self.slow.go.set)
        to = 'smtp nomx daemon 127.0.0.1 logging backoff PT1H port'
        self.it = self.router(kit.site(
            RULES, ['l logging\nrouter.test', 'tcp_local smtp logging\ntcp-daemon',
                    'tcp_good %s %d\ntcp-good' % (to, self.good.port),
                    'tcp_dead %s %d\ntcp-dead' % (to, self.dead),
                    'tcp_slow %s %d maxjobs 1 %s\ntcp-slow' % (to, self.slow.port, words),
                    'hold\nhold-daemon', 'conversion\nconversion-daemon'],
            [kit.service('SMTP', 'tcp_local', self.port)], OURS, files=dict(files)),
            users=('ann', 'sue', 'postmaster'))
        self.it.start()

    def send(self, to, sender=SUE, body='hello', parameters='', subject='test'):
        """A message; its id. What is for dead.test was deferred once."""
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            done = wire.mail(to, sender, 'Subject: %s\r\n\r\n%s\r\n' % (subject, body),
                             parameters)
        ident = kit.queue_id(done.text)
        if 'dead.test' in str(to):
            self.it.wait_event('deliver', id=ident, outcome='deferred')
            self.wait(ident, 'waiting')
        return ident

    def wait(self, ident, state):
        wait_until('%s is %s' % (ident, state),
                   lambda: [e for e in self.entries() if e['id'] == ident and e['state'] == state])

    def at_slow(self, count=1):
        """So many messages are at the hop that waits."""
        wait_until('messages at the slow hop',
                   lambda: [v for v, _ in self.slow.seen].count('DATA') >= count)

    def on_terminal(self, *arguments, **options):
        return Terminal(self.it.conf, *arguments, **options)

    def terminal(self, *arguments):
        """What the tool writes to a terminal, as bytes."""
        terminal = self.on_terminal(*arguments)
        terminal.end()
        return terminal.text.replace(b'\r\n', b'\n')

    def tool(self, code, *arguments):
        done = self.it.tool(*arguments)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def queue(self, code, *arguments):
        return self.tool(code, 'queue', *arguments)

    def json(self, *arguments, code=0):
        return [json.loads(line) for line in self.queue(code, *arguments, '--json').splitlines()]

    def entries(self, *arguments):
        return self.json('directory', *arguments)

    def ids(self, *arguments):
        return [e['id'] for e in self.entries(*arguments)]

    def empty(self):
        self.it.wait_status(queue_messages=0)
