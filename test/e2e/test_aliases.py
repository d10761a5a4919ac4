"""Aliases, lists and FORWARD through the real daemon: who gets a message, once each, with
which sender; who is told of members that cannot get it; what is refused for now."""
import os

import kit
from harness import OPTION_DAT, RouterTest, free_port, wait_until
from peers import Aiosmtpd

RULES = ['router.test $U%router.test@router.test', 'far.test $U%$D@tcp-far',
         'part.test $U%$D@part.test', '.test $U%$H$D@tcp-far']
OURS = ['router.test', 'part.test']


class Aliases(RouterTest):
    def begin(self, aliases, files=None, options='', users=('ann', 'bob', 'postmaster'),
              part='', answers=None):
        self.port = free_port()
        self.far = self.peer(Aiosmtpd(tls='none', answers=answers))
        to = 'smtp nomx daemon 127.0.0.1 port %d logging' % self.far.port
        channels = ['tcp_local smtp logging\ntcp-daemon', 'tcp_far %s\ntcp-far' % to,
                    'tcp_part %s aliaslocal aliaspostmaster %s\npart.test'
                    % (to, part)]
        config = kit.site(RULES, channels, [kit.service('SMTP', 'tcp_local', self.port)], OURS,
                          files=dict(files or {}, aliases=aliases))
        self.it = self.router(config, users=users)
        if options:
            with open(self.it.path('conf', 'option.dat'), 'a') as f:
                f.write(options)
        self.it.start()

    def send(self, to, sender=kit.SENDER):
        """Sends a message to the recipients; the word it holds."""
        word = kit.token()
        kit.send(self.port, to, sender=sender, body='Subject: %s\r\n\r\nhello\r\n' % word)
        return word.encode()

    def refused(self, to, code, status, sender=kit.SENDER):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<%s>' % sender, 250)
            return wire.want('RCPT TO:<%s>' % to, code, status)

    def at_far(self, word):
        return [(m[0], m[1]) for m in self.far.received if word in m[2]]

    # --- aliases ---

    def test_names(self):
        self.begin('Ann.Smith: ann, "Bob (x)" <bob@router.test>, (work) ann@far.test\n'
                   'self: self, ann, ann\n', users=('ann', 'bob', 'self'))
        word = self.send(['ann.smith@router.test', 'bob@router.test', 'self@router.test'])
        for user in ('ann', 'bob', 'self'):
            self.it.find_mail(word, user)
        self.far.find(word)
        self.it.wait_status(queue_messages=0)
        for user in ('ann', 'bob', 'self'):
            self.assertEqual(len([m for m in self.it.mails(user) if word in m]), 1, user)
        self.assertEqual(self.at_far(word), [(kit.SENDER, ['ann@far.test'])])
        self.it.wait_event('route', to='ann.smith@router.test', by='aliases:1')

    def test_relay_rule_is_for_the_clients_address(self):
        self.begin('out: ann@far.test\n')
        self.refused('ann@far.test', 550, '5.7.1')
        self.far.find(self.send(['out@router.test']))

    def test_postmaster(self):
        self.begin('! nothing\n')
        self.it.find_mail(self.send(['postmaster@router.test']), 'postmaster')
        self.it.find_mail(self.send(['postmaster@part.test']), 'postmaster')
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<>', 250)
            wire.want('RCPT TO:<Postmaster>', 250)

    def test_postmaster_by_an_alias(self):
        self.begin('postmaster: ann\n')
        self.it.find_mail(self.send(['postmaster@part.test']), 'ann')

    def test_aliaslocal(self):
        self.begin('info@part.test: ann\n*@part.test: bob\nann@far.test: bob\n',
                   options='ALIAS_DOMAINS=6\n')
        self.it.find_mail(self.send(['info@part.test']), 'ann')
        self.it.find_mail(self.send(['other@part.test']), 'bob')

    def test_viaaliasrequired(self):
        self.begin('info@part.test: x@part.test\n', part='viaaliasrequired')
        self.refused('nobody@part.test', 550, '5.1.1')
        self.far.find(self.send(['info@part.test']))

    def test_subaddress(self):
        self.begin('ann: ann+*@far.test\nbob+*: ann@router.test\n')
        word = self.send(['ann+lists@router.test', 'ann@router.test', 'bob+x@router.test'])
        self.far.find(word)
        self.it.wait_status(queue_messages=0)
        (_, to), = self.at_far(word)
        self.assertEqual(sorted(to), ['ann+lists@far.test', 'ann@far.test'])

    def test_loops(self):
        self.begin('a: b\nb: a\ndeep0: ann\n' +
                   ''.join('deep%d: deep%d\n' % (i, i - 1) for i in range(1, 12)))
        self.refused('a@router.test', 550, '5.4.6')
        self.refused('deep11@router.test', 550, '5.4.6')
        self.it.find_mail(self.send(['deep9@router.test']))

    def test_chain_of_a_thousand(self):
        self.begin('c0: ann\n' + ''.join('c%d: c%d\n' % (i, i - 1) for i in range(1, 1000)),
                   options='MAX_ALIAS_LEVELS=1000\n')
        self.it.find_mail(self.send(['c999@router.test']))

    # --- lists ---

    def test_a_list_named_often(self):
        members = '\n'.join('m%d@far.test' % i for i in range(10000))
        self.begin('all: <lists/all\n', {'lists/all': members + '\n', 'option.dat':
                   OPTION_DAT.replace('WORKERS=2', 'WORKERS=1')})
        with kit.Wire(self.port, timeout=120) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<%s>' % kit.SENDER, 250)
            wire.send('RCPT TO:<all@router.test>\r\n' * 40)
            wire.reply()
            with kit.Wire(self.port) as other:  # not only when all of that is done
                other.ehlo()
            answered = len(self.it.events('refuse'))
            codes = [wire.reply().code for _ in range(39)]
            self.assertEqual(codes, 9 * [250] + 30 * [452])
            self.assertEqual(answered, 0)
            wire.want('RSET', 250)
            wire.mail('all@router.test')

    def test_bad_members_are_logged_once(self):
        bad = '\n'.join('m%d@nowhere.example' % i for i in range(1500))
        self.begin('all: <lists/all\n', {'lists/all': 'ann\n' + bad + '\n'})
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            for _ in range(3):
                wire.want('MAIL FROM:<%s>' % kit.SENDER, 250)
                wire.want('RCPT TO:<all@router.test>', 250)
                wire.want('RSET', 250)
            self.assertEqual(self.it.events('member'), [])
            wire.mail(['all@router.test', 'ALL@router.test'])
        self.it.wait_event('member', more='500')
        members = self.it.events('member', list='all')
        self.assertEqual(len(members), 1000)
        self.assertEqual(len({m['member'] for m in members}), 1000)

    def test_refused_members_do_not_fill_the_log(self):
        members = ''.join('m%d@far.test\n' % i for i in range(5000))
        self.begin('all: <lists/all\n', {'lists/all': 'ann\n' + members, 'mappings':
                   'SEND_ACCESS\n\n  *|*|tcp_far|*  $N\n  *  $Y\n'})
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<%s>' % kit.SENDER, 250)
            wire.want('RCPT TO:<all@router.test>', 250)
            wire.want('RCPT TO:<all@router.test>', 250)
        self.it.wait_event('access', more='5000')
        self.assertEqual(len(self.it.events('access', result='refused')), 100)
        self.assertEqual(len(self.it.events('access', more='4900')), 1)

    def test_ten_thousand_members(self):
        here = ['u%d' % i for i in range(50)]
        far = ['m%d@far.test' % i for i in range(6000)]
        hosts = ['h%d@d%d.test' % (i, i % 97) for i in range(3950)]
        members = here + far + hosts + far[:100] + ['U7@ROUTER.test'.lower()]
        self.begin('all: <lists/all, [ENVELOPE_FROM] all-owner\n',
                   {'lists/all': '\n'.join(members) + '\n'}, users=['ann'] + here)
        word = self.send(['all@router.test'])
        self.it.wait_status(60, queue_messages=0)
        got = [to for m in self.far.received for to in m[1]]
        self.assertEqual(len(got), len(far) + len(hosts))
        self.assertEqual(set(got), set(far + hosts))
        self.assertEqual({m[0] for m in self.far.received}, {'all-owner@router.test'})
        self.assertLessEqual(max(len(m[1]) for m in self.far.received), 100)
        for user in here:
            self.assertEqual(len(self.it.find_mails(word, 1, user)), 1)
        self.assertEqual(len(self.it.events('enqueue')), 1)
        self.assertEqual(self.it.events('enqueue')[0]['recipients'], '10000')

    def test_crash_in_a_list(self):
        here = ['u%d' % i for i in range(1000)]
        os.environ['UV_THREADPOOL_SIZE'] = '4'  # parts at a time
        self.addCleanup(os.environ.pop, 'UV_THREADPOOL_SIZE')
        self.begin('all: <lists/all\n', {'lists/all': '\n'.join(here) + '\n'},
                   users=['ann'] + here)

        def count(user):
            folder = self.it.path('mail', user, 'new')
            return len(os.listdir(folder)) if os.path.isdir(folder) else 0

        self.send(['all@router.test'])
        wait_until('most of them', lambda: sum(map(count, here)) >= 700)
        self.it.kill()
        self.it.start()
        self.it.wait_status(60, queue_messages=0)
        counts = [count(user) for user in here]
        self.assertEqual(min(counts), 1)
        self.assertLess(sum(counts) - len(here), 600)  # four parts, and not all

    def test_missing_file(self):
        self.begin('gone: <lists/gone\nouter: ann, gone\nann.x: ann\n')
        self.assertNotIn('lists', self.refused('gone@router.test', 451, '4.3.5').text)
        self.refused('outer@router.test', 451, '4.3.5')
        event = self.it.wait_event('error', what='recipient not expanded')
        self.assertEqual(event['at'], 'aliases:1')
        self.assertIn('lists/gone', event['reason'])
        self.it.find_mail(self.send(['ann.x@router.test']))
        self.it.write('lists/gone', 'ann\n')
        self.assertEqual(self.it.tool('reload').returncode, 0)
        self.it.find_mail(self.send(['gone@router.test']))

    def test_bad_members(self):
        self.begin('staff: <staff, [OWNER] bob\n',
                   {'staff': 'ann\nnobody\nx@nowhere.invalid\nno address\n'})
        word = self.send(['staff@router.test'])
        self.it.find_mail(word)
        report = self.it.find_mail(word, 'bob').decode()
        for bad in ('nobody', 'x@nowhere.invalid', 'no address'):
            self.assertIn('<%s>' % bad, report)
        self.assertIn('Return-Path: <>', report)
        self.assertIn("Bad addresses in staff", report)
        self.assertIn('Action: failed', report)
        self.assertEqual(sorted(e['at'] for e in self.it.events('member')),
                         ['staff:2', 'staff:3', 'staff:4'])
        self.assertEqual(self.it.wait_event('bounce')['list'], 'staff')

    def test_many_bad_members(self):
        bad = ['x%d@nowhere.invalid' % i for i in range(100)]
        self.begin('staff: <staff, [OWNER] bob\n',
                   {'staff': 'ann\n%s y\n' % ('long' * 900) + '\n'.join(bad) + '\n'})
        word = self.send(['staff@router.test'])
        report = self.it.find_mail(word, 'bob').decode()
        self.assertIn('and 61 more, which the log of this system names.', report)
        self.assertLess(max(len(line) for line in report.split('\n')), 998)
        self.assertEqual(len(self.it.events('member')), 101)

    def test_a_list_that_is_not_sent_to_tells_nobody(self):
        self.begin('staff: <staff, [OWNER] bob\n', {'staff': 'ann\nnobody\n'})
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            wire.want('RCPT TO:<staff@router.test>', 250)
            wire.want('RSET', 250)
            wire.mail('ann@router.test')
        self.it.wait_mails(1, 'ann')
        self.it.wait_status(queue_messages=0)
        self.assertEqual(self.it.events('bounce'), [])
        self.assertEqual(self.it.mails('bob'), [])

    def test_bad_members_of_lists_without_an_owner(self):
        self.begin('one: <staff, [ENVELOPE_FROM] ann\ntwo: bob, nobody\nthree: nobody, x@no.invalid\n',
                   {'staff': 'bob\nnobody\n'})
        word = self.send(['one@router.test'])
        self.assertIn('<nobody>', self.it.find_mail(word, 'ann').decode())
        word = self.send(['two@router.test'])
        self.assertIn('<nobody>', self.it.find_mail(word, 'postmaster').decode())
        self.refused('three@router.test', 550, '5.2.4')

    def test_failures_of_members_go_to_the_list(self):
        self.begin('news: <news, bob\nfwd: gone@far.test\n', {'news': 'gone@far.test\n'},
                   answers={'gone@far.test': '550 5.1.1 gone'})
        word = self.send(['news@router.test', 'ann@router.test'])
        report = self.it.find_mail(word, 'bob').decode()
        self.assertIn('gone@far.test', report)
        self.assertIn('To: <bob@router.test>', report)
        self.it.find_mail(word, 'ann')
        self.assertEqual(len(self.it.mails('ann')), 1)
        word = self.send(['fwd@router.test'], sender='ann@router.test')
        self.it.find_mail(b'could not be delivered', 'ann')

    def test_reports_follow_aliases(self):
        self.begin('sue: bob\n', answers={'RCPT': '550 5.1.1 gone'})
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.mail('x@part.test', sender='sue@router.test')
        self.it.find_mail(b'could not be delivered', 'bob')

    def test_who_may_post(self):
        self.begin('inner: <members, [AUTH_LIST] members\n'
                   'local: <members, [AUTH_CHANNEL] l tcp_in*\n'
                   'table: <members, [CANT_MAPPING] X_BANNED\n'
                   'mod: <members, [MODERATOR_ADDRESS] ann\n'
                   'either: <members, [AUTH_CHANNEL] l, [OR], [AUTH_LIST] members\n',
                   {'members': 'ann\nBob <bob@router.test>\n',
                    'mappings': 'X_BANNED\n\n  *@spam.test $Y\n'})
        self.refused('inner@router.test', 550, '5.7.2')
        self.refused('inner@router.test', 550, '5.7.2', sender='')
        self.it.find_mail(self.send(['inner@router.test'], sender='BOB@Router.test'))
        self.refused('local@router.test', 550, '5.7.2')
        self.refused('table@router.test', 550, '5.7.2', sender='x@spam.test')
        self.it.find_mail(self.send(['table@router.test']))
        self.refused('mod@router.test', 550, '5.7.2', sender='ann@router.test')
        self.refused('either@router.test', 550, '5.7.2')
        self.it.find_mail(self.send(['either@router.test'], sender='ann@router.test'))

    def test_size_limit(self):
        self.begin('small: <members, [LINELIMIT] 3, bob\n', {'members': 'ann\nann@far.test\n'})
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<ann@router.test>', 250)
            wire.want('RCPT TO:<ann@router.test>', 250)
            wire.want('RCPT TO:<small@router.test>', 250)
            wire.want('DATA', 354)
            wire.send(b'Subject: many\r\n\r\n1\r\n2\r\n3\r\n4\r\n.\r\n')
            self.assertEqual(wire.reply().code, 250)
        self.it.find_mail(b'LINELIMIT')  # the sender is told, not the list's owner
        self.assertEqual(self.it.mails('bob'), [])

    # --- FORWARD ---

    def test_forward(self):
        self.begin('old: gone@router.test\n',
                   {'mappings': 'FORWARD\n\n'
                                '  gone@router.test   $Yann@router.test$D\n'
                                '  keep@router.test   $Nann@router.test\n'
                                '  bob@router.test    $Y$Iann@router.test\n'
                                '  loop@router.test   $Y$Dloop2@router.test\n'
                                '  loop2@router.test  $Y$Dloop@router.test\n'
                                '  bad@router.test    $Yno$ address\n'
                                '  tls@router.test    $:T$Yann@router.test\n',
                    'forward': 'moved@router.test ann@far.test\n'},
                   options='USE_FORWARD_DATABASE=1\n')
        self.it.find_mail(self.send(['gone@router.test']))
        self.it.find_mail(self.send(['old@router.test']))
        self.far.find(self.send(['moved@router.test']))
        self.refused('keep@router.test', 550, '5.1.1')
        self.refused('tls@router.test', 550, '5.1.1')
        self.refused('loop@router.test', 550, '5.4.6')
        self.refused('bad@router.test', 451, '4.3.5')
        self.assertEqual(self.it.wait_event('error', what='recipient not expanded')['at'],
                         'mappings:8')
        self.send(['bob@router.test'])
        self.assertIn('FORWARD', self.it.wait_event('hold')['reason'])

    def test_forward_by_source(self):
        self.begin('! none\n', {
            'mappings': 'FORWARD\n\n'
                        '  tcp_local|*@a|b@far.test|bob@router.test  $Yann@router.test\n'
                        '  tcp_local|sue@*|l|bob@router.test         $Yann@far.test\n'},
            options='USE_FORWARD_DATABASE=80\n')
        self.far.find(self.send(['bob@router.test'], sender='sue@far.test'))
        self.it.find_mail(self.send(['bob@router.test'], sender='jim@far.test'), 'bob')

    # --- the tool says what the daemon does ---

    def test_tool(self):
        self.begin('staff: <staff, [ENVELOPE_FROM] ann\n', {'staff': 'bob\nx@no.invalid\n'})
        out = self.it.tool('alias', 'staff').stdout
        self.assertRegex(out, r'-> alias staff   aliases:1   members in staff   '
                              r'sender <ann@router.test>')
        self.assertRegex(out, r'bob   staff:1   -> bob@router.test   channel l')
        self.assertRegex(out, r'x@no.invalid   staff:2   -> BAD: 5.1.2')
        answer = kit.json_line(self.it.tool('alias', 'staff', '--json').stdout)
        self.assertEqual((answer['addresses'], answer['bad']), (1, 1))
        self.assertEqual([s['kind'] for s in answer['steps']], ['alias', 'address', 'bad'])
        explained = self.it.tool('explain', 'staff', '--from-ip', '127.0.0.1').stdout
        self.assertRegex(explained, r'-> alias staff')
