"""Disk full: 452 4.3.1, nothing half accepted, and on it goes when there is room again,
without a restart. Once by a limit on the size of files, once by a small file system."""
import os
import pwd
import resource
import signal
import subprocess
import unittest

import kit
from harness import USER, RouterTest, free_port, tell, wait_until
from peers import SmtpSink

SMALL = 'x' * 70 + '\r\n'


class Disk(RouterTest):
    def site(self):
        self.port, self.down = free_port(), free_port()
        return kit.site(
            ['out.test $U%$D@tcp-out-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon',
             'tcp_out smtp nomx daemon 127.0.0.1 port %d\ntcp-out-daemon' % self.down],
            [kit.service('SMTP', 'tcp_local', self.port)], ['out.test'])

    def fill(self, size, limit):
        """Sends until there is no room. The words of what was accepted."""
        words = []
        for _ in range(limit):
            word = kit.token()
            try:
                kit.send(self.port, 'bob@out.test', body='Subject: %s\r\n\r\n%s' % (
                    word, SMALL * (size // len(SMALL))))
            except kit.Refused as refused:
                self.assertEqual((refused.code, refused.text.split()[0]), (452, '4.3.1'),
                                 refused)
                return words, word
            words.append(word)
        self.fail('%d messages of %d octets and still room' % (limit, size))
        return None

    def drains(self, router, words, refused):
        """The next hop is there: all that was accepted arrives, once, and only that."""
        sink = self.peer(SmtpSink(port=self.down))
        found = lambda: {w for w in words if any(
            b'Subject: ' + w.encode() + b'\n' in m for m in sink.messages())}
        wait_until('all %d messages at the next hop' % len(words),
                   lambda: len(found()) == len(words), 40)
        self.assertEqual([m for m in sink.messages() for w in refused
                          if b'Subject: ' + w.encode() + b'\n' in m], [])
        wait_until('an empty queue', lambda: router.status()['queue_messages'] == 0)
        return sink

    def still_serves(self, router):
        """Commands are answered, and mail that fits in nothing is refused, not lost."""
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('NOOP', 250)
        self.assertTrue(router.status()['ok'])

    def start_limited(self, limit):
        """RLIMIT_FSIZE of that many octets: writes beyond fail with EFBIG."""
        tell('full disk: by a limit of %d KiB on the size of files' % (limit >> 10))
        router = self.router(self.site(), arguments=['--retry-after', '1'])

        def prepare():
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
            resource.setrlimit(resource.RLIMIT_FSIZE,
                               (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        router.start(preexec_fn=prepare)
        return router

    def lift(self, router):
        """Takes the limit off the running daemon; only its own user may."""
        code = ('import resource as r; h = r.prlimit(%d, r.RLIMIT_FSIZE)[1]; '
                'r.prlimit(%d, r.RLIMIT_FSIZE, (h, h))' % ((router.process.pid,) * 2))
        options = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            options = dict(user=user.pw_uid, group=user.pw_gid, extra_groups=[user.pw_gid])
        subprocess.run(['/usr/bin/python3', '-c', code], check=True, **options)

    def limited(self, size):
        router = self.start_limited(2 << 20)
        words, refused = self.fill(size, 1000)
        refused = [refused]
        for _ in range(3):
            more, last = self.fill(size, 1000)
            words += more
            refused.append(last)
        self.still_serves(router)
        self.lift(router)
        wait_until('room again', lambda: self.takes(words, size))
        self.drains(router, words, refused)

    def takes(self, words, size):
        word = kit.token()
        try:
            kit.send(self.port, 'bob@out.test', body='Subject: %s\r\n\r\n%s' % (
                word, SMALL * (size // len(SMALL))))
        except kit.Refused:
            return False
        words.append(word)
        return True

    def test_small_messages_by_limit(self):
        self.limited(8000)

    def test_medium_messages_by_limit(self):
        self.limited(60000)

    def test_large_messages_by_limit(self):
        """Bodies in files of their own: nothing of what was refused lies about."""
        router = self.start_limited(800 * 1024)
        words, refused = self.fill(1000000, 2)
        self.assertEqual(words, [])
        left = [os.path.join(root, name) for root, _, names in os.walk(router.path('queue'))
                for name in names if 'bodies' in root]
        self.assertEqual(left, [])
        self.lift(router)
        self.assertTrue(self.takes(words, 1000000))
        self.drains(router, words, [refused])

    def mounted(self, size_mib):
        """A router whose queue is a file system of that size."""
        router = self.router(self.site(), arguments=['--retry-after', '1'])
        os.mkdir(router.path('queue'), 0o700)
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%dm,mode=0700' % size_mib,
                               'tmpfs', router.path('queue')], stderr=subprocess.PIPE)
        tell('full disk: a file system of %d MiB %s' % (
            size_mib, 'is mounted' if done.returncode == 0 else 'cannot be mounted here'))
        if done.returncode != 0:
            self.skipTest('mounting is not allowed here: %s' % done.stderr.decode().strip())
        self.addCleanup(subprocess.run, ['umount', '-l', router.path('queue')], check=True)
        router.give_to_user()
        router.start()
        return router

    @unittest.skipUnless(os.geteuid() == 0, 'only root can mount')
    def test_small_file_system(self):
        """Small and large messages until nothing fits; a few more; then it drains."""
        router = self.mounted(96)
        words, last = self.fill(4000000, 40)
        refused = [last]
        for size, limit in ((200000, 400), (3000, 6000), (3000, 100), (3000, 100)):
            more, last = self.fill(size, limit)
            words, refused = words + more, refused + [last]
        self.still_serves(router)
        sink = self.drains(router, words, refused)
        before = len(sink.messages())
        self.assertTrue(self.takes(words, 200000))
        wait_until('the message after', lambda: len(sink.messages()) > before)

    @unittest.skipUnless(os.geteuid() == 0, 'only root can mount')
    def test_killed_when_full(self):
        """kill -9 on a full file system; it starts again and loses nothing."""
        router = self.mounted(80)
        words, last = self.fill(2000000, 100)
        more, refused = self.fill(30000, 4000)
        router.kill()
        router.start()
        self.drains(router, words + more, [last, refused])
