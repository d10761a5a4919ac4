"""`pointsman queue backup` and `queue check`: a copy made while mail comes in, brought back
after the queue was lost, delivers what was in it."""
import json
import os
import shutil
import threading

import kit
from harness import RouterTest, free_port, wait_until
from peers import Aiosmtpd

LARGE = ('y' * 70 + '\r\n') * 2000


class Backup(RouterTest):
    def begin(self):
        self.port, self.down = free_port(), free_port()
        self.it = self.router(kit.site(
            ['out.test $U%$D@tcp-out-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon',
             'tcp_out smtp nomx daemon 127.0.0.1 port %d\ntcp-out-daemon' % self.down],
            [kit.service('SMTP', 'tcp_local', self.port)], ['out.test']),
            arguments=['--retry-after', '1'])
        self.it.start()

    def send(self, large=False):
        word = kit.token()
        kit.send(self.port, ['bob@out.test', 'eve@out.test'],
                 body='Subject: %s\r\n\r\n%s' % (word, LARGE if large else 'small\r\n'))
        return word

    def queue(self, code, *arguments):
        done = self.it.tool('queue', *arguments)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def send_until(self, ended):
        while not ended.is_set():
            self.send(large=True)
            self.send()

    def restore(self, copy):
        """As docs/queue.md says."""
        shutil.rmtree(self.it.path('queue'))
        shutil.copytree(copy, self.it.path('queue'))
        self.it.give_to_user()

    def test_restored(self):
        self.begin()
        words = [self.send(large=i % 5 == 0) for i in range(40)]
        copy, ended = self.it.path('copy'), threading.Event()
        thread = threading.Thread(target=self.send_until, args=(ended,))
        thread.start()
        try:
            done = json.loads(self.queue(0, 'backup', '--json', copy))
        finally:
            ended.set()
            thread.join()
        self.assertGreaterEqual(done['messages'], 40)
        self.assertGreaterEqual(done['body_files'], 8)
        self.assertRegex(self.queue(0, 'check', copy), 'is whole')
        self.assertRegex(self.queue(0, 'check'), 'is whole')
        last = self.it.status()['queue_messages']
        self.it.kill()
        self.restore(copy)
        self.it.start()
        self.assertGreaterEqual(last, self.it.status()['queue_messages'])
        new = kit.queue_id(kit.send(self.port, 'joe@out.test'))
        used = {event['id'] for event in self.it.events('enqueue')}
        self.assertNotIn(new, used - {new})
        hop = self.peer(Aiosmtpd(tls='none', port=self.down))
        wait_until('an empty queue', lambda: self.it.status()['queue_messages'] == 0, 40)
        self.assertEqual(self.it.status()['queue_held'], 0)
        for word in words:
            found = [m for m in hop.received if word.encode() in m[2]]
            self.assertEqual([sorted(m[1]) for m in found], [['bob@out.test', 'eve@out.test']])

    def test_modes(self):
        """The copy is for its maker only; a daemon that is not refuses it and says why."""
        self.begin()
        self.send(large=True)
        copy = self.it.path('copy')
        self.queue(0, 'backup', copy + '/')
        found = {}
        for root, folders, names in os.walk(copy):
            for name in folders + names:
                path = os.path.join(root, name)
                found.setdefault(os.path.isdir(path), set()).add(os.stat(path).st_mode & 0o777)
        self.assertEqual(found, {True: {0o700}, False: {0o600}})
        self.it.kill()
        shutil.rmtree(self.it.path('queue'))
        shutil.copytree(copy, self.it.path('queue'))
        if os.getuid() == 0:
            with self.assertRaisesRegex(AssertionError, 'queue directory .* belongs to user 0, not'):
                self.it.start()
            self.it.kill()
        self.it.give_to_user()
        self.it.start()
        self.assertEqual(self.it.status()['queue_messages'], 1)

    def test_link_on_the_way(self):
        """/var/spool is often a link: the daemon and the tool find the queue all the same."""
        self.begin()
        self.send()
        self.it.stop()
        os.rename(self.it.path('queue'), self.it.path('real'))
        os.mkdir(self.it.path('moved'))
        os.chmod(self.it.path('moved'), 0o755)
        os.rename(self.it.path('real'), self.it.path('moved', 'queue'))
        os.symlink('moved', self.it.path('spool'))
        with open(os.path.join(self.it.conf, 'option.dat')) as file:
            text = file.read().replace('QUEUE_DIRECTORY=../queue', 'QUEUE_DIRECTORY=../spool/queue')
        with open(os.path.join(self.it.conf, 'option.dat'), 'w') as file:
            file.write(text)
        self.assertRegex(self.queue(0, 'directory'), 'bob@out.test')
        self.queue(0, 'hold', '--all')
        self.queue(0, 'backup', self.it.path('spool', 'copy'))
        self.assertRegex(self.queue(0, 'check', self.it.path('spool', 'copy')), 'is whole')
        self.it.start()
        self.assertEqual(self.it.status()['queue_held'], 1)

    def test_lost_body(self):
        """What is wrong is told, by the copy, too; the daemon's own is untouched."""
        self.begin()
        self.send(large=True)
        self.send()
        path = next(os.path.join(root, name) for root, _, names
                    in os.walk(self.it.path('queue', 'bodies')) for name in names)
        os.remove(path)
        self.assertRegex(self.queue(1, 'check'), r'^message \w+: body file \S+: no such file')
        wrong, = [json.loads(line) for line in self.queue(1, 'check', '--json').splitlines()]
        self.assertIn('no such file', wrong['wrong'])
        text = self.queue(1, 'backup', '--json', self.it.path('copy'))
        done = json.loads(next(line for line in text.splitlines() if line[0] == '{'))
        self.assertEqual([done[k] for k in ('messages', 'gone_meanwhile', 'lost_bodies')], [2, 0, 1])
        self.assertIn('1 message has lost its body', text)
        self.queue(1, 'check', self.it.path('copy'))
        self.assertIn('is there already', self.queue(2, 'backup', self.it.path('copy')))
        self.assertEqual(self.it.stop(), 0)
        self.queue(1, 'backup', self.it.path('another'))
