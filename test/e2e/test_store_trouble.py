"""What an operator, a tool or a disk can do to the queue's folder while the daemon runs, or
between two runs."""
import fcntl
import glob
import os
import shutil
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import kit
from peers import Aiosmtpd
from queue_site import SUE, QueueTest

LARGE = ('x' * 70 + '\r\n') * 2000


class Store(QueueTest):
    def database(self):
        db = sqlite3.connect(self.it.path('queue', 'queue.db'), timeout=5, isolation_level=None,
                             check_same_thread=False)
        self.addCleanup(db.close)
        return db

    def large(self, to):
        return self.send(to, body=LARGE)

    # --- the lock ---

    def test_start_behind_a_tool(self):
        """Who has the lock only for a moment does not keep the daemon from starting."""
        self.begin()
        self.it.stop()
        with open(self.it.path('queue', 'lock')) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            timer = threading.Timer(0.7, lambda: fcntl.flock(file, fcntl.LOCK_UN))
            timer.start()
            self.it.start()
            timer.join()

    # --- the database ---

    def submit(self, to, body='Subject: x\r\n\r\nx\r\n'):
        """The reply to the message's end."""
        with kit.Wire(self.port, timeout=60) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<%s>' % SUE, 250)
            wire.want('RCPT TO:<%s>' % to, 250)
            wire.want('DATA', 354)
            wire.send(body)
            return wire.say('.')

    def test_locked_by_another_program(self):
        """New mail waits, then is put off, all of it together and not one after the other; what
        was delivered meanwhile is not delivered again."""
        self.begin()
        self.send('joe@slow.test')
        self.at_slow()
        db = self.database()
        db.execute('begin immediate')
        self.slow.go.set()
        began = time.monotonic()
        with ThreadPoolExecutor(10) as pool:
            replies = list(pool.map(lambda _: self.submit('joe@good.test').code, range(10)))
        self.assertEqual(replies, [452] * 10)
        self.assertLess(time.monotonic() - began, 25)
        db.execute('rollback')
        self.assertEqual(self.submit('joe@good.test').code, 250)
        self.good.wait()
        self.empty()
        self.assertEqual((len(self.slow.messages), len(self.good.received)), (1, 1))
        self.it.wait_event('queue', what='recovered')

    def test_clock_was_a_year_ahead(self):
        """Nothing waits for that year to pass, and what came then grows old from now on."""
        self.begin()
        ident = self.send('joe@dead.test')
        self.it.stop()
        year = 366 * 24 * 3600 * 1000
        db = self.database()
        db.execute('update messages set created_ms = created_ms + ?', (year,))
        db.execute('update attempts set at_ms = at_ms + ?', (year,))
        db.execute('update entries set next_try_ms = next_try_ms + ?', (year,))
        db.close()
        dead = self.peer(Aiosmtpd(tls='none', port=self.dead))
        self.it.start()
        self.assertIn('the clock was set back', self.it.wait_event('queue', what='clock')['reason'])
        dead.wait(1)
        self.assertLess(int(self.it.wait_event('deliver', id=ident)['delay_ms']), 60000)

    def test_log_file_gone(self):
        """queue.db-wal removed after a crash: what it held is lost, the rest is whole."""
        self.begin()
        keep = self.large('joe@dead.test')
        self.it.stop()
        self.it.start()
        self.large('joe@dead.test')
        self.it.kill()
        os.remove(self.it.path('queue', 'queue.db-wal'))
        self.it.start()
        self.assertEqual(self.ids(), [keep])
        self.queue(0, 'check')
        self.assertIn('x' * 70, self.queue(0, 'read', keep))

    def test_newer_schema(self):
        """Neither daemon nor tool touches it."""
        self.begin()
        ident = self.send('joe@dead.test')
        self.it.stop()
        db = self.database()
        db.execute('pragma user_version=99')
        db.execute('pragma wal_checkpoint(truncate)')
        db.close()
        with open(self.it.path('queue', 'queue.db'), 'rb') as file:
            before = file.read()
        self.it.start(wait=False)
        self.assertEqual(self.it.process.wait(10), 1)
        self.it.process = None
        said = 'schema version 99, made by a newer program'
        self.assertIn(said, self.it.log_text())
        for words in (['list'], ['check'], ['hold', '--all'], ['summarize'], ['show', ident],
                      ['stop', 'tcp_good'], ['backup', self.it.path('copy')]):
            self.assertIn(said, self.queue(2, *words))
        self.assertIn(said, self.queue(1, 'read', ident))
        with open(self.it.path('queue', 'queue.db'), 'rb') as file:
            self.assertEqual(file.read(), before)

    # --- the bodies ---

    def test_bodies_gone(self):
        """Removed while it runs: what had its body there is held, new ones are refused; small
        ones never notice."""
        self.begin()
        one = self.large('joe@dead.test')
        shutil.rmtree(self.it.path('queue', 'bodies'))
        self.send('joe@good.test')
        self.good.wait(1)
        self.queue(0, 'retry', one)
        self.wait(one, 'held')
        self.assertIn('its body file is missing', self.queue(0, 'show', one))
        self.assertEqual(self.submit('joe@good.test', LARGE).code, 452)
        self.it.stop()
        self.it.start()
        self.assertEqual(self.submit('joe@good.test', LARGE).code, 250)
        self.good.wait(2)

    def test_bodies_unreadable(self):
        """Nobody else waits for a message whose body cannot be read; when it can, it goes on."""
        self.begin()
        one, two = self.large('joe@dead.test'), self.send('joe@dead.test')
        path, = glob.glob(self.it.path('queue', 'bodies', '*', one))
        os.chmod(os.path.dirname(path), 0)
        self.queue(0, 'retry', one)
        self.it.wait_event('queue', what='put_off', id=one)
        dead = self.peer(Aiosmtpd(tls='none', port=self.dead))
        self.queue(0, 'retry', '--all')
        dead.wait(1)
        entry, = self.entries()
        self.assertEqual((entry['id'], entry['state']), (one, 'waiting'))
        self.assertIn('cannot be read: permission denied', entry['reason'])
        os.chmod(os.path.dirname(path), 0o700)
        self.queue(0, 'retry', one)
        dead.wait(2)
        self.empty()
