"""Access tables through the real daemon: who is let in, who may send, who is written to,
what is held, thrown away or slowed down, and where connections are made to. `explain` is
asked for the same, and has to say the same."""
import json
import socket
import time

import kit
from harness import Router, RouterTest, SharedRouterTest, add_cases, free_port, wait_until
from peers import Aiosmtpd, Nsd

ZONE = '''
both.z.test. A 127.0.0.31
both.z.test. A 127.0.0.32
one.z.test. A 127.0.0.31
other.z.test. A 127.0.0.32
only.z.test. A 127.0.0.31
mx.z.test. MX 10 one.z.test.
mx.z.test. MX 20 other.z.test.
'''

RULES = [
    '[127.0.0.5] $E$R$U%[127.0.0.5]@tcp-intra-daemon',
    'far.example $U%$D@tcp-far-daemon',
    '.two.example $U%$H.z.test@tcp-two-daemon',
    'none.example $U%$D@tcp-none-daemon',
    'odd.example $U%$D@tcp-odd-daemon',
    'moved.example $U%$D@tcp-moved-daemon',
    'lost.example $U%$D@nobody-has-this',
    '. $U%$H@tcp-out-daemon',
]

MAPPINGS = r"""
PORT_ACCESS

  TCP|127.0.0.1|PORT|127.0.0.20|*     $Nnot$ you
  TCP|127.0.0.1|PORT|127.0.0.21|*     $N421$ 4.7.0$ too$ busy$ for$ you~come$ back$ at$ night
  TCP|127.0.0.1|PORT|127.0.0.22|*     $N200$ welcome
  TCP|127.0.0.1|PORT|127.0.0.23|*     $<$>$N$Tseen|kept$ out||tagged
  TCP|127.0.0.1|PORT|127.0.0.24|*     $Y||an$ old$ friend
  TCP|127.0.0.1|PORT|127.0.0.25|*     $Y
  TCP|127.0.0.1|TLSP|127.0.0.20|*     $N

FROM_ACCESS

  TCP|127.0.0.1|PORT|127.0.0.1|*|SMTP/bad.host|MAIL|*     $Nyour$ name$ is$ bad
  *|tcp_local|refused@*|*             $N
  *|tcp_local|later@*|*               $X4.7.1|come$ back$ later$N
  *|tcp_local|new@*|*                 $Jowner@here.example$Y
  *|tcp_local|odd@*|*                 $Jno$ address$ at$ all$Y
  *|tcp_local|bin@*|*                 $B
  *|tcp_local|hold@*|*                $H
  *|tcp_local|small@*|*               $S1,2,3
  *|tcp_local|slow@*|*                $D60$Y
  *|tcp_local|slowmail@*|*            $D-60$Y
  *|tcp_tls|*|*                       $:T$Y
  *|tcp_tls|*|*                       $Nno$ TLS$ flag

ORIG_SEND_ACCESS

  tcp_local|*|tcp_far|open@*          $Y
  tcp_local|*|tcp_far|looped@*        $C$|AGAIN;$0|$Y
  tcp_local|*|tcp_far|logged@*        $<only$ logged
  tcp_local|*|tcp_far|late@*          $<and$ SEND_ACCESS$ decides
  tcp_local|*|tcp_out|*               $NRelaying$ is$ not$ for$ you
  tcp_local|*|l|no@*                  $N
  tcp_local|*|l|temporary@*           $X4.2.1|mailbox$ is$ moving$N
  tcp_local|*|l|code@*                $X9.9.9$N
  tcp_local|*|l|deep@*                $|DEEP;x|$Y
  tcp_local|*|l|hold@*                $H
  tcp_local|*|l|bin@*                 $B
  tcp_local|*|l|all@*                 $V
  tcp_local|*|l|head@*                $Y$AX-Access:$ looked$ at
  tcp_local|*|l|slow@*                $D-60$Y
  tcp_local|*|l|ann*bob@*             $Nshifted

AGAIN

  *                                   $R$0x

DEEP

  *                                   $|DEEP;$0|$Y

ORIG_MAIL_ACCESS

  TCP|*|*|127.0.0.1|*|SMTP/client.test|MAIL|tcp_local|*|l|mailno@*   $Nnot$ from$ there

SEND_ACCESS

  *|*|tcp_far|late@*                  $Y
  *|*|l|sendno@*                      $Nnot$ in$ the$ end

MAIL_ACCESS

  *|MAIL|tcp_local|*|l|mailend@*      $X5.2.2|full$N

IP_ACCESS

  tcp_two|2|*|127.0.0.31|both.z.test  $I
  tcp_two|1|1|127.0.0.31|one.z.test   $I
  tcp_two|*|*|127.0.0.31|only.z.test  $I
  tcp_none|*                          $Nnot$ to$ that$ one
  tcp_odd|*                           $Anowhere
  tcp_moved|1|1|127.0.0.33|*          $A127.0.0.32
"""


def rule(part):
    """Where the entry with that text stands, as the log writes it."""
    lines = MAPPINGS.lstrip().split('\n')
    return 'mappings:%d' % next(i for i, text in enumerate(lines, 1) if part in text)


def channel(name, words):
    return 'tcp_{0} smtp logging {1}\ntcp-{0}-daemon'.format(name, words)


class Access(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.port, cls.tls_port = free_port(), free_port()
        cls.hop = cls.class_peer(Aiosmtpd(host='127.0.0.32'))
        cls.forbidden = cls.class_peer(Aiosmtpd(host='127.0.0.31', port=cls.hop.port))
        cls.nsd = cls.class_peer(Nsd({'z.test': ZONE}))
        to = 'nomx port %d daemon ' % cls.hop.port
        channels = [
            channel('local', 'switchchannel maytls tlsswitchchannel tcp_tls identnonelimited'),
            channel('tls', 'maytls'),
            channel('intra', 'allowswitchchannel'),
            channel('far', to + '[127.0.0.32]'),
            channel('two', 'mx port %d nameservers 127.0.0.1@%d' % (cls.hop.port, cls.nsd.port)),
            channel('none', to + '[127.0.0.32]'),
            channel('odd', to + '[127.0.0.32]'),
            channel('moved', to + '[127.0.0.33]'),
            channel('out', to + '[127.0.0.32]'),
        ]
        services = [kit.service('SMTP', 'tcp_local', cls.port),
                    kit.service('TLS', 'tcp_local', tls_port=cls.tls_port)]
        mappings = MAPPINGS.replace('PORT|', '%d|' % cls.port).replace('TLSP|',
                                                                       '%d|' % cls.tls_port)
        files = {'mappings': mappings.lstrip(),
                 'aliases': 'team: ann, sendno, bin\nnobodies: sendno\nno-alias: ann\n'}
        return Router(kit.site(RULES, channels, services, files=files),
                      users=('ann', 'hold', 'head', 'slow'))

    def raw(self, source, port=None):
        """All that is sent to a client that says nothing."""
        with socket.create_connection(('127.0.0.1', port or self.port), 10, (source, 0)) as s:
            text = b''
            while b'220 ' not in text:
                more = s.recv(4096)
                if not more:
                    break
                text += more
            return text

    def rcpt(self, to, sender='sue@far.test', code=250, text=''):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<%s>' % sender, 250)
            return wire.want('RCPT TO:<%s>' % to, code, text)

    # --- PORT_ACCESS ---

    def test_port_refused_before_the_banner(self):
        self.assertEqual(self.raw('127.0.0.20'), b'554 5.7.1 not you\r\n')
        self.shared.wait_event('refuse', peer='127.0.0.20', reply='554 5.7.1 not you')
        self.shared.wait_event('disconnect', peer='127.0.0.20', reason='port-access')
        self.assertGreaterEqual(self.shared.status()['sessions_refused'], 1)

    def test_port_lines_and_code(self):
        self.assertEqual(self.raw('127.0.0.21'), b'421-4.7.0 too busy for you\r\n'
                         b'421 4.7.0 come back at night\r\n')

    def test_port_fault(self):
        self.assertTrue(self.raw('127.0.0.22').startswith(b'421 4.3.5 '))
        error = self.shared.wait_event('error', table='PORT_ACCESS')
        self.assertEqual(error['file'], rule('127.0.0.22'))
        self.assertIn('200', error['reason'])

    def test_port_log(self):
        self.assertTrue(self.raw('127.0.0.23').startswith(b'554 5.7.1 '))
        event = self.shared.wait_event('access', peer='127.0.0.23')
        self.assertEqual((event['text'], event['refusal'], event['tag'], event['result'],
                          event['rule']), ('seen', 'kept out', 'tagged', 'refused',
                                           rule('127.0.0.23')))

    def test_port_note(self):
        self.assertIn(b'220 ', self.raw('127.0.0.24'))
        self.shared.wait_event('connect', peer='127.0.0.24', note='an old friend')

    def test_port_over_tls_says_nothing_in_clear(self):
        self.assertEqual(self.raw('127.0.0.20', self.tls_port), b'')

    def test_port_no_match_is_yes(self):
        self.assertIn(b'220 ', self.raw('127.0.0.1'))

    # --- FROM_ACCESS ---

    def test_from_refused(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<refused@x.test>', 550, '5.7.1 you may not send')
            wire.want('MAIL FROM:<"refused"@x.test>', 550, '5.7.1')
            wire.want('MAIL FROM:<later@x.test>', 450, '4.7.1 come back later')
            wire.want('RCPT TO:<ann@router.test>', 503)
            wire.mail('ann@router.test')
        event = self.shared.wait_event('access', table='FROM_ACCESS', result='refused',
                                       **{'from': 'refused@x.test'})
        self.assertIn('|SMTP/client.test|MAIL|tcp_local|refused@x.test|', event['probe'])

    def test_from_helo(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo('bad.host')
            wire.want('MAIL FROM:<a@x.test>', 550, 'your name is bad')

    def test_from_new_sender(self):
        word = kit.token()
        kit.send(self.port, 'ann@router.test', 'new@x.test', subject=word)
        mail = self.shared.find_mail(word.encode())
        self.assertIn(b'Return-Path: <owner@here.example>', mail)
        self.assertIn(b'(sender was <new@x.test>)', mail.replace(b'\n\t', b' '))

    def test_from_fault(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<odd@x.test>', 451, '4.3.5')
        error = self.shared.wait_event('error', table='FROM_ACCESS')
        self.assertEqual(error['file'], rule('odd@'))

    def test_from_tls_flag(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.starttls()
            wire.ehlo()
            wire.want('MAIL FROM:<a@x.test>', 250)

    def test_from_discards_all(self):
        word = kit.token()
        text = kit.send(self.port, ['ann@router.test', 'open@far.example'], 'bin@x.test',
                        subject=word)
        self.shared.wait_event('discard', id=kit.queue_id(text), recipients='2')
        self.assertEqual(self.shared.status()['queued'] if 'queued' in self.shared.status()
                         else 0, 0)
        self.assertFalse([m for m in self.shared.mails() if word.encode() in m])

    def test_from_holds(self):
        text = kit.send(self.port, 'ann@router.test', 'hold@x.test')
        event = self.shared.wait_event('hold', id=kit.queue_id(text))
        self.assertEqual(event['reason'], 'FROM_ACCESS, ' + rule('|hold@'))

    def test_from_limits(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<small@x.test> SIZE=1025', 552, '5.3.4')
            wire.want('MAIL FROM:<small@x.test> SIZE=1024', 250)
            wire.want('RCPT TO:<ann@router.test>', 250)
            wire.want('RCPT TO:<open@far.example>', 250)
            wire.want('RCPT TO:<head@router.test>', 452, '4.5.3')
            wire.want('DATA', 354)
            wire.send('Subject: x\r\n\r\n' + 'x' * 1023 + '\r\n')
            wire.want('.', 552, '5.3.4')
            wire.want('MAIL FROM:<small@x.test>', 250)
            for _ in range(4):
                wire.say('RCPT TO:<ann@router.test>')
            wire.want('DATA', 451, '4.5.3')

    # --- recipients ---

    def test_relay_needs_a_decision(self):
        self.rcpt('open@far.example')
        self.rcpt('other@far.example', code=550, text='5.7.1 relaying to far.example')
        self.rcpt('logged@far.example', code=550, text='5.7.1 relaying to far.example')
        self.rcpt('late@far.example')
        self.rcpt('x@elsewhere.test', code=550, text='5.7.1 Relaying is not for you')
        self.shared.wait_event('access', text='only logged', result='none')

    def test_decided_is_delivered(self):
        word = kit.token()
        kit.send(self.port, 'open@far.example', subject=word)
        self.hop.find(word.encode())

    def test_what_cannot_be_routed_is_refused_whatever_tables_say(self):
        self.rcpt('open@lost.example', code=550, text='5.1.2')
        self.rcpt('open%lost.example@router.test', code=550, text='5.1.2')
        self.rcpt('lost.example!open@router.test', code=550, text='5.1.2')

    def test_percent_is_judged_as_rewritten(self):
        self.rcpt('open%far.example@router.test')
        self.rcpt('other%far.example@router.test', code=550, text='5.7.1')
        self.rcpt('@router.test:other@far.example', code=550, text='5.7.1')

    def test_mapping_that_goes_on_for_ever(self):
        self.rcpt('looped@far.example', code=550, text='5.7.1')

    def test_refusals(self):
        self.rcpt('no@router.test', code=550, text='5.7.1 you may not send to this address')
        self.rcpt('"no"@router.test', code=550, text='5.7.1')
        self.rcpt('temporary@router.test', code=450, text='4.2.1 mailbox is moving')
        self.rcpt('mailno@router.test', code=550, text='not from there')
        self.rcpt('sendno@router.test', code=550, text='not in the end')
        self.rcpt('mailend@router.test', code=550, text='5.2.2 full')

    def test_bars_do_not_shift_fields(self):
        self.rcpt('"ann|l|bob"@router.test', code=550, text='shifted')
        event = self.shared.wait_event('access', to='"ann|l|bob"@router.test')
        self.assertEqual(event['probe'], 'tcp_local|sue@far.test|l|ann?l?bob@router.test')
        self.rcpt('ann@router.test', sender='"x|l|no"@far.test')

    def test_bad_code(self):
        self.rcpt('code@router.test', code=451, text='4.3.5')
        error = self.shared.wait_event('error', table='ORIG_SEND_ACCESS')
        self.assertEqual(error['file'], rule('code@'))
        self.assertIn('9.9.9', error['reason'])

    def test_mapping_that_reaches_a_limit(self):
        self.rcpt('deep@router.test', code=451, text='4.3.5')
        self.shared.wait_event('error', table='ORIG_SEND_ACCESS', file=rule('ORIG_SEND_ACCESS'),
                               reason='mapping tables call each other too deeply')

    def test_hold(self):
        word = kit.token()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            text = wire.mail(['hold@router.test'], body='Subject: %s\r\n\r\n' % word).text
        event = self.shared.wait_event('hold', id=kit.queue_id(text))
        self.assertEqual(event['reason'], 'ORIG_SEND_ACCESS, ' + rule('*|l|hold@'))

    def test_held_mail_is_released(self):
        word = kit.token()
        text = kit.send(self.port, ['hold@router.test', 'ann@router.test'], subject=word)
        ident = kit.queue_id(text)
        self.shared.wait_event('hold', id=ident)
        self.assertFalse([m for m in self.shared.mails() if word.encode() in m])
        done = self.shared.tool('queue', 'release', ident)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.shared.find_mail(word.encode())
        self.shared.find_mail(word.encode(), user='hold')

    # --- aliases: ORIG_... sees what the client gave, the others what came of it ---

    def test_members_are_looked_at(self):
        word = kit.token()
        kit.send(self.port, 'team@router.test', subject=word)
        self.shared.find_mail(word.encode())
        self.shared.wait_event('access', to='sendno@router.test', table='SEND_ACCESS',
                               result='refused')

    def test_no_member_left(self):
        self.rcpt('nobodies@router.test', code=550, text='not in the end')

    def test_given_name_is_looked_at(self):
        self.rcpt('no-alias@router.test')
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.mail('team@router.test', sender='members@x.test')
        self.assertFalse(self.shared.events('access', to='bin@router.test',
                                            **{'from': 'members@x.test'}))

    def test_discard_one_of_two(self):
        word = kit.token()
        kit.send(self.port, ['bin@router.test', 'ann@router.test'], subject=word)
        self.shared.find_mail(word.encode())
        self.shared.wait_event('access', to='bin@router.test', result='discarded')

    def test_discard_the_only_one(self):
        word = kit.token()
        text = kit.send(self.port, 'bin@router.test', subject=word)
        event = self.shared.wait_event('discard', id=kit.queue_id(text))
        self.assertIn('$B', event['reason'])

    def test_discard_all(self):
        word = kit.token()
        text = kit.send(self.port, ['ann@router.test', 'all@router.test'], subject=word)
        event = self.shared.wait_event('discard', id=kit.queue_id(text))
        self.assertEqual(event['reason'], 'ORIG_SEND_ACCESS, ' + rule('*|l|all@'))
        self.assertFalse([m for m in self.shared.mails() if word.encode() in m])

    def test_discarded_body_in_a_file_leaves_nothing(self):
        body = 'Subject: large\r\n\r\n' + ('x' * 62 + '\r\n') * 4000
        text = kit.send(self.port, 'bin@router.test', body=body)
        self.shared.wait_event('discard', id=kit.queue_id(text))
        self.assertFalse(self.shared.events('error', what='message not stored'))

    def test_header_line(self):
        word = kit.token()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<a@b.test>', 250)
            wire.want('RCPT TO:<head@router.test>', 250)
            wire.want('RCPT TO:<ann@router.test>', 250)
            wire.want('DATA', 354)
            wire.send('Subject: %s\r\n\r\nhello\r\n' % word)
            wire.want('.', 250)
        mail = self.shared.find_mail(word.encode())
        self.assertEqual(mail.count(b'\nX-Access: looked at\n'), 1)
        self.assertLess(mail.index(b'X-Access'), mail.index(b'Subject'))

    # --- delays ---

    def timed(self, wire, command, code):
        begin = time.monotonic()
        wire.want(command, code)
        return time.monotonic() - begin

    def test_delay_of_all_commands(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            self.assertGreaterEqual(self.timed(wire, 'MAIL FROM:<slow@x.test>', 250), 0.59)
            self.assertGreaterEqual(self.timed(wire, 'RCPT TO:<ann@router.test>', 250), 0.59)
            self.assertGreaterEqual(self.timed(wire, 'DATA', 354), 0.59)
            wire.send('Subject: slow\r\n\r\n')
            self.assertGreaterEqual(self.timed(wire, '.', 250), 0.59)
            self.assertLess(self.timed(wire, 'MAIL FROM:<fast@x.test>', 250), 0.5)

    def test_delay_of_one_command(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            self.assertGreaterEqual(self.timed(wire, 'MAIL FROM:<slowmail@x.test>', 250), 0.59)
            self.assertLess(self.timed(wire, 'RCPT TO:<ann@router.test>', 250), 0.5)
            self.assertGreaterEqual(self.timed(wire, 'RCPT TO:<slow@router.test>', 250), 0.59)
            self.assertLess(self.timed(wire, 'RSET', 250), 0.5)

    def test_delay_holds_back_no_answer_before(self):
        """Commands in one packet: what was answered before the delay is not delayed."""
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            begin = time.monotonic()
            wire.send('NOOP\r\nMAIL FROM:<slowmail@x.test>\r\nNOOP\r\n')
            self.assertEqual(wire.reply().code, 250)
            self.assertLess(time.monotonic() - begin, 0.5)
            self.assertEqual(wire.reply().code, 250)
            self.assertGreaterEqual(time.monotonic() - begin, 0.59)
            self.assertEqual(wire.reply().code, 250)

    def test_client_goes_during_a_delay(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.send('MAIL FROM:<slowmail@x.test>\r\n')
        self.assertIn(b'220 ', self.raw('127.0.0.1'))

    # --- IP_ACCESS ---

    def test_ip_refused(self):
        word = kit.token()
        kit.send(self.port, 'x@none.example', source='127.0.0.5', subject=word)
        event = self.shared.wait_event('deliver', to='x@none.example')
        self.assertEqual((event['outcome'], event['status']), ('failed', '5.4.4'))
        self.assertNotIn('not to that one', event['text'])
        told = self.shared.wait_event('access', channel='tcp_none')
        self.assertEqual((told['reason'], told['probe']),
                         ('not to that one', 'tcp_none|1|1|127.0.0.32|[127.0.0.32]'))

    def test_ip_fault(self):
        kit.send(self.port, 'x@odd.example', source='127.0.0.5')
        event = self.shared.wait_event('deliver', to='x@odd.example')
        self.assertEqual((event['outcome'], event['status']), ('deferred', '4.3.5'))
        error = self.shared.wait_event('error', table='IP_ACCESS')
        self.assertIn('nowhere', error['reason'])

    def skips(self, host):
        word = kit.token()
        kit.send(self.port, 'x@%s.two.example' % host, source='127.0.0.5', subject=word)
        self.hop.find(word.encode())
        self.assertFalse(self.forbidden.received)

    def test_ip_skips_one_of_two_addresses(self):
        for _ in range(4):
            self.skips('both')

    def test_ip_skips_one_of_two_hosts(self):
        self.skips('mx')
        told = self.shared.wait_event('access', channel='tcp_two', result='skipped',
                                      probe='tcp_two|1|1|127.0.0.31|one.z.test')
        self.assertEqual(told['table'], 'IP_ACCESS')

    def test_ip_skips_all(self):
        kit.send(self.port, 'x@only.two.example', source='127.0.0.5')
        event = self.shared.wait_event('deliver', to='x@only.z.test')
        self.assertEqual((event['outcome'], event['status']), ('deferred', '4.4.1'))
        self.assertIn('IP_ACCESS', event['text'])

    def test_ip_replaced(self):
        word = kit.token()
        kit.send(self.port, 'x@moved.example', source='127.0.0.5', subject=word)
        self.hop.find(word.encode())
        self.shared.wait_event('access', channel='tcp_moved', result='replaced',
                               address='127.0.0.32')

    # --- explain ---

    def explained(self, sender, to, source):
        done = self.shared.tool('explain', to, '--from-ip', source, '--sender', sender,
                                '--helo', 'client.test', '--service', 'SMTP', '--json')
        answer = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if answer['accepted'] else 1)
        return answer

    def explains(self, sender, to, source='127.0.0.1'):
        """The reply and each string that a table was asked for are the daemon's."""
        answer = self.explained(sender, to, source)
        with kit.Wire(self.port, source=source, greeting=False) as wire:
            reply = wire.reply()
            if reply.code == 220:
                wire.ehlo()
                reply = wire.say('MAIL FROM:<%s>' % sender)
                if reply.code == 250:
                    reply = wire.say('RCPT TO:<%s>' % to)
        if answer['accepted']:
            self.assertEqual(reply.code, 250)
        else:
            told = answer['reply']
            self.assertEqual(reply, kit.Reply(told['code'], '%(status)s %(text)s' % told))
        for asked in answer['access']:
            if asked['result'] != 'refuse' and not asked['hold'] and not asked['discard']:
                continue
            rule = '%s:%d' % (asked['entry']['file'], asked['entry']['line'])
            if asked['table'] == 'PORT_ACCESS':
                self.shared.wait_event('access', table='PORT_ACCESS', rule=rule)
            elif asked['table'] in ('ORIG_SEND_ACCESS', 'SEND_ACCESS'):
                self.shared.wait_event('access', table=asked['table'], rule=rule,
                                       probe=asked['probe'])
            else:
                fields = asked['probe'].split('|')
                same = [e for e in self.shared.events('access', table=asked['table'], rule=rule)
                        if e['probe'].split('|')[:4] + e['probe'].split('|')[5:] ==
                        fields[:4] + fields[5:]]
                self.assertTrue(same, asked)


add_cases(Access, 'explain', [
    ('port', 'a@b.test', 'ann@router.test', '127.0.0.20'),
    ('port_accepted', 'a@b.test', 'ann@router.test', '127.0.0.25'),
    ('sender', 'refused@b.test', 'ann@router.test'),
    ('sender_later', 'later@b.test', 'ann@router.test'),
    ('sender_fault', 'odd@b.test', 'ann@router.test'),
    ('sender_null', '', 'ann@router.test'),
    ('open', 'a@b.test', 'open@far.example'),
    ('closed', 'a@b.test', 'other@far.example'),
    ('logged', 'a@b.test', 'logged@far.example'),
    ('late', 'a@b.test', 'late@far.example'),
    ('relay', 'a@b.test', 'x@elsewhere.test'),
    ('trusted', 'a@b.test', 'x@elsewhere.test', '127.0.0.5'),
    ('no', 'a@b.test', 'no@router.test'),
    ('quoted', 'a@b.test', '"no"@router.test'),
    ('temporary', 'a@b.test', 'temporary@router.test'),
    ('code', 'a@b.test', 'code@router.test'),
    ('bin', 'a@b.test', 'bin@router.test'),
    ('bars', '"a|b"@b.test', '"ann|bob"@router.test'),
    ('mail', 'a@b.test', 'mailno@router.test'),
    ('send', 'a@b.test', 'sendno@router.test'),
    ('mail_end', 'a@b.test', 'mailend@router.test'),
    ('percent', 'a@b.test', 'open%lost.example@router.test'),
], Access.explains)


class Stop(RouterTest):
    def test_daemon_stops_while_an_answer_waits(self):
        port = free_port()
        it = self.router(kit.site(['. $U%$H@tcp-daemon'], ['tcp_local smtp\ntcp-daemon'],
                                  [kit.service('SMTP', 'tcp_local', port)],
                                  files={'mappings': 'FROM_ACCESS\n\n  *  $D6000$Y\n'}))
        it.start()
        with kit.Wire(port) as wire:
            wire.ehlo()
            wire.send('MAIL FROM:<a@b.test>\r\n')
            it.wait_event('connect')
            time.sleep(0.3)
            begin = time.monotonic()
            self.assertEqual(it.stop(), 0)
            self.assertLess(time.monotonic() - begin, 5)
            self.assertEqual(wire.reply().code, 250)
            self.assertEqual(wire.reply().code, 421)

    def test_reload_brings_and_takes_tables(self):
        port = free_port()
        it = self.router(kit.site(['. $U%$H@tcp-daemon'], ['tcp_local smtp\ntcp-daemon'],
                                  [kit.service('SMTP', 'tcp_local', port)]))
        it.start()
        for text, code in (('PORT_ACCESS\n\n  *  $N\n', 554), ('OTHER\n\n  *  $N\n', 220)):
            it.write('mappings', text)
            before = len(it.events('reload'))
            it.hang_up()
            it.wait_event('reload', result='loaded')
            wait_until('a reload', lambda: len(it.events('reload')) > before)
            with kit.Wire(port, greeting=False) as wire:
                self.assertEqual(wire.reply().code, code)
