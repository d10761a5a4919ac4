"""Where mail ends: the Maildir rules, bitbucket, what next hops answer, retries, and the
report to the sender. What next hops offer in TLS is in test_tls_client."""
import email
import email.policy
import os
import pwd
import sqlite3
import stat
import time

import kit
from harness import USER, Router, RouterTest, SharedRouterTest, add_cases, free_port, wait_until
from peers import Aiosmtpd, Scripted, SmtpSink


def own(path):
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


class Folders(RouterTest):
    def test_mailboxes_by_domain(self):
        port = free_port()
        router = self.router(kit.site(
            ['home.test $U%$D@router.test', 'work.test $U%$D@router.test', 'new.test $U%$D@router.test',
             '. $U%$H@tcp-daemon'], ['tcp_local smtp\ntcp-daemon'],
            [kit.service('SMTP', 'tcp_local', port)]),
            users=['home.test', 'home.test/ann', 'home.test/ann/box', 'work.test', 'work.test/ann',
                   'work.test/ann/box'])
        router.write('option.dat', router.read('option.dat') + 'MAILDIR_FOLDER=%d/%u/box\n')
        router.start()
        for domain in ('home.test', 'work.test'):
            word = kit.token()
            kit.send(port, 'Ann+x@' + domain.upper(), subject=word)
            mail = router.find_mail(word.encode(), user=domain + '/ann/box')
            self.assertTrue(mail.startswith(b'Return-Path: '))
        for address in ('bob@home.test', 'ann@new.test', 'postmaster@new.test'):
            with self.assertRaises(kit.Refused) as refused:
                kit.send(port, address)
            self.assertEqual(refused.exception.code, 550)
        word = kit.token()
        kit.send(port, 'postmaster@work.test', subject=word)
        router.find_mail(word.encode(), user='work.test/postmaster/box')
        self.assertEqual(sorted(os.listdir(router.path('mail'))), ['home.test', 'work.test'])
        self.assertEqual(stat.S_IMODE(os.stat(router.path(
            'mail', 'work.test', 'postmaster')).st_mode), 0o700)


class Maildir(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.port = free_port()
        router = Router(kit.site(
            ['trash.test $U%$D@bitbucket-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon', 'bitbucket logging\nbitbucket-daemon'],
            [kit.service('SMTP', 'tcp_local', cls.port)]),
            users=['ann', 'UPPER', 'x' * 64, 'linked-new', 'gone', 'ann.b-c_d', 'o\'neil'])
        cls.outside = router.path('outside')
        os.mkdir(cls.outside)
        own(cls.outside)
        os.symlink('ann', router.path('mail', 'symlink'))
        os.symlink(cls.outside, router.path('mail', 'away'))
        os.symlink(cls.outside, router.path('mail', 'linked-new', 'new'))
        own(router.path('mail', 'linked-new', 'new'))
        with open(router.path('mail', 'file'), 'w'):
            pass
        return router

    def refused(self, address, code, status):
        before = sorted(os.listdir(self.shared.path('mail')))
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            reply = wire.say('RCPT TO:<%s>' % address)
            self.assertIn(reply.code, code if isinstance(code, tuple) else (code,), reply)
            self.assertTrue(reply.text.startswith(status), reply)
        self.assertEqual(sorted(os.listdir(self.shared.path('mail'))), before)

    def stored(self, address, user):
        word = kit.token()
        ident = kit.queue_id(kit.send(self.port, address, subject=word))
        mail = self.shared.find_mail(word.encode(), user=user)
        self.assertTrue(mail.startswith(b'Return-Path: <sue@far.test>\nReceived: '), mail)
        event = self.shared.wait_event('deliver', id=ident)
        self.assertEqual((event['outcome'], event['channel']), ('delivered', 'l'))
        path = self.shared.path('mail', event['peer'])
        self.assertIn('/%s/new/' % user, path)
        self.assertIn(ident, os.path.basename(path))
        info = os.stat(path)
        self.assertEqual(stat.S_IMODE(info.st_mode), 0o600)
        self.assertEqual(os.listdir(self.shared.path('mail', user, 'tmp')), [])
        self.assertTrue(os.path.isdir(self.shared.path('mail', user, 'cur')))
        if os.geteuid() == 0:
            self.assertEqual(info.st_uid, pwd.getpwnam(USER).pw_uid)

    def test_postmaster_exists(self):
        self.stored('postmaster@router.test', 'postmaster')
        self.stored('Postmaster', 'postmaster')

    def test_several_users_one_message(self):
        word = kit.token()
        kit.send(self.port, ['ann@router.test', 'o\'neil@router.test'], subject=word)
        for user in ('ann', 'o\'neil'):
            mail = self.shared.find_mail(word.encode(), user=user)
            self.assertNotIn(b'for <', mail.split(b'\n\n')[0].split(b'Subject')[0])

    def test_received_for_one_recipient(self):
        word = kit.token()
        kit.send(self.port, 'ann@router.test', subject=word)
        self.assertIn(b'for <ann@router.test>;', self.shared.find_mail(word.encode()))

    def test_a_linked_folder_is_not_followed(self):
        """Nothing is written outside the root; the message waits."""
        ident = kit.queue_id(kit.send(self.port, 'linked-new@router.test'))
        event = self.shared.wait_event('deliver', id=ident)
        self.assertEqual(event['outcome'], 'deferred')
        self.assertEqual(os.listdir(self.outside), [])

    def test_user_removed_after_rcpt(self):
        """Not created again: the message fails, and the sender is told."""
        word = kit.token()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<ann@router.test>', 250)
            wire.want('RCPT TO:<gone@router.test>', 250)
            os.rmdir(self.shared.path('mail', 'gone'))
            wire.want('DATA', 354)
            wire.send('Subject: %s\r\n\r\nx\r\n' % word)
            wire.want('.', 250)
        report = self.shared.find_mail(('Subject: ' + word).encode())
        self.assertIn(b'5.1.1', report)
        self.assertFalse(os.path.exists(self.shared.path('mail', 'gone')))

    def test_bitbucket(self):
        ident = kit.queue_id(kit.send(self.port, 'whoever@trash.test'))
        event = self.shared.wait_event('deliver', id=ident)
        self.assertEqual((event['outcome'], event['channel']), ('delivered', 'bitbucket'))


NOBODY, BAD = (550, '5.1.1'), (550, '5.1.3')
add_cases(Maildir, 'refused', [
    ('unknown', 'nobody@router.test') + NOBODY,
    ('unknown with detail', 'nobody+x@router.test') + NOBODY,
    ('folder in upper case', 'upper@router.test') + NOBODY,
    ('folder in upper case, asked so', 'UPPER@router.test') + NOBODY,
    ('symbolic link', 'symlink@router.test') + NOBODY,
    ('symbolic link to outside', 'away@router.test') + NOBODY,
    ('a file', 'file@router.test') + NOBODY,
    ('slash', 'ann/new@router.test') + BAD, ('leading slash', '/ann@router.test') + BAD,
    ('quoted slash', '"ann/"@router.test') + BAD,
    ('parent', '"../ann"@router.test') + BAD, ('dot dot', '".."@router.test') + BAD,
    ('dot', '"."@router.test') + BAD, ('hidden', '".ann"@router.test') + BAD,
    ('65 octets', 'x' * 65 + '@router.test', (501, 550), '5.1.3'),
    ('200 octets', 'x' * 200 + '@router.test', (501, 550), '5.1.3'),
    ('empty', '""@router.test', (501, 550), '5.1.3'),
    ('maildir folder of a user', 'new@router.test') + NOBODY,
    ('blanks', '" "@router.test') + NOBODY,
    ('escape', '"a\\b c"@router.test') + NOBODY,
    ('mail format', '"%s%n"@router.test') + NOBODY,
], Maildir.refused)
add_cases(Maildir, 'stored', [
    ('lower case', 'ann@router.test', 'ann'), ('upper case', 'ANN@ROUTER.TEST', 'ann'),
    ('mixed case', 'aNn@router.test', 'ann'), ('64 octets', 'x' * 64 + '@router.test', 'x' * 64),
    ('detail', 'ann+lists@router.test', 'ann'), ('quoted', '"ann"@router.test', 'ann'),
    ('dots inside', 'ann.b-c_d@router.test', 'ann.b-c_d'),
], Maildir.stored)


class NextHop(SharedRouterTest):
    """What the next hop says, for each recipient."""

    @classmethod
    def make_router(cls):
        cls.port, cls.down = free_port(), free_port()
        cls.replies = {
            'bad@hop.test': '550 5.1.1 no such user', 'worse@hop.test': '553 5.7.99 never you',
            'plain@hop.test': '550 no enhanced code', 'later@hop.test': '451 4.7.1 greylisted'}
        cls.hop = cls.class_peer(Aiosmtpd(tls='none', answers=cls.replies))
        cls.domains = {'hop.test': cls.hop.port, 'down.test': cls.down}
        for name, replies in (
                ('mail5', {'MAIL': b'550 5.7.1 not from you\r\n'}),
                ('mail4', {'MAIL': b'450 4.7.1 not now\r\n'}),
                ('data5', {'DATA': b'554 5.6.0 no data\r\n'}),
                ('dot5', {'.': b'554 5.6.1 spam\r\n'}), ('dot4', {'.': b'452 4.3.1 full\r\n'}),
                ('dotgone', {'.': None}), ('greet4', {'greeting': b'421 4.3.2 busy\r\n'}),
                ('greet5', {'greeting': b'554 5.7.1 not you\r\n'}),
                ('heloonly', {'EHLO': b'502 what\r\n'}), ('silly', {'MAIL': b'xyz\r\n'}),
                ('endless', {'EHLO': b'250-' + b'x' * 600000})):
            cls.domains[name + '.test'] = cls.class_peer(Scripted(**replies)).port
        sink5 = cls.class_peer(SmtpSink('-r', 'RCPT', '-h', 'sink'))
        cls.domains['sink4.test'] = sink5.port
        rules = ['%s $U%%$D@tcp-%s-daemon' % (d, d[:-5]) for d in cls.domains]
        channels = ['tcp_%s smtp nomx daemon 127.0.0.1 port %d logging\ntcp-%s-daemon'
                    % (d[:-5], port, d[:-5]) for d, port in cls.domains.items()]
        return Router(kit.site(
            rules + ['. $U%$H@tcp-daemon'], ['tcp_local smtp\ntcp-daemon'] + channels,
            [kit.service('SMTP', 'tcp_local', cls.port)], cls.domains),
            arguments=['--retry-after', '1'])

    def send(self, to, sender='ann@router.test'):
        word = kit.token()
        return kit.queue_id(kit.send(self.port, to, sender=sender, subject=word)), \
            word.encode()

    def report(self, word):
        mail = self.shared.find_mail(b'Subject: ' + word)
        return email.message_from_bytes(mail, policy=email.policy.default)

    def outcome(self, domain, outcome, status):
        ident, _ = self.send('bob@' + domain, sender='')
        event = self.shared.wait_event('deliver', id=ident)
        self.assertEqual(event['outcome'], outcome, event)
        self.assertRegex(event['status'], status)

    def test_each_recipient_its_outcome(self):
        """One message, three answers; the deferred one is tried again alone."""
        ident, word = self.send(['good@hop.test', 'bad@hop.test', 'later@hop.test'])
        for address, outcome in (('good', 'delivered'), ('bad', 'failed'), ('later', 'deferred')):
            event = self.shared.wait_event('deliver', id=ident, to=address + '@hop.test')
            self.assertEqual(event['outcome'], outcome, event)
        self.assertEqual(self.hop.find(word)[1], ['good@hop.test'])
        del self.replies['later@hop.test']
        self.shared.wait_event('deliver', id=ident, to='later@hop.test', outcome='delivered')
        got = [m[1] for m in self.hop.received if word in m[2]]
        self.assertEqual(got, [['good@hop.test'], ['later@hop.test']])
        self.assertEqual(len(self.shared.events('deliver', id=ident, to='bad@hop.test')), 1)
        self.assertIn('bad@hop.test', str(self.report(word)))

    def test_report(self):
        """RFC 3464, to the letter where programs read it."""
        ident, word = self.send(['bad@hop.test', 'worse@hop.test', 'plain@hop.test', 'a@hop.test'])
        report = self.report(word)
        self.assertEqual(report['Return-Path'], '<>')
        self.assertEqual(report['To'].addresses[0].addr_spec, 'ann@router.test')
        self.assertIn('postmaster@router.test', report['From'])
        self.assertTrue(report['Message-ID'] and report['Date'] and report['Subject'])
        self.assertEqual(report['Auto-Submitted'], 'auto-replied')
        self.assertEqual(report['MIME-Version'], '1.0')
        self.assertEqual(report.get_content_type(), 'multipart/report')
        self.assertEqual(report['Content-Type'].params['report-type'], 'delivery-status')
        self.assertEqual([d for p in report.walk() for d in p.defects], [])
        human, status, original = report.iter_parts()
        self.assertEqual(human.get_content_type(), 'text/plain')
        self.assertIn('bad@hop.test', human.get_content())
        self.assertNotIn('a@hop.test>', human.get_content().replace('bad@hop.test', ''))
        self.assertEqual(status.get_content_type(), 'message/delivery-status')
        about, *recipients = status.get_payload()
        self.assertEqual(about['Reporting-MTA'], 'dns; router.test')
        self.assertTrue(about['Arrival-Date'])
        self.assertEqual(
            [(r['Final-Recipient'], r['Action'], r['Status']) for r in recipients],
            [('rfc822; bad@hop.test', 'failed', '5.1.1'),
             ('rfc822; worse@hop.test', 'failed', '5.7.99'),
             ('rfc822; plain@hop.test', 'failed', '5.0.0')])
        self.assertIn('smtp; 550 5.1.1 no such user', recipients[0]['Diagnostic-Code'])
        self.assertIn('127.0.0.1', recipients[0]['Remote-MTA'])
        self.assertEqual(original.get_content_type(), 'message/rfc822')
        self.assertEqual(original.get_payload()[0]['Subject'], word.decode())
        self.assertIn('hello', original.get_payload()[0].get_content())
        bounce = self.shared.wait_event('bounce', **{'for': ident})
        self.assertEqual(bounce['to'], 'ann@router.test')

    def test_report_travels(self):
        """To a sender elsewhere, with a null sender of its own."""
        _, word = self.send('bad@hop.test', sender='origin@hop.test')
        mail = self.hop.find(word)
        self.assertEqual((mail[0].strip('<>'), mail[1]), ('', ['origin@hop.test']))
        self.assertTrue(mail[2].startswith(b'Date: ') or b'\r\nDate: ' in mail[2])

    def test_report_of_8bit_header_is_7bit(self):
        word = kit.token().encode()
        kit.send(self.port, 'bad@hop.test', sender='ann@router.test',
                 body=b'Subject: ' + word + b'\r\nX-Name: Gr\xc3\xbc\xc3\x9fe\r\n\r\nx\r\n')
        mail = self.shared.find_mail(b'Subject: ' + word)
        self.assertTrue(mail.isascii())
        report = email.message_from_bytes(mail, policy=email.policy.default)
        part = list(report.iter_parts())[2]
        self.assertIn('Gr\u00fc\u00dfe'.encode(), part.get_payload(decode=True))

    def test_null_sender_is_held(self):
        """No report, no deletion: set aside, logged, still there after a restart."""
        ident, _ = self.send('bad@hop.test', sender='')
        hold = self.shared.wait_event('hold', id=ident)
        self.assertTrue(hold['reason'])
        self.assertIn('5.1.1', hold['error'])
        self.assertEqual(self.shared.events('bounce', **{'for': ident}), [])
        self.held(ident)
        tried = len(self.shared.events('deliver', id=ident))
        self.assertEqual(self.shared.stop(), 0)
        self.shared.start()
        time.sleep(1.5)
        self.held(ident)
        self.assertEqual(self.shared.events('deliver', id=ident), [])
        self.assertEqual(tried, 1)

    def held(self, ident):
        self.assertGreaterEqual(self.shared.status()['queue_held'], 1)

    def test_report_that_cannot_be_delivered_is_held(self):
        """A report begets no report."""
        ident, _ = self.send('bad@hop.test', sender='nobody@router.test')
        bounce = self.shared.wait_event('bounce', **{'for': ident})
        hold = self.shared.wait_event('hold', id=bounce['id'])
        self.assertEqual(self.shared.events('bounce', **{'for': bounce['id']}), [])
        self.assertTrue(hold['reason'])

    def test_next_hop_down_then_up(self):
        """--retry-after: one try a second, until it is there."""
        ident, word = self.send('bob@down.test')
        event = self.shared.wait_event('deliver', id=ident)
        self.assertEqual(event['outcome'], 'deferred')
        wait_until('a second attempt',
                   lambda: len(self.shared.events('deliver', id=ident)) >= 2)
        peer = self.peer(Aiosmtpd(tls='none', port=self.down))
        self.assertEqual(peer.find(word)[1], ['bob@down.test'])
        done = self.shared.wait_event('deliver', id=ident, outcome='delivered')
        self.assertGreaterEqual(int(done['attempts']), 3)

    def test_lost_answer_is_delivered_again(self):
        """The next hop is gone after the final dot: never zero times."""
        ident, _ = self.send('bob@dotgone.test')
        wait_until('a second attempt',
                   lambda: len(self.shared.events('deliver', id=ident)) >= 2)
        self.assertEqual({e['outcome'] for e in self.shared.events('deliver', id=ident)},
                         {'deferred'})

    def test_many_recipients_one_transaction(self):
        _, word = self.send(['r%d@hop.test' % i for i in range(50)])
        self.assertEqual(len(self.hop.find(word)[1]), 50)

    def test_given_up_after_twelve_days(self):
        """A message made thirteen days old: the next attempt is the last."""
        ident, word = self.send('bob@down.test')
        self.shared.wait_event('deliver', id=ident, outcome='deferred')
        self.assertEqual(self.shared.stop(), 0)
        path = next(os.path.join(root, name) for root, _, names in
                    os.walk(self.shared.path('queue')) for name in names
                    if name.endswith(('.db', '.sqlite', '.sqlite3')))
        database = sqlite3.connect(path)
        with database:
            database.execute('UPDATE messages SET created_ms = created_ms - 13 * 86400000 '
                             'WHERE number IN (SELECT number FROM entries WHERE host <> "" '
                             'AND channel = "tcp_down")')
        database.close()
        self.shared.give_to_user()
        self.shared.start()
        report = self.report(word)
        status = list(report.iter_parts())[1].get_payload()[1]
        self.assertEqual((status['Action'], status['Status']), ('failed', '4.4.7'))
        self.assertIn('12 days', status['Diagnostic-Code'])


add_cases(NextHop, 'outcome', [
    ('mail 5xx', 'mail5.test', 'failed', r'5\.7\.1'),
    ('mail 4xx', 'mail4.test', 'deferred', r'4\.7\.1'),
    ('data 5xx', 'data5.test', 'failed', r'5\.6\.0'),
    ('dot 5xx', 'dot5.test', 'failed', r'5\.6\.1'),
    ('dot 4xx', 'dot4.test', 'deferred', r'4\.3\.1'),
    ('gone after the dot', 'dotgone.test', 'deferred', r'4\.'),
    ('greeting 421', 'greet4.test', 'deferred', r'4\.'),
    ('greeting 554', 'greet5.test', 'failed', r'5\.7\.1'),
    ('ehlo unknown', 'heloonly.test', 'delivered', r'2\.'),
    ('reply that is none', 'silly.test', 'deferred', r'4\.'),
    ('endless reply', 'endless.test', 'deferred', r'4\.'),
    ('smtp-sink rcpt 4xx', 'sink4.test', 'deferred', r'4\.'),
    ('nobody listens', 'down.test', 'deferred', r'4\.4\.'),
], NextHop.outcome)


class Daemon(RouterTest):
    """The daemon keyword: where the client connects to."""

    def test_daemon_router(self):
        """daemon router: the channel's official host, whatever the address says."""
        port = free_port()
        sink = self.peer(SmtpSink())
        router = self.router(kit.site(
            ['a.test $U%$D@localhost', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon',
             'tcp_out smtp nomx daemon router port %d logging\nlocalhost' % sink.port],
            [kit.service('SMTP', 'tcp_local', port)], ['a.test']))
        router.start()
        ident = kit.queue_id(kit.send(port, 'bob@a.test'))
        event = router.wait_event('deliver', id=ident)
        self.assertEqual(event.get('host'), 'localhost')

    def test_interfaceaddress(self):
        """Connections are made from that address."""
        port, sink = free_port(), self.peer(SmtpSink())
        router = self.router(kit.site(
            ['a.test $U%$D@tcp-out-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon',
             'tcp_out smtp nomx daemon [127.0.0.1] port %d interfaceaddress 127.0.0.44\n'
             'tcp-out-daemon out.alias.test' % sink.port],
            [kit.service('SMTP', 'tcp_local', port)], ['a.test']))
        router.start()
        kit.send(port, 'bob@a.test')
        mail = wait_until('the message', sink.messages)[0]
        self.assertIn(b'X-Client-Addr: 127.0.0.44', mail)
        self.assertIn(b'X-Helo-Args: out.alias.test', mail)

    def test_literal_in_the_address(self):
        port, sink = free_port(), self.peer(SmtpSink())
        router = self.router(kit.site(
            ['[127.0.0.1] $U%[127.0.0.1]@tcp-out-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon',
             'tcp_out smtp port %d\ntcp-out-daemon' % sink.port],
            [kit.service('SMTP', 'tcp_local', port)], ['[127.0.0.1]']))
        router.start()
        kit.send(port, 'bob@[127.0.0.1]')
        mail = wait_until('the message', sink.messages)[0]
        self.assertIn(b'X-Rcpt-Args: <bob@[127.0.0.1]>', mail)
