"""Reports where they used to go wrong: to whom, in whose words and name, and when not at all."""
import email
import email.policy
import time

import kit
from harness import RouterTest, free_port, wait_until
from peers import Aiosmtpd, SmtpSink

TEXTS = {
    'mappings': 'NOTIFICATION_LANGUAGE\n\n  *|*|de*|*|*   $Ide\n',
    'languages/de/return_prefix.txt':
        'Content-type: text/plain; charset=utf-8\nContent-language: de\n\n',
    'languages/de/return_bounced.txt': 'Der Postmaster schickt es zurück:\n\n%R',
    'return_members.txt': 'Not all of your list is good:\n\n%R',
}


class Reports(RouterTest):
    """Mail for far.test goes to a server that refuses some recipients."""

    def site(self, rules=(), channels=(), out='', alias='', options='', files=None, arguments=(),
             incoming=''):
        self.port = free_port()
        self.hop = self.peer(Aiosmtpd(tls='none', answers={
            'bad@far.test': '550 5.1.1 no such user',
            'pm@far.test': '550 5.2.1 the postmaster is gone'}))
        router = self.router(kit.site(
            list(rules) + ['far.test $U%$D@tcp-out-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp %s\ntcp-daemon' % incoming] + list(channels) +
            ['tcp_out smtp nomx port %d daemon [127.0.0.1] logging %s\ntcp-out-daemon%s'
             % (self.hop.port, out, alias)],
            [kit.service('SMTP', 'tcp_local', self.port)], localdomains=['far.test', 'dsn.test'],
            files=files or {}), users=['sue', 'ann', 'boss', 'postmaster'], arguments=arguments)
        if options:
            router.write('option.dat', router.read('option.dat') + options)
        return router.start()

    def send(self, to, sender='sue@router.test', notify='', mail='', body=None):
        body = body or 'Subject: %s\r\n\r\nhello\r\n' % kit.token()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<%s>%s' % (sender, mail), 250)
            for one in [to] if isinstance(to, str) else to:
                wire.want('RCPT TO:<%s>%s' % (one, ' NOTIFY=' + notify if notify else ''), 250)
            wire.want('DATA', 354)
            wire.send(body if isinstance(body, bytes) else body.encode())
            return kit.queue_id(wire.want('.', 250).text)

    def parse(self, text):
        report = email.message_from_bytes(text, policy=email.policy.default)
        self.assertEqual(report.get_content_type(), 'multipart/report')
        self.assertEqual([d for p in report.walk() for d in p.defects], [])
        return report

    def report(self, router, user='sue'):
        return self.parse(router.wait_mails(user=user)[0])

    def words(self, report):
        return report.get_payload()[0].get_content()

    def quiet(self, router):
        """Nothing more happens."""
        wait_until('nothing is under way', lambda: (lambda s: s['deliveries_open'] == 0 and
                   s['queue_messages'] == s['queue_held'])(router.status()))

    # --- the postmaster who cannot be reached ---

    def test_postmaster_behind_process(self):
        """He is another address each time: what tells him of itself has a mark."""
        router = self.site(
            rules=['pm.test $Mprocess$U%far.test@tcp-out-daemon', 'pm.test $U%$D@process-daemon'],
            channels=['process sendpost logging\nprocess-daemon'], out='sendpost',
            files={'aliases': 'postmaster: pm@pm.test\n'})
        self.send('bad@far.test', sender='')
        router.wait_event('deliver', to='pm@far.test', outcome='failed')
        time.sleep(1)
        self.assertEqual(len(router.events('deliver', outcome='failed')), 2)
        self.assertEqual(len(router.events('bounce')), 1)
        self.quiet(router)
        self.assertEqual(router.status()['queue_held'], 1)

    def test_postmaster_elsewhere(self):
        """Who forwards his mail to us again does not make more of it, either."""
        router = self.site(out='sendpost', files={'aliases': 'postmaster: there@far.test\n'})
        self.send('bad@far.test', sender='')
        wait_until('he gets it', lambda: self.hop.received)
        again = self.send('bad@far.test', sender='', body=self.hop.received[0][2])
        router.wait_event('hold', id=again)
        self.assertEqual(len(router.events('bounce')), 1)
        self.quiet(router)

    # --- success that was none ---

    def test_held_alias(self):
        """Set aside is not expanded; when it is released each address tells for itself."""
        router = self.site(incoming='holdlimit 1', files={
            'aliases': 'all: ann, boss\nteam: <team.txt, [ENVELOPE_FROM] boss@router.test\n',
            'team.txt': 'postmaster@router.test\n'})
        ident = self.send(['all@router.test', 'team@router.test'], notify='SUCCESS')
        router.wait_event('hold', id=ident)
        self.assertEqual(router.events('bounce'), [])
        router.tool('queue', 'release', ident)
        wait_until('both are told of', lambda: sum(
            int(e['recipients']) for e in router.events('bounce', **{'for': ident})) == 2)
        fields = [f for m in router.wait_mails(user='sue')
                  for f in self.parse(m).get_payload()[1].get_payload()[1:]]
        self.assertEqual({f['Action'] for f in fields}, {'delivered'})
        self.assertEqual({f['Final-Recipient'] for f in fields},
                         {'rfc822; ann@router.test', 'rfc822; boss@router.test'})

    def test_list_that_takes_no_such_message(self):
        router = self.site(files={
            'aliases': 'team: <team.txt, [ENVELOPE_FROM] boss@router.test, [BLOCKLIMIT] 1\n',
            'team.txt': 'boss@router.test\n'})
        ident = self.send(['team@router.test', 'ann@router.test'], notify='SUCCESS,FAILURE',
                          body='Subject: x\r\n\r\n' + 'long line\r\n' * 200)
        router.wait_event('bounce', **{'for': ident, 'what': 'failed'})
        told = {f['Final-Recipient']: f['Action'] for m in router.wait_mails(2, user='sue')
                for f in self.parse(m).get_payload()[1].get_payload()[1:]}
        self.assertEqual(told, {'rfc822; boss@router.test': 'failed',
                                'rfc822; ann@router.test': 'delivered'})

    # --- in whose words ---

    def test_bad_members(self):
        router = self.site(files=dict(TEXTS, aliases='team: <team.txt, [OWNER] boss\n',
                                      **{'team.txt': 'ann@router.test\nnobody@router.test\n'}))
        self.send('team@router.test')
        report = self.report(router, 'boss')
        self.assertTrue(self.words(report).startswith('Not all of your list'), self.words(report))
        self.assertIn('<nobody@router.test>', self.words(report))

    def test_returned_by_the_postmaster(self):
        router = self.site(files=TEXTS, arguments=['--retry-after', '600'])
        self.hop.replies['RCPT'] = '451 4.2.0 later'
        texts = []
        for header in ('', 'Accept-Language: de\r\n'):
            ident = self.send('bob@far.test', body=header + 'Subject: x\r\n\r\nhello\r\n')
            router.wait_event('deliver', id=ident, outcome='deferred')
            router.tool('queue', 'return', ident)
            router.wait_event('bounce', **{'for': ident, 'what': 'returned'})
        for mail in router.wait_mails(2, user='sue'):
            report = self.parse(mail)
            self.assertEqual(report['Subject'], 'Your message was returned')
            texts.append(self.words(report))
        texts.sort(key=lambda t: not t.startswith('This is'))
        self.assertIn('The postmaster of this system has returned your message', texts[0])
        self.assertIn('<bob@far.test>', texts[0])
        self.assertTrue(texts[1].startswith('Der Postmaster schickt es zurück:'), texts[1])

    # --- in whose name ---

    def test_name_on_the_way_out(self):
        """The name that this system has on the channel by which a report leaves."""
        router = self.site(alias=' mx.router.test', rules=['in.test $U%$D@tcp-in-daemon'],
                           channels=['tcp_in smtp nomx port 1 daemon [127.0.0.1] logging\n'
                                     'tcp-in-daemon in.router.test'])
        self.send('bad@far.test', sender='sue@far.test')
        wait_until('it comes', lambda: self.hop.received)
        report = self.parse(self.hop.received[0][2])
        self.assertEqual(report['From'].addresses[0].addr_spec, 'postmaster@mx.router.test')
        self.assertEqual(report.get_payload()[1].get_payload()[0]['Reporting-MTA'],
                         'dns; mx.router.test')
        self.assertRegex(report['Message-ID'], '@mx.router.test>$')

    def test_name_of_the_channel(self):
        """Of the channel that the mail was queued to, for what it cannot deliver; of the one it
        came from, for what was known when it came."""
        router = self.site(
            out='returnaddress out@router.test returnpersonal "The Way Out"',
            incoming='returnpersonal Reception language de-AT',
            options='RETURN_ADDRESS=mailer@router.test\n',
            files=dict(TEXTS, aliases='all: ann, boss\n', **{
                'languages/de/return_failed.txt': 'Leider nicht:\n\n%R',
                'languages/de/return_delivered.txt': 'Angekommen:\n\n%R'}))
        self.send('bad@far.test')
        report = self.report(router)
        sender = report['From'].addresses[0]
        self.assertEqual((sender.display_name, sender.addr_spec),
                         ('The Way Out', 'out@router.test'))
        self.assertTrue(self.words(report).startswith('Leider nicht:'), self.words(report))
        self.send('all@router.test', notify='SUCCESS')
        report = self.parse(next(m for m in router.wait_mails(2, user='sue') if b'expanded' in m))
        sender = report['From'].addresses[0]
        self.assertEqual((sender.display_name, sender.addr_spec),
                         ('Reception', 'mailer@router.test'))
        self.assertTrue(self.words(report).startswith('Angekommen:'), self.words(report))

    # --- how much of it comes back ---

    LINES = ''.join('line %d\r\n' % i for i in range(1, 41))

    def returned(self, options, mail='', body=None):
        """The last part of the report."""
        router = self.site(options=options)
        self.send('bad@far.test', mail=mail, body=body or 'Subject: x\r\n\r\n' + self.LINES)
        part = self.report(router).get_payload()[2]
        if part.get_content_type() == 'text/rfc822-headers':
            return part.get_content()
        self.assertEqual(part.get_content_type(), 'message/rfc822')
        return part.get_payload()[0].as_string()

    def test_lines_come_back(self):
        """Twenty without a word; RET has the last word."""
        for options, mail, last in (('', '', 20), ('LINES_TO_RETURN=3\n', '', 3),
                                    ('LINES_TO_RETURN=0\n', '', 0), ('', ' RET=HDRS', 0),
                                    ('LINES_TO_RETURN=3\n', ' RET=FULL', 40),
                                    ('BOUNCE_BLOCK_LIMIT=1\nBLOCK_SIZE=100\n', '', 0),
                                    ('BOUNCE_BLOCK_LIMIT=1\nBLOCK_SIZE=100\n', ' RET=FULL', 0)):
            with self.subTest(options=options, mail=mail):
                text = self.returned(options, mail)
                self.assertIn('Subject: x', text)
                self.assertEqual(text.count('line '), last)

    def test_lines_of_a_large_message(self):
        text = self.returned('', body='Subject: x\r\n\r\n' + self.LINES + 'x' * 70 + (
            '\r\n' + 'y' * 900) * 1000 + '\r\n')
        self.assertEqual((text.count('line '), text.count('xxx')), (20, 0))

    def test_host_without_8bitmime(self):
        """What it does not take is left out; the report comes."""
        router = self.site(rules=['seven.test $U%$D@tcp-seven-daemon'], channels=[
            'tcp_seven smtp nomx port %d daemon [127.0.0.1] logging\ntcp-seven-daemon'
            % self.seven().port], arguments=['--workers', '1'])
        for mail, body in (('', 'Grüße\r\n'), (' RET=FULL', 'Grüße\r\n' * 20000)):
            with self.subTest(mail=mail):
                ident = self.send('bad@far.test', sender='sue@seven.test', mail=mail,
                                  body=('Subject: %s\r\n\r\n' % kit.token() + body).encode())
                first = router.wait_event('bounce', **{'for': ident, 'channel': 'tcp_seven'})
                again = router.wait_event('bounce', **{'for': first['id'], 'what': 'shortened'})
                router.wait_event('deliver', id=again['id'], outcome='delivered')
        self.quiet(router)
        self.assertEqual(router.events('hold'), [])
        self.assertEqual(len(self.sink.messages()), 2)
        for text in self.sink.messages():
            report = self.parse(text[text.index(b'Received:') if text.startswith(b'Received')
                                     else text.index(b'Date: '):])
            self.assertEqual(report.get_payload()[2].get_content_type(), 'text/rfc822-headers')
            self.assertIn('Subject: token', report.get_payload()[2].get_content())

    def test_attempts_are_listed(self):
        for options, listed in (('', 3), ('HISTORY_TO_RETURN=1\n', 1), ('HISTORY_TO_RETURN=0\n', 0),
                                ('RETURN_DELIVERY_HISTORY=0\n', 0)):
            with self.subTest(options=options):
                router = self.site(options=options, arguments=['--retry-after', '1'])
                self.hop.replies['RCPT'] = '451 4.2.0 later'
                ident = self.send('bob@far.test')
                wait_until('three attempts', lambda: len(
                    router.events('deliver', id=ident, outcome='deferred')) >= 3)
                self.hop.replies['RCPT'] = '550 5.2.0 never'
                words = self.words(self.report(router))
                router.stop()
                self.assertEqual('Earlier attempts' in words, listed > 0)
                self.assertEqual(words.count('451 4.2.0 later'), listed)
                self.assertIn('550 5.2.0 never', words)

    def seven(self):
        self.sink = self.peer(SmtpSink('-8'))
        return self.sink

    # --- receipts that the header asks for ---

    def receipt(self, word, header, notify=''):
        """What the next hop gets for the request: NOTIFY, and what is left of the header."""
        router = self.site(rules=['dsn.test $U%$D@tcp-dsn-daemon'], channels=[
            'tcp_dsn smtp nomx port %d daemon [127.0.0.1] logging %s\ntcp-dsn-daemon'
            % (self.dsn().port, word)])
        self.send('bob@dsn.test', notify=notify, body=header + 'Subject: x\r\n\r\nhello\r\n')
        wait_until('it comes', self.sink.messages)
        text = self.sink.messages()[0].decode()
        router.stop()
        self.assertIn('Subject: x', text)
        asked = [l for l in text.splitlines() if l.startswith('X-Rcpt-Args:')][0]
        return (asked.partition('NOTIFY=')[2].partition(' ')[0],
                [l.partition(':')[0] for l in text.splitlines() if '-Receipt-To:' in l])

    def dsn(self):
        self.sink = self.peer(SmtpSink())
        return self.sink

    def test_receipts(self):
        mine = 'Return-Receipt-To: Sue <sue@router.test>\r\n'
        other = 'Return-Receipt-To: eve@far.test\r\n'
        reading = 'Read-Receipt-To: sue@router.test\r\n'
        field, all_of_it = ['Return-Receipt-To'], 'SUCCESS,FAILURE,DELAY'
        for word, header, notify, wanted in (
                ('', mine, '', ('', field)), ('reportheader', mine, '', ('', field)),
                ('reportboth', mine, '', (all_of_it, field)),
                ('reportnotary', mine, '', (all_of_it, [])),
                ('reportnotary', mine, 'DELAY', ('SUCCESS,DELAY', [])),
                ('reportnotary', mine, 'NEVER', ('NEVER', [])),
                ('reportnotary', other, '', ('', field)),
                ('reportnotary', mine + other, '', ('', field * 2)),
                ('reportnotary', reading, '', ('', ['Read-Receipt-To'])),
                ('reportsuppress', other + reading, '', ('', []))):
            with self.subTest(word=word, header=header, notify=notify):
                self.assertEqual(self.receipt(word, header, notify), wanted)

    # --- X-Envelope-to ---

    def envelope_fields(self, raw):
        return email.message_from_bytes(raw).get_all('X-Envelope-to')

    def test_envelope_to(self):
        """Each sees itself, in front of all else, and reports show nothing of it."""
        router = self.site(out='x_env_to single suppressfinal',
                           rules=['old.test $U%far.test@tcp-out-daemon'])
        self.send(['bob@far.test', 'blind@far.test', 'bad@far.test'], mail=' RET=FULL')
        wait_until('both come', lambda: len(self.hop.received) == 2)
        for _, to, raw, _ in self.hop.received:
            self.assertEqual(self.envelope_fields(raw), to)
            self.assertTrue(raw.startswith(b'X-Envelope-to: %s\r\nReceived: ' % to[0].encode()))
        self.assertNotIn('X-Envelope-to', str(self.report(router)))

    def test_envelope_to_of_several(self):
        router = self.site(out='x_env_to')
        self.send(['bob@far.test', 'blind@far.test'])
        self.send('bob@far.test', body='From: <sue>\r\nSubject: one\r\n\r\nx\r\n')
        wait_until('both come', lambda: len(self.hop.received) == 2)
        for _, to, raw, _ in self.hop.received:
            self.assertEqual(self.envelope_fields(raw), to if len(to) == 1 else None)
        single = next(raw for _, to, raw, _ in self.hop.received if len(to) == 1)
        self.assertEqual(email.message_from_bytes(single)['From'], '<sue@router.test>')
        self.quiet(router)
