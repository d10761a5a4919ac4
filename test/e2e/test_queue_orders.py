"""`pointsman queue` for acting: by id, channel and filter, with and without a daemon, on what is
being delivered, and what waits in memory for its turn; over restarts and kills."""
import subprocess

from harness import TOOL, wait_until
from peers import Aiosmtpd
from queue_site import SUE, QueueTest


class Orders(QueueTest):
    def counts(self, *arguments, code=0):
        reply, = self.json(*arguments, code=code)
        return reply['entries'], reply['changed'], reply['active']

    # --- which messages ---

    def test_by_id_channel_and_filter(self):
        self.begin()
        one, two, three = [self.send('%s@dead.test' % u, sender='%s@router.test' % u)
                           for u in ('ann', 'bob', 'eve')]
        self.assertEqual(self.counts('hold', one, '--dry-run'), (1, 1, 0))
        self.assertEqual(self.ids('--held'), [])
        self.assertEqual(self.counts('hold', one, two), (2, 2, 0))
        self.assertEqual(self.counts('hold', one, two, code=1), (2, 0, 0))
        self.assertEqual(self.counts('release', '--from', 'BOB@*'), (1, 1, 0))
        self.wait(two, 'waiting')
        self.assertEqual(self.counts('hold', '--to', 'e*', '--from', 'ann@*', '--match', 'or'), (2, 1, 0))
        self.assertEqual(self.ids('--held'), [one, three])
        self.assertEqual(self.counts('delete', '--older', '1d', code=1), (0, 0, 0))
        self.assertEqual(self.counts('delete', '--channel', 'tcp_good', code=1), (0, 0, 0))
        self.assertEqual(self.counts('delete', '--held', '--host', '[127.0.0.1]'), (2, 2, 0))
        self.assertEqual(self.ids(), [two])
        self.assertEqual(self.counts('delete', '--all'), (1, 1, 0))
        self.empty()

    def test_refuses_to_act_on_all(self):
        self.begin()
        ident = self.send('joe@dead.test')
        for words in (['delete'], ['delete', '--held'], ['return', '--dry-run']):
            self.assertIn('which messages?', self.queue(2, *words))
        self.assertIn('no id of a message', self.queue(2, 'delete', ident, 'x y'))
        self.assertEqual(self.ids(), [ident])
        self.assertIn('ZZZZZ is not in the queue', self.queue(1, 'hold', 'ZZZZZ', ident))
        self.assertEqual(self.ids('--held'), [ident])

    # --- what becomes of them ---

    def test_redirect(self):
        self.begin()
        one = self.send('joe@dead.test')
        self.assertIn('no channel of that name', self.queue(1, 'redirect', one, '--to-channel', 'x'))
        self.queue(0, 'redirect', one, '--to-channel', 'tcp_good')
        self.assertEqual(self.good.wait()[0][1], ['joe@dead.test'])
        self.empty()

    def test_redirect_to_channels_that_do_not_deliver(self):
        self.begin()
        one = self.send('joe@dead.test')
        for end, code in ((lambda: None, 1), (self.it.kill, 2)):
            end()
            for channel, why in (('conversion', 'not supported'), ('hold', 'the action hold')):
                self.assertIn(why, self.queue(code, 'redirect', one, '--to-channel', channel))

    def test_redirect_without_a_daemon(self):
        self.begin()
        one = self.send('joe@dead.test')
        self.it.kill()
        self.assertIn('no channel of that name', self.queue(2, 'redirect', one, '--to-channel', 'x'))
        self.assertIn('; the daemon is down',
                      self.queue(0, 'redirect', one, '--to-channel', 'tcp_good'))
        self.it.start()
        self.good.wait()
        self.empty()

    def test_return(self):
        """The sender gets a report; nobody else does."""
        self.begin()
        self.send('joe@dead.test', subject='token-of-one')
        self.assertIn('1 of 1 entry going back', self.queue(0, 'return', '--channel', 'tcp_dead'))
        report = self.it.find_mail(b'token-of-one', 'sue')
        self.assertIn(b'multipart/report', report)
        self.assertIn(b'Final-Recipient: rfc822;joe@dead.test', report.replace(b'; ', b';'))
        self.assertIn(b'Status: 5.0.0', report)
        self.empty()

    def test_return_without_a_daemon(self):
        self.begin()
        self.send('joe@dead.test', subject='token-of-two')
        self.it.stop()
        self.queue(0, 'return', '--all')
        self.assertIn('returned', self.entries()[0]['ordered'])
        self.it.start()
        self.it.find_mail(b'token-of-two', 'sue')
        self.empty()

    def test_retry(self):
        self.begin()
        ident = self.send('joe@dead.test')
        self.assertEqual(self.json('show', ident)[0]['entries'][0]['attempts'], 1)
        self.queue(0, 'retry', '--to', '*@dead.test')
        wait_until('another attempt',
                   lambda: self.json('show', ident)[0]['entries'][0]['attempts'] == 2)

    # --- while they are delivered ---

    def test_retry_of_a_host_that_came_back(self):
        """It is remembered as one that cannot be reached; who says retry knows better."""
        self.begin()
        ident = self.send('joe@dead.test')
        dead = self.peer(Aiosmtpd(tls='none', port=self.dead))
        self.queue(0, 'retry', ident)
        dead.wait(1)

    def test_orders_for_what_is_delivered(self):
        """The attempt ends first: what was delivered is, what is left is held or gone."""
        for action, reply, left in (('hold', b'451 later\r\n', ['held']),
                                    ('delete', b'451 later\r\n', []),
                                    ('hold', b'250 ok\r\n', [])):
            with self.subTest(action=action, reply=reply):
                self.begin(slow={'.': reply})
                ident = self.send('joe@slow.test')
                self.at_slow()
                self.assertEqual(self.counts(action, ident), (1, 1, 1))
                self.assertIn('when its attempt ends', self.entries()[0]['ordered'])
                self.assertEqual(self.entries()[0]['state'], 'active')
                self.slow.go.set()
                wait_until(action, lambda: [e['state'] for e in self.entries()] == left)

    def test_backlog_in_memory(self):
        """What waits for its turn is held at once; only the one under way goes on."""
        self.begin(slow={'.': b'250 ok\r\n'})
        idents = [self.send('joe@slow.test') for _ in range(6)]
        self.at_slow()
        entries, changed, _ = self.counts('hold', '--channel', 'tcp_slow')
        self.assertEqual((entries, changed), (6, 6))
        wait_until('five are held', lambda: len(self.ids('--held')) == 5)
        self.slow.go.set()
        wait_until('the sixth is gone', lambda: len(self.ids()) == 5)
        self.assertEqual(self.queue(0, 'release', '--channel', 'tcp_slow'),
                         '5 of 5 entries released\n')
        self.empty()
        self.assertEqual(len(self.slow.messages), len(idents))

    def test_order_and_kill(self):
        """An order for what was being delivered is done at the next start."""
        self.begin()
        ident = self.send('joe@slow.test')
        self.at_slow()
        self.queue(0, 'delete', ident)
        self.it.kill()
        self.it.start()
        self.empty()

    # --- channels ---

    def test_stop_and_start(self):
        self.begin()
        self.assertIn('no channel', self.queue(1, 'stop', 'tcp_nothing'))
        self.assertEqual(self.queue(0, 'stop', 'tcp_good'), 'channel tcp_good is stopped\n')
        self.assertEqual(self.queue(0, 'stop', 'TCP_GOOD'), 'channel TCP_GOOD was already stopped\n')
        self.send('joe@good.test')
        for end in (self.it.stop, self.it.kill):
            end()
            self.it.start()
            self.send('joe@good.test')
        self.assertEqual(self.good.received, [])
        self.queue(0, 'start', 'tcp_good')
        self.good.wait(3)
        self.empty()

    def test_return_while_stopped(self):
        """Nothing goes to the channel, but what is returned goes to its sender."""
        self.begin()
        self.queue(0, 'stop', 'tcp_good')
        ident = self.send('joe@good.test', subject='token-of-three')
        self.wait(ident, 'waiting')
        self.queue(0, 'return', ident)
        self.it.find_mail(b'token-of-three', 'sue')
        self.empty()
        self.assertEqual(self.good.received, [])

    def test_stop_without_a_daemon(self):
        self.begin()
        self.it.stop()
        self.assertIn('; the daemon is down', self.queue(0, 'stop', 'tcp_good'))
        self.it.start()
        ident = self.send('joe@good.test')
        self.it.kill()
        self.assertEqual(self.ids(), [ident])
        self.queue(0, 'start', 'tcp_good')
        self.it.start()
        self.good.wait()
        self.empty()

    # --- qm ---

    def qm(self, text, code=0):
        done = subprocess.run([TOOL, '-c', self.it.conf, 'qm'], input=text, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def test_qm(self):
        self.begin()
        idents = [self.send('u%d@dead.test' % i, body='body %d' % i, subject='subject %d' % i) for i in range(6)]
        text = self.tool(0, 'qm', 'dir', 'tcp_dead')
        self.assertRegex(text, r'(?m)^    6 %s +tcp_dead +waiting' % idents[5])
        self.assertRegex(text, r'\n +6 in all, \d+ octets\n$')
        self.qm('directory\nhold 1,3-4\nexit\nhold 6\n')
        self.assertEqual(self.ids('--held'), [idents[0], idents[2], idents[3]])
        self.assertIn(idents[2], self.tool(0, 'qm', 'held'))
        self.qm('HELD\nDelete 1\ndir -from=%s -held\nrelease -all -channel=tcp_dead\n' % SUE)
        wait_until('what was released', lambda: self.ids('--held') == [])
        self.assertEqual(len(self.ids()), 5)
        self.assertIn('body 1', self.qm('directory\nread 1\nhistory 1\n'))
        self.assertIn('tcp_dead', self.qm('summarize\ntop host\n'))
        self.qm('hold -channel=tcp_good %s\n' % idents[5], 1)
        self.qm('hold -channel=tcp_dead %s\nrelease %s\n' % (idents[5], idents[5]))
        self.qm('stop tcp_good\nstart tcp_good\n')
        self.qm('dir\nreturn %s\n' % idents[5])
        self.it.find_mail(b'subject 5', 'sue')

    def test_qm_qualifiers(self):
        self.begin()
        idents = [self.send('u%d@dead.test' % i) for i in range(5)]
        self.assertIn('hold %s (1, tcp_dead)? [y/N] hold %s (2, tcp_dead)? [y/N] %s: 1 of 1 entry held\n'
                      'hold %s (3' % (idents[0], idents[1], idents[1], idents[2]),
                      self.qm('dir\nhold -confirm -all\n\ny\nq\n'))
        self.assertEqual(self.ids('--held'), [idents[1]])
        self.assertRegex(self.qm('dir -held\nrelease -nolog -noconfirm 1\n'), r'octets\n$')
        self.wait(idents[1], 'waiting')
        self.assertEqual(self.qm('dir -held -noheld -total -nototal -envelope\n').count('tcp_dead'), 5)
        text = self.qm('dir\nhistory -all\nread -content_only 1\n')
        self.assertEqual(text.count('\nmessage  '), 5)
        self.assertIn('several', self.qm('help h\n', 2))
        self.assertRegex(self.qm('help hold jobs\n'), r'^hold .*\njobs .*is not here; use')
        self.qm('run tcp_dead\n')
        wait_until('another attempt',
                   lambda: self.json('show', idents[4])[0]['entries'][0]['attempts'] == 2)
        self.qm('clean -env_from=SUE@router -min_length=5 tcp_dead\n')
        self.assertEqual(len(self.ids('--held')), 5)
        self.qm('clean -env_from=sue@router -min=5 tcp_good\n', 1)
        self.qm('clean -env_from=sue@router -min=5 -delete\n')
        self.empty()

    def test_qm_returns(self):
        self.begin()
        self.send('u5@dead.test', subject='subject 5')
        self.qm('dir\nreturn 1\n')
        self.it.find_mail(b'subject 5', 'sue')

    def test_qm_mistakes(self):
        self.begin()
        self.send('joe@dead.test')
        for text, said in (('h', 'several commands begin with'), ('frob', 'there is no command'),
                           ('jobs', 'is not here; use'), ('clean', 'clean wants -env_from='),
                           ('clean -env_from=sue', 'of 24 octets or more'), ('clean -subject=x', 'at the sender only'),
                           ('read -log 1', 'does not take -log'), ('run', 'takes one channel'), ('help frob', 'no command'), ('delete', 'takes numbers'),
                           ('delete 1', 'has 0 numbers'), ('dir\ndelete 2', 'has 1 numbers'),
                           ('dir\ndelete 1 -all', 'takes numbers'), ('dir -database', 'one store'),
                           ('dir -owner=x', 'not -owner'), ('delete -confirm=x 1', 'does not take'),
                           ('dir "x', 'a quote is not closed'), ('sum -x', 'does not take -x')):
            self.assertIn(said, self.qm(text + '\n', 2), text)
        self.assertEqual(len(self.ids()), 1)
        self.assertEqual(self.qm('\n\n'), '')
        self.qm('delete -all\n', 1)
