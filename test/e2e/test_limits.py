"""The limits that channels and the site set to sessions and messages: what is too much is
refused, put off, reported or set aside; and what is not, is not."""
import kit
from harness import RouterTest, free_port, wait_until
from peers import SmtpSink

RULES = ['small.test $U%$D@tcp-small', 'short.test $U%$D@tcp-short',
         'wide.test $U%$D@tcp-wide', 'ours.test $U%router.test@router.test']
OURS = ['small.test', 'short.test', 'wide.test', 'ours.test']


def body(octets=0, lines=0):
    """A message of about that many octets or lines."""
    text = 'Subject: large\r\n\r\n'
    text += ('x' * 62 + '\r\n') * (octets // 64)
    return text + 'y\r\n' * lines


class Limits(RouterTest):
    def begin(self, keywords='', options='', switched=''):
        self.port = free_port()
        self.sink = self.peer(SmtpSink())
        to = 'smtp nomx daemon 127.0.0.1 port %d logging' % self.sink.port
        channels = ['tcp_local smtp maytls tlsswitchchannel tcp_tls logging %s\ntcp-daemon'
                    % keywords,
                    'tcp_tls smtp maytls logging %s\ntcp-tls-daemon' % switched,
                    'tcp_small %s blocklimit 2\ntcp-small' % to,
                    'tcp_short %s linelimit 20\ntcp-short' % to,
                    'tcp_wide %s\ntcp-wide' % to]
        files = kit.site(RULES, channels, [kit.service('SMTP', 'tcp_local', self.port)], OURS)
        self.it = self.router(files)
        if options:
            with open(self.it.path('conf', 'option.dat'), 'a') as f:
                f.write(options)
        self.it.start()
        return kit.Wire(self.port)

    def saw(self, keyword):
        return self.it.wait_event('refuse', limit=keyword)

    # --- of a session ---

    def test_recipientlimit(self):
        with self.begin('recipientlimit 2') as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            for name in ('a', 'b'):
                wire.want('RCPT TO:<%s@wide.test>' % name, 250)
            wire.want('RCPT TO:<c@wide.test>', 452, '4.5.3')
            self.assertEqual(self.saw('recipientlimit')['to'], 'c@wide.test')

    def test_recipientcutoff(self):
        with self.begin('recipientcutoff 2') as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            for name in ('a', 'b', 'c'):
                wire.want('RCPT TO:<%s@wide.test>' % name, 250)
            wire.want('DATA', 451, '4.5.3')
            self.saw('recipientcutoff')
            wire.want('RSET', 250)
            wire.mail('a@wide.test')

    def test_deferralrejectlimit(self):
        with self.begin('deferralrejectlimit 1') as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            wire.want('RCPT TO:<a@elsewhere.test>', 550)
            wire.want('RCPT TO:<a@wide.test>', 450, '4.7.0')
            self.saw('deferralrejectlimit')

    def test_transactionlimit(self):
        with self.begin('transactionlimit 1') as wire:
            wire.ehlo()
            wire.mail('a@wide.test')
            wire.want('MAIL FROM:<sue@far.test>', 450, '4.5.3')
            self.saw('transactionlimit')
            wire.want('NOOP', 250)

    def ends(self, wire, command, keyword):
        wire.want(command, 421)
        self.assertTrue(wire.is_closed())
        self.saw(keyword)
        self.assertEqual(self.it.wait_event('disconnect')['reason'], keyword)

    def test_disconnecttransactionlimit(self):
        with self.begin('disconnecttransactionlimit 1') as wire:
            wire.ehlo()
            wire.mail('a@wide.test')
            self.ends(wire, 'MAIL FROM:<sue@far.test>', 'disconnecttransactionlimit')

    def test_disconnectrecipientlimit(self):
        with self.begin('disconnectrecipientlimit 2') as wire:
            wire.ehlo()
            wire.mail(['a@wide.test', 'b@wide.test', 'c@wide.test'])
            self.ends(wire, 'RSET', 'disconnectrecipientlimit')

    def test_disconnectrejectlimit(self):
        with self.begin('disconnectrejectlimit 1') as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            wire.want('RCPT TO:<a@elsewhere.test>', 550)
            self.ends(wire, 'RSET', 'disconnectrejectlimit')

    def test_disconnectbadcommandlimit(self):
        with self.begin('disconnectbadcommandlimit 1') as wire:
            wire.want('FOO', 500)
            self.ends(wire, 'FOO', 'disconnectbadcommandlimit')

    def test_after_a_switch_the_new_channel_counts(self):
        with self.begin('transactionlimit 1', switched='transactionlimit 3') as wire:
            wire.ehlo()
            wire.mail('a@wide.test')
            wire.starttls()
            wire.ehlo()
            wire.mail('a@wide.test')
            wire.mail('a@wide.test')
            wire.want('MAIL FROM:<sue@far.test>', 450)  # the count goes on

    # --- of what is taken ---

    def test_sourceblocklimit(self):
        with self.begin('sourceblocklimit 3', switched='sourceblocklimit 5') as wire:
            self.assertEqual(wire.ehlo()['SIZE'], 'SIZE 3072')
            wire.want('MAIL FROM:<sue@far.test> SIZE=3073', 552, '5.3.4')
            wire.want('MAIL FROM:<sue@far.test> SIZE=3072', 250)
            wire.want('RCPT TO:<a@wide.test>', 250)
            wire.want('DATA', 354)
            wire.send(body(4096))
            wire.want('.', 552, '5.3.4')
            wire.mail('a@wide.test', body=body(2048))
            wire.starttls()
            self.assertEqual(wire.ehlo()['SIZE'], 'SIZE 5120')

    def test_block_limit_and_size_of_the_site(self):
        with self.begin('sourceblocklimit 100', 'BLOCK_LIMIT=4\nBLOCK_SIZE=512\n') as wire:
            self.assertEqual(wire.ehlo()['SIZE'], 'SIZE 2048')

    def test_line_limit_of_the_site(self):
        with self.begin(options='LINE_LIMIT=10\n') as wire:
            wire.ehlo()
            wire.mail('a@wide.test', body=body(lines=8))
            wire.want('MAIL FROM:<sue@far.test>', 250)
            wire.want('RCPT TO:<a@wide.test>', 250)
            wire.want('DATA', 354)
            wire.send(body(lines=9))
            wire.want('.', 552, 'LINE_LIMIT')

    # --- of where it goes ---

    def test_blocklimit_by_the_declared_size(self):
        with self.begin() as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test> SIZE=2049', 250)
            wire.want('RCPT TO:<a@small.test>', 552, 'blocklimit')
            wire.want('RCPT TO:<a@wide.test>', 250)
            wire.want('RSET', 250)
            wire.want('MAIL FROM:<sue@far.test> SIZE=2048', 250)
            wire.want('RCPT TO:<a@small.test>', 250)

    def too_large(self, to, text, keyword):
        with self.begin() as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            wire.want('RCPT TO:<%s>' % to, 250)
            wire.want('DATA', 354)
            wire.send(text)
            wire.want('.', 552, keyword)
            wire.mail(to)  # a small one goes

    def test_blocklimit_by_the_message(self):
        self.too_large('a@small.test', body(3000), 'blocklimit')

    def test_linelimit_by_the_message(self):
        self.too_large('a@short.test', body(lines=30), 'linelimit')

    def test_some_recipients_cannot_have_it(self):
        with self.begin() as wire:
            wire.ehlo()
            wire.mail(['a@small.test', 'b@short.test', 'c@wide.test'],
                      sender='ann@ours.test', body=body(3000))
        self.it.wait_event('deliver', to='c@wide.test', outcome='delivered')
        report = self.it.wait_mails(2)
        texts = [m.as_string() if hasattr(m, 'as_string') else m.decode() for m in report]
        self.assertTrue(any('a@small.test' in t and 'blocklimit' in t for t in texts))
        self.assertTrue(any('b@short.test' in t and 'linelimit' in t for t in texts))
        self.assertFalse(any('c@wide.test' in t for t in texts))

    # --- of a service ---

    def test_max_conns_times_max_procs(self):
        """All ports of a service share its places; other services have their own. A place is
        free again when its session has ended, however that was."""
        port, second, other = free_port(), free_port(), free_port()
        files = kit.site(RULES[3:], ['tcp_local smtp maytls\ntcp-daemon'], [], OURS)
        limited = '[SERVICE=SMTP]\nPORT=%d,%d\nPARAMETER=CHANNEL=tcp_local\n' % (port, second)
        others = '[SERVICE=OTHER]\nPORT=%d\nPARAMETER=CHANNEL=tcp_local\n' % other
        files['dispatcher.cnf'] += limited + 'MAX_CONNS=3\nMAX_PROCS=16%1\n\n' + others
        it = self.router(files).start()
        wires = [kit.Wire(p) for p in (port, second, port)]
        for p in (port, second):
            with kit.Wire(p, greeting=False) as wire:
                self.assertEqual(wire.reply()[0], 421)
                self.assertTrue(wire.is_closed())
        self.assertIn('MAX_CONNS', it.wait_event('error', what='accept')['reason'])
        with kit.Wire(other) as wire:
            wire.ehlo()
        wires.pop().want('QUIT', 221)
        wires.pop().close()
        wait_until('places are free', lambda: it.status()['sessions_open'] == 1)
        wires += [kit.Wire(port), kit.Wire(second)]
        with kit.Wire(port, greeting=False) as wire:
            self.assertEqual(wire.reply()[0], 421)
        it.write('dispatcher.cnf', it.read('dispatcher.cnf').replace('MAX_CONNS=3', 'MAX_CONNS=4'))
        it.hang_up()
        it.wait_event('reload')
        wires.append(kit.Wire(second))
        with kit.Wire(port, greeting=False) as wire:
            self.assertEqual(wire.reply()[0], 421)
        for wire in wires:
            wire.want('NOOP', 250)
            wire.close()

    # --- set aside ---

    def test_max_received_lines(self):
        """The smaller one of two options; the built-in limit, which refuses, is out of force."""
        wire = self.begin(options='MAX_RECEIVED_LINES=20\nMAX_TOTAL_RECEIVED_LINES=16%A\n')
        received = 'Received: from a by b; Sat, 21 Nov 2026 00:00:00 +0000\r\n'
        with wire:
            wire.ehlo()
            passed = wire.mail('a@wide.test', body=received * 10 + body())
            held = wire.mail('b@wide.test', body=received * 11 + body())
            many = wire.mail('c@wide.test', body=received * 150 + body())
        self.it.wait_event('deliver', id=kit.queue_id(passed.text), outcome='delivered')
        for reply, count in ((held, 11), (many, 150)):
            event = self.it.wait_event('hold', id=kit.queue_id(reply.text))
            self.assertEqual(event['reason'],
                             '%d Received fields, MAX_TOTAL_RECEIVED_LINES is 10' % count)
        self.assertEqual(self.it.status()['queue_held'], 2)
        self.assertEqual(len(self.sink.messages()), 1)

    def test_holdlimit(self):
        wire = self.begin('holdlimit 2')
        with wire:
            wire.ehlo()
            wire.mail(['a@wide.test', 'b@wide.test'])
            self.it.wait_event('deliver', to='b@wide.test', outcome='delivered')
            done = wire.mail(['c@wide.test', 'd@wide.test', 'e@wide.test'])
        event = self.it.wait_event('hold', id=kit.queue_id(done.text))
        self.assertIn('3 recipients', event['reason'])
        self.assertEqual(self.it.status()['queue_held'], 1)
        self.it.stop()
        self.it.start()
        self.assertEqual(self.it.status()['queue_held'], 1)
        self.assertFalse(self.it.events('deliver'))
