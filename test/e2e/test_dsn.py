"""What senders ask for about reports (RFC 3461), through one router and through two, and the
reports themselves as Python's `email` reads them."""
import email
import email.policy

import kit
from harness import Router, RouterTest, SharedRouterTest, free_port, wait_until
from peers import Aiosmtpd, SmtpSink

GERMAN = {
    'mappings': 'NOTIFICATION_LANGUAGE\n\n  *|*|de*|*|*   $IPMDF_LANG:de/\n',
    'languages/de/return_prefix.txt':
        'Content-type: text/plain; charset=utf-8\nContent-language: de\n\n',
    'languages/de/return_failed.txt': 'Grüße, leider ging es nicht:\n\n%R',
}


class Dsn(SharedRouterTest):
    """`here` takes mail for router.test and passes on: to a sink that offers DSN, to a server
    that does not, and to a second router, whose reports come back here."""

    @classmethod
    def make_router(cls):
        cls.port, cls.second_port = free_port(), free_port()
        cls.sink = cls.class_peer(SmtpSink())
        cls.plain = cls.class_peer(Aiosmtpd(tls='none', answers={
            'bad@plain.test': '550 5.1.1 no such user', 'worse@plain.test': '550 5.1.1 neither'}))
        cls.second = Router(kit.site(
            ['. $U%$H@tcp-daemon'],
            ['tcp_local smtp nomx daemon 127.0.0.1 port %d logging\ntcp-daemon' % cls.port],
            [kit.service('SMTP', 'tcp_local', cls.second_port)]), users=['zoe'])
        cls.second.write('pointsman.cnf', cls.second.read('pointsman.cnf').replace(
            'router.test', 'second.test'))
        cls.second.start()
        ports = {'sink': cls.sink.port, 'plain': cls.plain.port, 'second': cls.second_port}
        rules = ['%s.test $U%%$D@tcp-%s-daemon' % (n, n) for n in ports]
        channels = ['tcp_%s smtp nomx daemon 127.0.0.1 port %d logging\ntcp-%s-daemon'
                    % (n, port, n) for n, port in ports.items()]
        files = dict(GERMAN, aliases='all: ann, bob@plain.test\n'
                     'team: <team.txt, [ENVELOPE_FROM] boss@router.test\n'
                     'one: bob@sink.test\n', **{'team.txt': 'bob@sink.test\n'})
        return Router(kit.site(
            rules + ['. $U%$H@tcp-daemon'], ['tcp_local smtp\ntcp-daemon'] + channels,
            [kit.service('SMTP', 'tcp_local', cls.port)],
            [n + '.test' for n in ports], files=files),
            users=['ann', 'sue', 'boss', 'postmaster'])

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.second.stop()
        cls.second.remove()

    def send(self, to, notify='', mail='', header=''):
        """to: a recipient, perhaps with parameters behind a blank."""
        word = kit.token()
        with kit.Wire(self.port) as wire:
            self.assertIn('DSN', wire.ehlo())
            wire.want('MAIL FROM:<sue@router.test>%s' % mail, 250)
            address, _, more = to.partition(' ')
            wire.want('RCPT TO:<%s>%s%s' % (address, ' NOTIFY=' + notify if notify else '',
                                            ' ' + more if more else ''), 250)
            wire.want('DATA', 354)
            wire.send('%sSubject: %s\r\n\r\nhello\r\n' % (header, word))
            ident = kit.queue_id(wire.want('.', 250).text)
        return ident, word.encode()

    def report(self, word, user='sue'):
        mail = self.shared.find_mail(b'Subject: ' + word, user=user)
        report = email.message_from_bytes(mail, policy=email.policy.default)
        self.assertEqual(report.get_content_type(), 'multipart/report')
        self.assertEqual([d for p in report.walk() for d in p.defects], [])
        self.assertEqual(report['Return-Path'], '<>')
        return report

    def fields(self, report):
        return list(list(report.iter_parts())[1].iter_parts()) or \
            report.get_payload()[1].get_payload()

    def test_passed_on(self):
        ident, word = self.send('bob@sink.test ORCPT=rfc822;Old+2BBob@sink.test',
                                'SUCCESS,DELAY', ' RET=HDRS ENVID=QQ+3D1')
        self.shared.wait_event('deliver', id=ident, outcome='delivered')
        got = [m for m in self.sink.messages() if word in m]
        self.assertRegex(got[0], rb'X-Mail-Args: .* RET=HDRS ENVID=QQ\+3D1\n')
        self.assertIn(b'X-Rcpt-Args: <bob@sink.test> NOTIFY=SUCCESS,DELAY '
                      b'ORCPT=rfc822;Old+2BBob@sink.test\n', got[0])
        self.assertEqual(self.shared.events('bounce', **{'for': ident}), [])

    def test_relayed(self):
        ident, word = self.send('bob@plain.test', 'SUCCESS', ' ENVID=QQ+3D1')
        report = self.report(word)
        message, recipient = self.fields(report)
        self.assertEqual(message['Original-Envelope-Id'], 'QQ=1')
        self.assertEqual((recipient['Action'], recipient['Status'][0]), ('relayed', '2'))
        self.assertEqual(recipient['Final-Recipient'], 'rfc822; bob@plain.test')
        self.assertEqual(report.get_payload()[2].get_content_type(), 'text/rfc822-headers')
        event = self.shared.wait_event('bounce', **{'for': ident})
        self.assertEqual((event['what'], event['to']), ('success', 'sue@router.test'))

    def test_delivered(self):
        _, word = self.send('ann@router.test', 'SUCCESS,FAILURE')
        _, recipient = self.fields(self.report(word))
        self.assertEqual(recipient['Action'], 'delivered')

    def test_delivered_behind_a_second_router(self):
        """The request goes along; the report is the second one's."""
        ident, word = self.send('zoe@second.test ORCPT=rfc822;Zoe@old.test', 'SUCCESS',
                                ' ENVID=two+20words')
        message, recipient = self.fields(self.report(word))
        self.assertEqual(message['Reporting-MTA'], 'dns; second.test')
        self.assertEqual(message['Original-Envelope-Id'], 'two words')
        self.assertEqual(recipient['Original-Recipient'], 'rfc822; Zoe@old.test')
        self.assertEqual(recipient['Action'], 'delivered')
        self.assertEqual(self.shared.events('bounce', **{'for': ident}), [])

    def test_alias_for_several(self):
        """`expanded`, once; failures of each are told, success of each is not."""
        ident, word = self.send('all@router.test', 'SUCCESS,FAILURE')
        _, recipient = self.fields(self.report(word))
        self.assertEqual((recipient['Action'], recipient['Final-Recipient']),
                         ('expanded', 'rfc822; all@router.test'))
        for to in ('ann@router.test', 'bob@plain.test'):
            self.shared.wait_event('deliver', id=ident, to=to, outcome='delivered')
        self.assertEqual(len(self.shared.events('bounce', **{'for': ident})), 1)

    def test_alias_for_one(self):
        """The request stays, and says for whom it was."""
        ident, word = self.send('one@router.test', 'SUCCESS')
        self.shared.wait_event('deliver', id=ident, outcome='delivered')
        got = [m for m in self.sink.messages() if word in m]
        self.assertIn(b'X-Rcpt-Args: <bob@sink.test> NOTIFY=SUCCESS '
                      b'ORCPT=rfc822;one@router.test\n', got[0])

    def test_list(self):
        """The list is the end of it: members are told nothing of what was asked."""
        ident, word = self.send('team@router.test', 'SUCCESS', ' ENVID=secret RET=FULL')
        _, recipient = self.fields(self.report(word))
        self.assertEqual(recipient['Action'], 'delivered')
        self.shared.wait_event('deliver', id=ident, outcome='delivered')
        got = [m for m in self.sink.messages() if word in m]
        self.assertNotIn(b'secret', got[0].partition(b'\n\n')[0])
        self.assertIn(b'X-Rcpt-Args: <bob@sink.test>\n', got[0])

    def test_never(self):
        ident, _ = self.send('bad@plain.test', 'NEVER')
        self.shared.wait_event('deliver', id=ident, outcome='failed')
        self.shared.wait_status(queue_messages=self.shared.status()['queue_held'])
        self.assertEqual(self.shared.events('bounce', **{'for': ident}), [])
        self.assertEqual(self.shared.events('hold', id=ident), [])

    def test_all_of_it_comes_back(self):
        _, word = self.send('bad@plain.test', mail=' RET=FULL')
        content = self.report(word).get_payload()[2]
        self.assertEqual(content.get_content_type(), 'message/rfc822')
        self.assertIn('hello', content.get_payload()[0].get_content())

    def test_postmaster_gets_a_copy(self):
        ident, word = self.send('worse@plain.test')
        self.assertIn('worse@plain.test', str(self.report(word)))
        copy = self.report(word, 'postmaster')
        self.assertEqual(copy['To'].addresses[0].addr_spec, 'postmaster@router.test')
        self.assertIn('<sue@router.test>', copy.get_payload()[0].get_content())
        self.assertEqual(copy.get_payload()[2].get_content_type(), 'message/rfc822')
        self.assertEqual(len(self.shared.events('bounce', **{'for': ident})), 2)

    def test_language(self):
        _, word = self.send('bad@plain.test', header='Accept-Language: de-CH, en\r\n')
        text = self.report(word).get_payload()[0]
        self.assertEqual(text['Content-Language'], 'de')
        self.assertTrue(text.get_content().startswith('Grüße, leider'), text.get_content())
        self.assertIn('550 5.1.1 no such user', text.get_content())


class Rate(RouterTest):
    def test_flood_of_success(self):
        """Reports over the limit wait in the queue, not what they tell of."""
        port = free_port()
        router = self.router(kit.site(
            ['pit.test $U%$D@bitbucket-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon', 'bitbucket single\nbitbucket-daemon'],
            [kit.service('SMTP', 'tcp_local', port)], ['pit.test']),
            users=['sue'], arguments=['--workers', '1'])
        router.start()
        with kit.Wire(port) as wire:
            wire.ehlo()
            for _ in range(12):
                wire.send('MAIL FROM:<sue@router.test>\r\n' + ''.join(
                    'RCPT TO:<u%d@pit.test> NOTIFY=SUCCESS\r\n' % i for i in range(100)))
                for _ in range(101):
                    self.assertEqual(wire.reply().code, 250)
                wire.want('DATA', 354)
                wire.send('Subject: flood\r\n\r\n')
                wire.want('.', 250)
        wait_until('all are settled', lambda: len(router.events('bounce')) == 1200)
        self.assertLess(len(router.mails('sue')), 1150)
