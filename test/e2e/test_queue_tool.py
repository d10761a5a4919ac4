"""`pointsman queue` and a queue with something held in it: beside the running daemon, after
it ended, after it was killed; released through the daemon and without it."""
import json
import os
import pwd

import kit
from harness import USER, RouterTest, free_port

RULES = ['ours.test $U%$D@router.test']


class Queue(RouterTest):
    def begin(self, files=()):
        self.port = free_port()
        channels = ['l logging\nrouter.test', 'tcp_local smtp holdlimit 2 logging\ntcp-daemon']
        self.it = self.router(
            kit.site(RULES, channels, [kit.service('SMTP', 'tcp_local', self.port)],
                     ['ours.test'], files=files), users=('ann', 'bob', 'eve', 'joe'))
        self.it.start()

    def hold(self):
        """A message to four, which is set aside; returns its id."""
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            done = wire.mail(['%s@ours.test' % user for user in ('ann', 'bob', 'eve', 'joe')])
        ident = kit.queue_id(done.text)
        self.it.wait_event('hold', id=ident)
        return ident

    def queue(self, code, *arguments):
        done = self.it.tool('queue', *arguments)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def entries(self, *arguments):
        return [json.loads(line)
                for line in self.queue(0, 'list', '--json', *arguments).splitlines()]

    def check_files(self):
        """Whoever looked: all of it belongs to the daemon's user."""
        if os.geteuid() == 0:
            owner = pwd.getpwnam(USER).pw_uid
            folder = self.it.path('queue')
            self.assertEqual({os.stat(os.path.join(folder, n)).st_uid
                              for n in os.listdir(folder)}, {owner})

    # --- list ---

    def test_list(self):
        self.begin()
        self.assertEqual(self.queue(0, 'list'), 'the queue is empty\n')
        self.assertEqual(self.queue(0, 'list', '--held'), 'nothing is held\n')
        self.assertEqual(self.entries(), [])
        ident = self.hold()
        text = self.queue(0, 'list', '--held')
        self.assertRegex(text, r'^id +age +state +channel +sender -> recipients\n%s +\d s +held '
                         r'+l +<sue@far.test> -> ann@\S+, bob@\S+, eve@\S+ and 1 more\n'
                         r' +4 recipients, holdlimit of tcp_local is 2\n$' % ident)
        entry, = self.entries('--held')
        self.assertEqual(entry, self.entries()[0])
        self.assertEqual(
            [entry[k] for k in ('id', 'entry', 'state', 'sender', 'source_channel', 'channel',
                                'host', 'attempts', 'next_try', 'reason')],
            [ident, 0, 'held', kit.SENDER, 'tcp_local', 'l', '', 0, None,
             '4 recipients, holdlimit of tcp_local is 2'])
        self.assertEqual(len(entry['recipients']), 4)
        self.assertGreater(entry['size'], 10)
        self.check_files()

    def test_list_without_a_daemon(self):
        self.begin()
        ident = self.hold()
        self.it.stop()
        self.assertEqual([e['id'] for e in self.entries('--held')], [ident])
        self.check_files()
        self.it.start()
        self.assertEqual(self.it.status()['queue_held'], 1)

    def test_list_after_a_crash(self):
        self.begin()
        ident = self.hold()
        self.it.kill()
        self.assertEqual([e['id'] for e in self.entries()], [ident])
        self.check_files()
        self.it.start()
        self.assertEqual([e['id'] for e in self.entries()], [ident])

    # --- release ---

    def test_release(self):
        self.begin()
        ident = self.hold()
        other = self.hold()
        self.assertEqual(self.queue(0, 'release', ident.lower()), '1 of 1 entry released\n')
        for user in ('ann', 'bob', 'eve', 'joe'):
            self.it.wait_mails(1, user)
        self.it.wait_status(queue_held=1, queue_messages=1)
        self.it.wait_event('control', command='queue release', id=ident)
        self.assertIn('%s is not in the queue' % ident, self.queue(1, 'release', ident))
        self.assertEqual([e['id'] for e in self.entries('--held')], [other])
        reply = json.loads(self.queue(0, 'release', other, '--json'))
        self.assertEqual(reply, {'action': 'release', 'entries': 1, 'changed': 1, 'active': 0,
                                 'dry_run': False, 'daemon': True})
        self.it.wait_mails(2, 'joe')

    def test_release_without_a_daemon(self):
        self.begin()
        ident = self.hold()
        self.it.stop()
        self.assertEqual(self.queue(0, 'release', ident),
                         '1 of 1 entry released; the daemon is down\n')
        self.assertIn('0 of 1 entry released', self.queue(1, 'release', ident))
        self.assertIn('ZZZZZ is not in the queue', self.queue(1, 'release', 'ZZZZZ'))
        self.check_files()
        entry, = self.entries()
        self.assertEqual(entry['state'], 'waiting')
        self.it.start()
        self.it.wait_mails(1, 'joe')
        self.it.wait_status(queue_messages=0)

    def test_release_of_what_an_access_table_held(self):
        self.begin({'mappings': 'SEND_ACCESS\n\n  *|sue@*|l|joe@*  $Y$H\n'})
        ident = kit.queue_id(kit.send(self.port, 'joe@ours.test'))
        self.it.wait_event('hold', id=ident)
        entry, = self.entries('--held')
        self.assertEqual((entry['id'], entry['channel']), (ident, 'l'))
        self.assertIn('SEND_ACCESS', entry['reason'])
        self.queue(0, 'release', ident)
        self.it.wait_mails(1, 'joe')

    def test_daemon_that_cannot_be_asked(self):
        self.begin()
        ident = self.hold()
        text = self.queue(2, 'release', ident, '--socket', '/nowhere')
        self.assertIn('is in use by process %d' % self.it.process.pid, text)
        self.assertIn('cannot reach the daemon at /nowhere', text)
        self.assertEqual(self.it.status()['queue_held'], 1)

    def test_bad_requests(self):
        self.begin()
        for line in ('{"v":1,"command":"queue release"}', '{"v":1,"command":"status","id":"x"}',
                     '{"v":1,"command":"queue release","id":7}',
                     '{"v":1,"command":"queue release","id":""}',
                     '{"v":1,"command":"queue release","id":"a b"}',
                     '{"v":1,"command":"queue release","id":"7F3K2","x":1}'):
            self.assertFalse(json.loads(self.it.control(line + '\n'))['ok'], line)
        self.assertTrue(self.it.status()['ok'])
