"""Option files of channels, <channel>_option: what each option does to the dialogue, on
the side that takes mail and on the side that sends it, through the daemon."""
import time

import kit
from harness import RouterTest, free_port, wait_until
from peers import Numbered, Nsd, Scripted

OURS = ['out.test', 'ours.test']


class OptionFiles(RouterTest):
    def begin(self, local='', out='', tls='', hop=25, keywords='', **more):
        """A router with these lines in the option files of tcp_local, tcp_out, tcp_tls."""
        self.port = free_port()
        files = kit.site(
            ['out.test $U%$D@tcp-out', 'ours.test $U%router.test@router.test'],
            ['tcp_local smtp maytls tlsswitchchannel tcp_tls logging %s\ntcp-daemon' % keywords,
             'tcp_tls smtp maytls logging\ntcp-tls-daemon',
             'tcp_out smtp nomx daemon 127.0.0.1 port %d logging\ntcp-out' % hop],
            [kit.service('SMTP', 'tcp_local', self.port)], OURS, **more)
        for name, lines in (('tcp_local', local), ('tcp_out', out), ('tcp_tls', tls)):
            if lines:
                files[name + '_option'] = '! of a test\n' + lines + '\n'
        self.it = self.router(files).start()
        return self.it

    def wire(self):
        wire = kit.Wire(self.port)
        self.addCleanup(wire.close)
        return wire

    def ended_after(self, wire, seconds):
        """The router ends the session, and not before that time."""
        began = time.monotonic()
        reply = wire.reply()
        self.assertEqual((reply.code, '4.4.2' in reply.text), (421, True), reply)
        self.assertTrue(wire.is_closed())
        self.assertGreater(time.monotonic() - began, seconds * 0.8)

    # --- taking mail ---

    def test_command_receive_time(self):
        self.begin('COMMAND_RECEIVE_TIME=PT1S')
        wire = self.wire()
        wire.ehlo()
        self.ended_after(wire, 1)
        self.assertEqual(self.it.wait_event('disconnect')['reason'], 'timeout')

    def test_command_receive_time_in_minutes(self):
        self.begin('COMMAND_RECEIVE_TIME=0.02')
        self.ended_after(self.wire(), 1.2)

    def test_data_receive_time(self):
        """The time for commands is not that of the message."""
        self.begin('DATA_RECEIVE_TIME=PT1S\nCOMMAND_RECEIVE_TIME=PT1H')
        wire = self.wire()
        wire.ehlo()
        wire.want('MAIL FROM:<sue@far.test>', 250)
        wire.want('RCPT TO:<ann@ours.test>', 250)
        wire.want('DATA', 354)
        wire.send('Subject: slow\r\n')
        self.ended_after(wire, 1)
        self.assertEqual(self.it.mails(), [])

    def test_options_of_the_channel_after_the_switch(self):
        self.begin('COMMAND_RECEIVE_TIME=PT1H\nBANNER_HOST=one.test', hop=1,
                   tls='COMMAND_RECEIVE_TIME=PT1S\nBANNER_HOST=two.test')
        wire = self.wire()
        self.assertEqual(wire.greeting.text.split()[0], 'one.test')
        wire.ehlo()
        wire.starttls()
        self.assertEqual(wire.ehlo()[''], 'two.test')
        self.ended_after(wire, 1)

    def test_banner(self):
        self.begin('BANNER_HOST=Mail.Example.test\nBANNER_ADDITION=no spam, please')
        wire = self.wire()
        self.assertEqual(wire.greeting.text, 'Mail.Example.test ESMTP no spam, please')
        self.assertEqual(wire.ehlo()[''], 'Mail.Example.test')
        self.assertEqual(wire.want('HELO client.test', 250).text, 'Mail.Example.test')

    def test_max_helo_domain_length(self):
        self.begin('MAX_HELO_DOMAIN_LENGTH=10')
        wire = self.wire()
        wire.want('EHLO ' + 'x' * 11, 501, 'too long')
        wire.want('HELO ' + 'x' * 11, 501, 'too long')
        wire.want('MAIL FROM:<sue@far.test>', 503)
        wire.want('EHLO ' + 'x' * 10, 250)

    def limit(self, option):
        return self.it.wait_event('refuse', limit=option)

    def test_allow_recipients_per_transaction(self):
        self.begin('ALLOW_RECIPIENTS_PER_TRANSACTION=2', keywords='recipientlimit 50')
        wire = self.wire()
        wire.ehlo()
        wire.want('MAIL FROM:<sue@far.test>', 250)
        wire.want('RCPT TO:<ann@ours.test>', 250)
        wire.want('RCPT TO:<ann@router.test>', 250)
        wire.want('RCPT TO:<ann@ours.test>', 452, '4.5.3')
        self.limit('ALLOW_RECIPIENTS_PER_TRANSACTION')
        wire.want('DATA', 354)
        wire.send('Subject: two\r\n\r\nx\r\n')
        wire.want('.', 250)
        self.it.wait_mails(1)

    def test_reject_recipients_per_transaction(self):
        self.begin('REJECT_RECIPIENTS_PER_TRANSACTION=1')
        wire = self.wire()
        wire.ehlo()
        wire.want('MAIL FROM:<sue@far.test>', 250)
        wire.want('RCPT TO:<ann@ours.test>', 250)
        wire.want('RCPT TO:<ann@router.test>', 250)
        wire.want('DATA', 451, '4.5.3')
        self.limit('REJECT_RECIPIENTS_PER_TRANSACTION')
        wire.want('RSET', 250)
        wire.mail('ann@ours.test')

    def test_allow_transactions_per_session(self):
        self.begin('ALLOW_TRANSACTIONS_PER_SESSION=16%1')
        wire = self.wire()
        wire.ehlo()
        wire.mail('ann@ours.test')
        wire.want('MAIL FROM:<sue@far.test>', 450, '4.5.3')
        self.limit('ALLOW_TRANSACTIONS_PER_SESSION')

    def test_allow_rejections_before_deferral(self):
        """Good or bad: after so many refused ones each further recipient is put off."""
        self.begin('ALLOW_REJECTIONS_BEFORE_DEFERRAL=2')
        wire = self.wire()
        wire.ehlo()
        wire.want('MAIL FROM:<sue@far.test>', 250)
        for name in ('a', 'b'):
            wire.want('RCPT TO:<%s@elsewhere.test>' % name, 550)
        wire.want('RCPT TO:<ann@ours.test>', 450, '4.7.0')
        wire.want('RCPT TO:<c@elsewhere.test>', 450, '4.7.0')
        self.limit('ALLOW_REJECTIONS_BEFORE_DEFERRAL')

    def received(self, local):
        """The Received field of a client whose address has a name in the DNS."""
        names = self.peer(Nsd({'0.127.in-addr.arpa': '77.0.0.127.in-addr.arpa. PTR client.far.test.'}))
        self.begin(local, keywords='nameservers 127.0.0.1@%d' % names.port)
        word = kit.token()
        kit.send(self.port, 'ann@ours.test', source='127.0.0.77', subject=word)
        return self.it.find_mail(word.encode()).split(b'\nSubject')[0]

    def test_check_source(self):
        self.assertIn(b'client.far.test', self.received('CHECK_SOURCE=1'))

    def test_no_check_source(self):
        self.assertNotIn(b'client.far.test', self.received('CHECK_SOURCE=0'))
        self.assertEqual(self.it.events('ident'), [])

    # --- sending mail ---

    def deferred(self, out, **replies):
        """A next hop that is late with one reply; the event of the attempt, and how long it
        took."""
        hop = self.peer(Scripted(**replies))
        self.begin(out=out, hop=hop.port)
        began = time.monotonic()
        ident = kit.queue_id(kit.send(self.port, 'bob@out.test'))
        event = self.it.wait_event('deliver', id=ident)
        self.assertEqual(event['outcome'], 'deferred', event)
        self.assertIn('timeout', str(event))
        return time.monotonic() - began

    def test_status_times(self):
        """Each time is that of its reply, and of no other."""
        slow = 'STATUS_RECEIVE_TIME=PT1H\nSTATUS_MAIL_RECEIVE_TIME=PT1H\n' \
               'STATUS_RCPT_RECEIVE_TIME=PT1H\nSTATUS_DATA_RECEIVE_TIME=PT1H'
        for option, verb in (('STATUS_RECEIVE_TIME', 'EHLO'), ('STATUS_MAIL_RECEIVE_TIME', 'MAIL'),
                             ('STATUS_RCPT_RECEIVE_TIME', 'RCPT'),
                             ('STATUS_DATA_RECEIVE_TIME', '.'), ('STATUS_RECEIVE_TIME', 'DATA')):
            with self.subTest(option=option, verb=verb):
                out = slow.replace(option + '=PT1H', option + '=0.005')  # 0.3 s
                self.assertGreater(self.deferred(out, **{verb: b''}), 0.25)

    def test_attempt_transactions_per_session(self):
        """Also over the pauses between messages."""
        hop = self.peer(Numbered())
        self.begin(out='ATTEMPT_TRANSACTIONS_PER_SESSION=2', hop=hop.port)
        for _ in range(9):
            kit.send(self.port, 'bob@out.test')
        wait_until('all are there', lambda: len(hop.messages) == 9)
        self.assertGreaterEqual(hop.connections, 5)
        self.assertLessEqual(max(hop.count('MAIL')), 2)

    def test_connection_idle_time(self):
        hop = self.peer(Numbered())
        self.begin(out='CONNECTION_IDLE_TIME=PT1S', hop=hop.port)
        kit.send(self.port, 'bob@out.test')
        wait_until('it is there', lambda: hop.messages)
        began = time.monotonic()
        wait_until('QUIT', lambda: ('QUIT', False) in hop.seen)
        self.assertTrue(0.7 < time.monotonic() - began < 1.8)

    def test_banner_host_in_our_ehlo(self):
        names = []

        class Listening(Scripted):
            def answer(self, connection, verb, line=b''):
                if verb == 'EHLO':
                    names.append(line.split()[1])
                return Scripted.answer(self, connection, verb, line)
        hop = self.peer(Listening())
        self.begin(out='BANNER_HOST=us.example.test', hop=hop.port)
        kit.send(self.port, 'bob@out.test')
        wait_until('it is there', lambda: hop.messages)
        self.assertEqual(names, [b'us.example.test'])

    # --- as a file ---

    def test_reload_and_image(self):
        """A new option file is in force after a reload, and makes an image stale."""
        self.begin()
        self.assertEqual(self.it.tool('compile').returncode, 0)
        self.it.write('tcp_local_option', 'BANNER_ADDITION=hello\n')
        checked = self.it.tool('check')
        self.assertIn("'tcp_local_option' is new", checked.stdout)
        self.assertEqual(self.wire().greeting.text, 'router.test ESMTP')
        self.it.hang_up()
        self.it.wait_event('reload')
        self.assertEqual(self.wire().greeting.text, 'router.test ESMTP hello')
        self.assertEqual(self.it.tool('compile').returncode, 0)
        self.assertIn('is fresh', self.it.tool('check').stdout)
        self.it.write('tcp_local_option', 'BANNER_ADDITION=good bye\n')
        self.assertIn("'tcp_local_option' has changed", self.it.tool('check').stdout)
        self.it.write('tcp_local_option', None)
        self.assertIn("'tcp_local_option' is gone", self.it.tool('check').stdout)

    def test_wrong_option_keeps_the_daemon_from_starting(self):
        router = self.router(kit.site([], ['tcp_local smtp\ntcp-daemon'],
                                      [kit.service('SMTP', 'tcp_local', free_port())],
                                      files={'tcp_local_option': 'COMMAND_RECIEVE_TIME=1\n'}))
        router.start(wait=False)
        self.assertNotEqual(router.process.wait(20), 0)
        self.assertIn("did you mean 'COMMAND_RECEIVE_TIME'", router.log_text())
        router.process = None
