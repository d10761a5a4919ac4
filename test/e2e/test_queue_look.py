"""`pointsman queue` for looking: summarize, directory, show, read, top; beside the daemon and
without it, and with contents that somebody wrote who means no good."""
import os
import re
import subprocess

import kit
from harness import TOOL, wait_until
from queue_site import SUE, QueueTest


class Looking(QueueTest):
    def raw(self, *arguments):
        return subprocess.run([TOOL, '-c', self.it.conf] + list(arguments), check=True,
                              stdout=subprocess.PIPE, timeout=30).stdout

    # --- summarize and top ---

    def sums(self):
        return {s['channel']: s for s in self.json('summarize')}

    def test_summarize(self):
        self.begin()
        self.assertEqual(self.queue(0, 'summarize'), 'the queue is empty\n')
        self.assertEqual(self.sums(), {})
        idents = [self.send('joe@dead.test') for _ in range(3)]
        self.queue(0, 'hold', idents[0])
        self.send('joe@slow.test')
        self.at_slow()
        dead, slow = self.sums()['tcp_dead'], self.sums()['tcp_slow']
        self.assertEqual([dead[k] for k in ('queued', 'active', 'deferred', 'held')], [2, 0, 2, 1])
        self.assertEqual([slow[k] for k in ('queued', 'active', 'deferred', 'held')], [1, 1, 0, 0])
        self.assertIn('refused', dead['reason'])
        self.assertEqual((dead['reason_count'], dead['reason_count_exact']), (2, True))
        self.assertEqual(dead['bytes'], sum(e['size'] for e in self.entries('tcp_dead')))
        self.assertEqual(dead['oldest'], self.entries('tcp_dead')[0]['created'])
        self.assertEqual(dead['next_try'], min(e['next_try'] for e in self.entries('tcp_dead')
                                               if e['state'] == 'waiting'))
        self.assertIsNone(slow['next_try'])
        self.assertFalse(dead['stopped'])
        text = self.queue(0, 'summarize').splitlines()
        self.assertRegex(text[0], r'^channel +queued +active +deferred +held +size +oldest +next try')
        self.assertRegex(text[1], r'^tcp_dead +2 +0 +2 +1 +[\d.]+ \w+ +\d+ s +in [\d a-z]+ .*\(2\)$')
        self.assertRegex(text[3], r'^total +3 +1 +2 +1 .* 4 messages$')

    def test_stopped_channels_are_marked(self):
        self.begin()
        self.queue(0, 'stop', 'tcp_good')
        self.assertRegex(self.queue(0, 'summarize'), r'tcp_good +0 +0 +0 +0 .* stopped ')
        ident = self.send('joe@good.test')
        row = self.sums()['tcp_good']
        self.assertTrue(row['stopped'])
        self.assertRegex(row['stopped_since'], r'^20\d\d-')
        self.it.stop()
        self.assertTrue(self.sums()['tcp_good']['stopped'])
        self.assertEqual(self.ids(), [ident])

    def test_top(self):
        self.begin()
        for i in range(3):
            self.send('u%d@dead.test' % i)
        self.send('x@dead.test', sender='')
        best = {(r['by'], r['value']): r['entries'] for r in self.json('top', '--once')}
        self.assertEqual(best['channel', 'tcp_dead'], 4)
        self.assertEqual(best['sender', SUE], 3)
        self.assertEqual(best['sender', ''], 1)
        self.assertEqual([r['by'] for r in self.json('top', 'host', '--once')], ['host'])
        self.assertRegex(self.queue(0, 'top', 'sender', '--once'),
                         r' 4 entries, 0 active, 0 held\n\n +entries  sender\n +3  <%s>\n +1  <>\n$' % SUE)

    # --- directory ---

    def test_filters(self):
        self.begin()
        one = self.send('joe@dead.test')
        two = self.send(['eve@dead.test', 'ann@dead.test'], sender='Bob@router.test')
        self.queue(0, 'hold', two)
        for want, words in (([one, two], ['tcp_dead']), ([], ['tcp_good']), ([two], ['--held']),
                            ([two], ['--from', 'bob@*']), ([two], ['--to', 'ANN@*']),
                            ([], ['--from', 'bob@*', '--to', 'joe@*']),
                            ([one, two], ['--from', 'bob@*', '--to', 'joe@*', '--match', 'or']),
                            ([], ['--older', '1h']), ([one, two], ['--older', '0s']),
                            ([one, two], ['--host', '[127.0.0.1]']), ([], ['--host', 'x.test'])):
            self.assertEqual(self.ids(*words), want, words)
        self.assertEqual(self.queue(0, 'directory', '--from', 'x'),
                         'nothing in the queue is like that\n')
        self.assertEqual(self.queue(0, 'list', 'tcp_dead'), self.queue(0, 'directory', 'tcp_dead'))

    # --- show ---

    def test_show(self):
        self.begin()
        ident = self.send(['joe@dead.test', 'eve@good.test'], body='x' * 50,
                          parameters=' RET=HDRS ENVID=abc')
        self.good.wait()
        wait_until('the history of both', lambda: len(self.json('show', ident)[0]['history']) == 2)
        m, = self.json('show', ident)
        self.assertEqual([m[k] for k in ('id', 'sender', 'source_channel', 'envid', 'ret',
                                         'body_file')],
                         [ident, SUE, 'tcp_local', 'abc', 'HDRS', None])
        entry, = m['entries']
        self.assertEqual([entry[k] for k in ('channel', 'host', 'state', 'attempts', 'ordered')],
                         ['tcp_dead', '[127.0.0.1]', 'waiting', 1, None])
        self.assertEqual([r['address'] for r in entry['recipients']], ['joe@dead.test'])
        by = {h['channel']: h for h in m['history']}
        self.assertEqual([by['tcp_good'][k] for k in ('delivered', 'deferred', 'failed')], [1, 0, 0])
        self.assertIn('127.0.0.1', by['tcp_good']['peer'])
        self.assertIn('250 2.0.0 OK', by['tcp_good']['outcome'])
        self.assertEqual([by['tcp_dead'][k] for k in ('delivered', 'deferred', 'failed')], [0, 1, 0])
        text = self.queue(0, 'show', ident)
        for line in (r'^message +%s$' % ident, r'^ENVID +abc$', r'^entry 0 +tcp_dead, next hop .127.0.0.1.$',
                     r'^  to +joe@dead.test$', r'^  attempt 1 .* 0 delivered, 1 deferred, 0 failed$',
                     r'^entry 1 +tcp_good: done$'):
            self.assertRegex(text, '(?m)' + line)
        self.it.kill()
        self.assertEqual(self.json('show', ident)[0]['history'], m['history'])

    def test_show_many(self):
        self.begin()
        one, two = self.send('joe@dead.test'), self.send('joe@dead.test')
        self.assertEqual([m['id'] for m in self.json('show', one, two)], [one, two])
        self.assertIn('ZZZZZ is not in the queue', self.queue(1, 'show', one, 'ZZZZZ'))
        self.assertIn("'x-' is no id", self.queue(2, 'show', 'x-'))

    # --- read ---

    def test_read(self):
        self.begin()
        ident = self.send('joe@dead.test', body='one\r\ntwo')
        text = self.raw('queue', 'read', ident)
        self.assertRegex(text, rb'^Received: ')
        self.assertTrue(text.endswith(b'\r\n\r\none\r\ntwo\r\n'), text)
        self.assertEqual(len(text), self.entries()[0]['size'])
        shown = self.terminal('queue', 'read', ident)
        self.assertTrue(shown.endswith(b'\n\none\ntwo\n'), shown)
        self.queue(1, 'read', 'ZZZZZ')
        self.assertIn('no such entry', self.queue(1, 'read', ident, '--entry', '7'))

    def test_read_is_what_leaves(self):
        """An entry whose channel wants another header."""
        self.begin(words='headerlabelalign 20', slow={'.': b'451 later\r\n'})
        self.slow.go.set()
        ident = self.send(['joe@dead.test', 'eve@slow.test'], body='same',
                          subject='a\r\nTo: eve@slow.test')
        self.it.wait_event('deliver', id=ident, channel='tcp_slow')
        self.wait(ident, 'waiting')
        for entry in self.json('show', ident)[0]['entries']:
            text = self.raw('queue', 'read', ident, '--entry', str(entry['entry']))
            self.assertEqual(b'To:        ' in text, entry['own_header'], entry['channel'])
            self.assertTrue(text.endswith(b'\r\n\r\nsame\r\n'))
        self.assertEqual({e['channel']: e['own_header'] for e in self.json('show', ident)[0]['entries']},
                         {'tcp_dead': False, 'tcp_slow': True})

    def test_read_large(self):
        self.begin()
        lines = ['%06d %s' % (i, 'x' * 60) for i in range(40000)]
        ident = self.send('joe@dead.test', body='\r\n'.join(lines))
        self.assertRegex(self.json('show', ident)[0]['body_file'], r'^[0-9a-f]{2}/%s$' % ident)
        for kill in (False, True):
            if kill:
                self.it.kill()
            text = self.raw('queue', 'read', ident)
            self.assertTrue(text.endswith('\r\n'.join(lines).encode() + b'\r\n'))
            self.assertEqual(len(text), self.entries()[0]['size'])

    def test_read_of_a_lost_body(self):
        self.begin()
        ident = self.send('joe@dead.test', body=('x' * 70 + '\r\n') * 2000)
        self.it.stop()
        os.remove(self.it.path('queue', 'bodies', self.json('show', ident)[0]['body_file']))
        self.assertIn('cannot open', self.queue(1, 'read', ident))
        self.assertIn(ident, self.queue(0, 'show', ident))

    # --- JSON ---

    def documented(self):
        """Command -> its members in order, as docs/queue.md has them."""
        path = os.path.join(os.path.dirname(__file__), '..', '..', 'docs', 'queue.md')
        with open(path) as file:
            table = file.read().split('### JSON')[1].split('### Orders')[0]
        members = {}
        for line in table.splitlines():
            cells = [c.strip() for c in line.split(' | ')]
            if len(cells) == 3 and '`' in cells[0]:
                members[cells[0].strip('| ')] = re.findall(r'`(\w+)`', re.sub(r'\([^)]*\)', '', cells[2]))
        return members

    def test_members_are_documented(self):
        self.begin()
        ident = self.send('joe@dead.test')
        wanted = self.documented()
        message, = self.json('show', ident)
        seen = {'`show`': message, '`show`: `entries`': message['entries'][0],
                '`show`: `recipients`': message['entries'][0]['recipients'][0],
                '`show`: `history`': message['history'][0],
                '`summarize`': self.json('summarize')[0], '`directory`': self.entries()[0],
                '`top --once`': self.json('top', '--once')[0],
                '`backup`': self.json('backup', self.it.path('copy'))[0],
                '`hold` and the other orders, `stop`, `start`': self.json('hold', ident)[0]}
        self.assertEqual({k: list(v) for k, v in seen.items()},
                         {k: v for k, v in wanted.items() if k != '`check`'})
        self.assertEqual(list(self.json('stop', 'tcp_good')[0]), list(self.json('start', 'tcp_good')[0]))

    # --- what others wrote ---

    def test_hostile_contents(self):
        """Nothing that a terminal acts on comes from an address, a reply or a subject, but
        where --raw asks for it."""
        self.begin(slow={'.': b'451 4.0.0 \x1b[2J\x9b31m\xc2\x9b1m\xe2\x80\xae gone\r\n'})
        self.slow.go.set()
        ident = self.send('joe@slow.test', subject='x\x1b]0;owned\x07y', body='A\x1bB\x07')
        self.it.wait_event('deliver', id=ident, outcome='deferred')
        self.wait(ident, 'waiting')
        for words in (['summarize'], ['directory'], ['show', ident], ['top', '--once'],
                      ['read', ident]):
            text = self.terminal('queue', *words)
            if words[0] == 'top':
                self.assertIn(b'gone', text)
            for octet in (b'\x1b', b'\x9b', b'\x07', b'\xe2\x80\xae'):
                self.assertNotIn(octet, text, words)
        shown = self.terminal('queue', 'read', ident)
        self.assertIn(rb'x\x1b]0;owned\x07y', shown)
        self.assertIn(rb'A\x1bB\x07', shown)
        self.assertIn(b'\x1b]0;owned\x07', self.terminal('queue', 'read', ident, '--raw'))
        self.assertIn(b'\x1b]0;owned\x07', self.raw('queue', 'read', ident))
        self.assertNotIn(b'\x1b', self.raw('queue', 'show', ident))

    def test_utf8_on_a_terminal(self):
        """Characters that lie across the pieces in which the message is read are whole."""
        self.begin()
        text = '\r\n'.join(['Gr\u00fc\u00dfe, \u65e5\u672c\u8a9e \U0001f600 ' * 5 + 'x' * (i % 7)
                            for i in range(3000)])
        ident = self.send('joe@dead.test', body=text)
        shown = self.terminal('queue', 'read', ident)
        self.assertNotIn(b'\\x', shown)
        self.assertTrue(shown.endswith(text.replace('\r\n', '\n').encode() + b'\n'))
