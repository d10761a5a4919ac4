"""`pointsman queue` and `qm` on a terminal: the line that shows progress, `top` that looks again,
sessions with a prompt; and any octets where addresses, reasons and names stand, shown to
people and as JSON."""
import json
import os
import re
import signal
import sqlite3
import time
import unicodedata

from harness import wait_until
from queue_site import QueueTest

# what a terminal acts on, what changes the direction of writing, and what is no UTF-8
HOSTILE = (b'a\x1b[2J\x1b]0;t\x07b\x00c\x08\x0d\x0ad\x7f\xc2\x9b31me\x9b\xff\xc0\xafx\xed\xa0\x80'
           b'\xe2\x80\xaef\xe2\x81\xa6\xd8\x9cg\xe2\x80\xa8h"\\\xf4\x90\x80\x80\xe6\x97')
COLUMNS = {'messages': ('sender', 'source_channel', 'envid', 'body_file'),
           'entries': ('channel', 'host', 'last_error', 'sender', 'returns'),
           'recipients': ('address', 'orcpt'),
           'attempts': ('channel', 'host', 'peer', 'tls', 'outcome'),
           'stopped': ('channel',)}


class OnTerminal(QueueTest):
    def database(self, *statements):
        """Done to the queue of a daemon that has ended."""
        with sqlite3.connect(self.it.path('queue', 'queue.db')) as db:
            for statement in statements:
                db.execute(*statement)
        db.close()
        self.it.give_to_user()

    def fill(self, count):
        """So many messages more, whose next attempt is far away."""
        self.it.stop()
        later = int(time.time() * 1000) + 3600000
        self.database(
            ('CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n'
             ' WHERE i < ?) SELECT i + (SELECT value FROM meta) AS i FROM n', (count,)),
            ("INSERT INTO messages SELECT i, ?, 'bulk' || (i % 50) || '@router.test', 'tcp_local', 0,"
             " 0, NULL, 0, NULL FROM n", (later,)),
            ("INSERT INTO bodies SELECT i, x'' FROM n",),
            ("INSERT INTO entries (number, position, channel, host, state, attempts, next_try_ms)"
             " SELECT i, 0, 'tcp_dead', '[127.0.0.1]', 0, 0, ? FROM n", (later,)),
            ("INSERT INTO recipients (number, position, rank, address)"
             " SELECT i, 0, 0, 'u' || i || '@dead.test' FROM n",),
            ('UPDATE meta SET value = value + ?', (count + 1,)))

    # --- progress ---

    def long_work(self, *arguments):
        """An order whose first step takes so long that progress is shown."""
        self.it.process.send_signal(signal.SIGSTOP)
        terminal = self.on_terminal(*arguments)
        time.sleep(0.7)
        self.it.process.send_signal(signal.SIGCONT)
        return terminal

    def test_progress(self):
        self.begin()
        self.fill(3000)
        self.it.start()
        terminal = self.long_work('queue', 'hold', '--channel', 'tcp_dead')
        shown = terminal.wait(rb'\r\x1b\[K(\d+) of \d+ held \.\.\. ')
        self.assertRegex(shown, rb'^\r\x1b\[K\d+ of \d+ held \.\.\. $')
        self.assertEqual(terminal.end(), 0)
        # the line is gone before the answer comes
        self.assertRegex(terminal.text, rb'\r\x1b\[K3000 of 3000 entries held\r\n$')
        # no line, no sequence where nobody looks, or the terminal takes none
        words = ['queue', 'return', '--channel', 'tcp_dead', '--dry-run']
        said = '3000 of 3000 entries would be going back to their senders'
        self.assertEqual(self.it.tool(*words).stdout, said + '\n')
        terminal = self.on_terminal(*words, term='dumb')
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.text, said.encode() + b'\r\n')
        # what is done soon shows none
        terminal = self.on_terminal('queue', 'stop', 'tcp_dead')
        terminal.end()
        self.assertEqual(terminal.text, b'channel tcp_dead is stopped\r\n')

    def test_interrupted(self):
        """^C between two steps: it says how far it went, and the rest is as it was."""
        self.begin()
        self.fill(60000)
        self.it.start()
        terminal = self.long_work('queue', 'delete', '--all')
        terminal.wait(rb'deleted \.\.\. ')
        terminal.type('\x03')
        self.assertEqual(terminal.end(), 2)
        said = re.search(rb'queue delete: interrupted; (\d+) entries were changed before that', terminal.text)
        self.assertTrue(said, terminal.text)
        self.assertEqual(sum(s['queued'] for s in self.json('summarize')), 60000 - int(said.group(1)))

    def test_interrupted_backup(self):
        self.begin()
        self.fill(60000)
        copy = self.it.path('copy')
        terminal = self.on_terminal('queue', 'backup', copy)
        wait_until('a part of the copy', lambda: os.path.exists(copy + '.partial/queue.db'))
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.end(), 2)
        self.assertIn(b'queue backup: it was interrupted', terminal.text)
        self.assertFalse(os.path.exists(copy) or os.path.exists(copy + '.partial'))
        self.assertIn('60000 messages, 0 bodies', self.queue(0, 'backup', copy))

    # --- top ---

    def test_top(self):
        self.begin()
        self.fill(3000)
        terminal = self.on_terminal('queue', 'top', rows=24, columns=40)
        first = terminal.wait(rb'\x1b\[\?7h')
        self.assertTrue(first.startswith(b'\x1b[H\x1b[J\x1b[?7l'), first)
        self.assertIn(b'3000 entries, 0 active, 0 held', first)
        self.assertLessEqual(first.count(b'\n'), 23)  # nothing is pushed off the screen
        self.assertIn(b'sender', first)
        self.queue(0, 'hold', '--all')
        terminal.wait(rb'3000 held')
        terminal.type('\x03')
        self.assertEqual(terminal.end(), 0)
        self.assertTrue(terminal.text.endswith(b'\x1b[?7h') or terminal.text.endswith(b'^C'), terminal.text)
        terminal = self.on_terminal('queue', 'top', 'sender', rows=60)
        shown = terminal.wait(rb'\x1b\[\?7h')
        self.assertEqual(len(re.findall(rb'<bulk', shown)), 10, shown)
        terminal.type('\x03')
        terminal.end()
        self.assertEqual(self.on_terminal('queue', 'top', term='dumb').end(), 2)

    # --- octets ---

    def hostile(self):
        """A queue in which every text is hostile."""
        self.begin()
        ident = self.send('joe@dead.test')
        self.queue(0, 'stop', 'tcp_good')
        self.it.stop()
        text = "CAST(x'%s' AS TEXT)" % HOSTILE.hex()
        self.database(*[('UPDATE %s SET %s' % (table, ', '.join('%s = %s' % (c, text) for c in columns)),)
                        for table, columns in COLUMNS.items()])
        return ident

    def test_any_octets_as_json(self):
        ident = self.hostile()
        seen = []
        for words in (['summarize'], ['directory'], ['show', ident], ['top', '--once'], ['check']):
            done = self.it.tool_bytes('queue', *words, '--json')
            for line in done.split(b'\n')[:-1]:
                self.assertFalse([c for c in line if c < 0x20 or c == 0x7f], words)
                seen.append(json.loads(line.decode('utf-8')))  # strictly
        self.assertEqual(len(seen[0]['channel']), len(seen[1]['channel']))
        self.assertTrue(seen[0]['channel'].startswith('a\x1b[2J\x1b]0;t\x07b\x00c\x08\r\nd\x7f\x9b31me\ufffd\ufffd'))
        self.assertIn('\u202ef\u2066\u061cg\u2028h"\\', seen[0]['reason'])

    def test_any_octets_on_a_terminal(self):
        ident = self.hostile()
        for words in (['queue', 'summarize'], ['queue', 'directory'], ['queue', 'show', ident],
                      ['queue', 'top', '--once'], ['queue', 'check'], ['qm', 'directory'],
                      ['queue', 'read', ident], ['qm', 'history', ident]):
            shown = self.terminal(*words).decode('utf-8')
            self.assertRegex(shown, r'(?s)a\?\[2J\?\]0;t\?b\?c' if words[1] not in ('read', 'check') else '.')
            bad = [hex(ord(c)) for c in shown
                   if c != '\n' and unicodedata.category(c) in ('Cc', 'Cf', 'Cs', 'Zl', 'Zp')]
            self.assertEqual(bad, [], words)

    # --- qm ---

    def test_session(self):
        """A prompt, numbers of the last directory, mistakes that do not end it."""
        self.begin()
        idents = [self.send('u%d@dead.test' % i) for i in range(3)]
        terminal = self.on_terminal('qm')
        terminal.wait(rb'^qm\.maint> ')
        terminal.type('dir tcp_dead\n')
        shown = terminal.wait(rb'qm\.maint> ')
        for i, ident in enumerate(idents):
            self.assertRegex(shown, b'    %d %s ' % (i + 1, ident.encode()))
        terminal.type('hold 2\n')
        self.assertIn(b'%s: 1 of 1 entry held' % idents[1].encode(), terminal.wait(rb'qm\.maint> '))
        terminal.type('hold 9\n')
        self.assertIn(b'has 3 numbers, not 9', terminal.wait(rb'qm\.maint> '))
        terminal.type('delete -confirm 1,3\n')
        terminal.wait(b'delete %s.*\\? \\[y/N\\] ' % idents[0].encode())
        terminal.type('n\n')
        terminal.wait(b'delete %s.*\\? \\[y/N\\] ' % idents[2].encode())
        terminal.type('YES\n')
        terminal.wait(rb'qm\.maint> ')
        terminal.type('exit\n')
        self.assertEqual(terminal.end(), 2)
        wait_until('the third is gone', lambda: self.ids() == idents[:2])
        self.assertEqual(self.ids('--held'), [idents[1]])
