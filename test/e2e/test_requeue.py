"""Channels that give mail back into the queue: process and reprocess at once, hold when an
operator releases it."""
import email
import email.policy
import time

import kit
from harness import RouterTest, free_port, wait_until
from peers import Aiosmtpd

RULES = [
    # from the channel itself it goes on, from elsewhere through it
    'later.test $Mprocess$U%$D@router.test', 'later.test $U%$D@process-daemon',
    'twice.test $1M$U%$D@router.test', 'twice.test $1N$U%$D@reprocess-daemon',
    'gone.test $Mprocess$?there is no such domain any more',
    'gone.test $U%$D@process-daemon',
    'round.test $U%$D@process-daemon',
    'moved.test $U%$D@hold-daemon',
    'far.test $U%$D@tcp-out-daemon',
    'home.test $U%$D@router.test',
]
CHANNELS = ['tcp_local smtp\ntcp-daemon', 'process logging\nprocess-daemon',
            'reprocess logging\nreprocess-daemon', 'hold logging\nhold-daemon']


class Requeue(RouterTest):
    def site(self, rules=RULES, options='', arguments=(), files=None):
        self.port = free_port()
        self.hop = self.peer(Aiosmtpd(tls='none'))
        router = self.router(kit.site(
            rules, CHANNELS + ['tcp_out smtp port %d daemon [127.0.0.1] logging\ntcp-out-daemon'
                               % self.hop.port],
            [kit.service('SMTP', 'tcp_local', self.port)],
            localdomains=['later.test', 'twice.test', 'gone.test', 'round.test', 'moved.test'],
            files=files or {}), users=['ann', 'bob', 'sue'], arguments=arguments)
        if options:
            router.write('option.dat', router.read('option.dat') + options)
        return router.start()

    def send(self, to, **more):
        more.setdefault('sender', 'sue@home.test')
        return kit.queue_id(kit.send(self.port, to, **more))

    def successor(self, router, ident, channel):
        """The id of the message that came of this one."""
        event = router.wait_event('deliver', id=ident, channel=channel)
        self.assertEqual(event['outcome'], 'delivered')
        return kit.queue_id(event['text'])

    def test_process_and_reprocess(self):
        router = self.site()
        word = kit.token()
        ident = self.send(['ann@later.test', 'bob@twice.test'], subject=word)
        new = self.successor(router, ident, 'process')
        event = router.wait_event('deliver', id=new)
        self.assertEqual((event['channel'], event['to'], event['from'], event['outcome']),
                         ('l', 'ann@later.test', 'sue@home.test', 'delivered'))
        mail = router.find_mail(word.encode())
        fields = email.message_from_bytes(mail).get_all('Received')
        self.assertEqual(len(fields), 2)
        self.assertRegex(fields[0], r'^by router.test \(Pointsman channel process\)\s+id %s'
                         r'\s+for <ann@later.test>;' % new)
        self.assertIn('ESMTP id ' + ident, ' '.join(fields[1].split()))
        self.assertIn('id %s' % self.successor(router, ident, 'reprocess'),
                      router.find_mail(word.encode(), user='bob').decode())
        wait_until('nothing is left', lambda: router.status()['deliveries_open'] == 0)

    def test_aliases_are_looked_up_again(self):
        router = self.site(
            files={'aliases': 'staff: ann, bob, eve@far.test\nsome: list@later.test\n'
                              'list: staff, nobody\n'})
        word = kit.token()
        ident = self.send('some@router.test', subject=word, sender='')
        new = self.successor(router, ident, 'process')
        for user in ('ann', 'bob'):
            self.assertTrue(router.find_mail(word.encode(), user=user).startswith(
                b'Return-Path: <>\nReceived: by '))
        wait_until('eve has it', lambda: self.hop.received)
        self.assertEqual(self.hop.received[0][1], ['eve@far.test'])
        self.assertEqual(router.wait_event('member', id=new)['member'], 'nobody')

    def test_refused_the_second_time(self):
        router = self.site()
        ident = self.send(['ann@gone.test', 'ann@later.test'])
        event = router.wait_event('deliver', id=ident, outcome='failed')
        self.assertEqual((event['to'], event['status']), ('ann@gone.test', '5.1.2'))
        report = email.message_from_bytes(router.wait_mails(user='sue')[0],
                                          policy=email.policy.default)
        status = report.get_payload()[1].get_payload()
        self.assertEqual([str(s['Final-Recipient']) for s in status[1:]],
                         ['rfc822; ann@gone.test'])
        router.wait_mails(user='ann')

    def test_loop_ends(self):
        router = self.site()
        self.send('ann@round.test')
        event = router.wait_event('deliver', outcome='failed', channel='process')
        self.assertEqual(event['status'], '5.4.6')
        self.assertIn(b'too many hops', router.wait_mails(user='sue')[0])
        self.assertLess(len(router.events('deliver', channel='process')), 105)

    def test_loop_is_held_where_the_site_says_so(self):
        router = self.site(options='MAX_RECEIVED_LINES=10\n')
        self.send('ann@round.test')
        event = router.wait_event('hold')
        self.assertIn('MAX_RECEIVED_LINES', event['reason'])
        wait_until('it went round', lambda: len(
            router.events('deliver', channel='process')) == 11)
        self.assertEqual(router.mails('sue'), [])

    def test_no_relay_by_a_second_reading(self):
        router = self.site(rules=['far.test $U%$D@tcp-out-daemon'] + RULES)
        for address in ('victim%far.test@later.test', '"victim@far.test"@later.test',
                        '"victim%far.test"@moved.test', 'far.test!victim@later.test',
                        '@later.test:victim@far.test', 'victim%far.test%later.test@later.test'):
            with self.assertRaises(kit.Refused) as refused:
                self.send(address)
            self.assertEqual(refused.exception.code, 550, address)
        self.assertEqual(self.hop.received, [])
        self.assertEqual(router.events('enqueue'), [])

    def test_large_message_and_header(self):
        router = self.site()
        word = kit.token()
        lines = ''.join('%07d %s\r\n' % (i, 'z' * 60) for i in range(70000))
        self.send('ann@later.test', body='Subject: %s\r\nTo: Ann <ann@later.test>\r\n\r\n%s'
                  % (word, lines))
        mail = router.find_mail(word.encode())
        self.assertTrue(mail.endswith(b'\n\n' + lines.replace('\r', '').encode()))
        self.assertIn(b'\nTo: Ann <ann@later.test>\n', mail)

    def test_hold(self):
        router = self.site()
        word = kit.token()
        ident = self.send(['ann@moved.test', 'bob@home.test'], subject=word)
        router.find_mail(word.encode(), user='bob')
        event = router.wait_event('hold', id=ident)
        self.assertEqual(event['channel'], 'hold')
        self.assertIn(ident, router.tool('queue', 'list', '--held').stdout)
        self.assertEqual(router.events('deliver', id=ident, channel='hold'), [])
        # still to be held: a new message that is held
        self.assertEqual(router.tool('queue', 'release', ident).returncode, 0)
        second = self.successor(router, ident, 'hold')
        router.wait_event('hold', id=second)
        # she has moved
        router.write('pointsman.cnf', router.read('pointsman.cnf').replace(
            'moved.test $U%$D@hold-daemon', 'moved.test $U%$D@router.test'))
        router.hang_up()
        router.wait_event('reload')
        self.assertEqual(router.mails(), [])
        self.assertEqual(router.tool('queue', 'release', second).returncode, 0)
        mail = router.find_mail(word.encode())
        self.assertEqual(mail.count(b'(Pointsman channel hold)'), 2)

    def test_held_mail_survives_a_restart(self):
        router = self.site()
        ident = self.send('ann@moved.test')
        router.wait_event('hold', id=ident)
        router.kill()
        router.start()
        time.sleep(0.5)
        self.assertEqual(router.events('deliver'), [])
        self.assertIn(ident, router.tool('queue', 'list', '--held').stdout)

    def test_what_the_sender_asked_for_goes_along(self):
        router = self.site()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@home.test> RET=HDRS ENVID=env-7', 250)
            wire.want('RCPT TO:<ann@later.test> NOTIFY=SUCCESS ORCPT=rfc822;first@x.test', 250)
            wire.want('DATA', 354)
            wire.want('Subject: x\r\n\r\nx\r\n.', 250)
        report = email.message_from_bytes(router.wait_mails(user='sue')[0],
                                          policy=email.policy.default)
        status = report.get_payload()[1].get_payload()
        self.assertEqual(str(status[0]['Original-Envelope-Id']), 'env-7')
        self.assertEqual((str(status[1]['Action']), str(status[1]['Original-Recipient'])),
                         ('delivered', 'rfc822; first@x.test'))
        time.sleep(0.5)
        self.assertEqual(len(router.mails('sue')), 1)
