"""Every sentence of how a session gets its channel: the service's, the IP switch at
accept, the TLS switch once, and what holds from then on. Clients are told apart by their
source address in 127/8."""
import kit
from harness import Router, RouterTest, SharedRouterTest, add_cases, free_port

# Channels show themselves by the name they greet with (local host alias).
ALIAS = 'tcp_{0} smtp {1} logging\ntcp-{0}-daemon {0}.alias.test'


def channel(name, words):
    return ALIAS.format(name, words)


class Switching(SharedRouterTest):
    RULES = [
        '[127.0.0.5] $E$R$U%[127.0.0.5]@tcp-intra-daemon',
        '[127.0.9.] $E$R$U%[127.0.9.$L]@tcp-net-daemon',
        '[127.0.9.7] $E$R$U%[127.0.9.7]@tcp-exact-daemon',
        '[127.0.0.6] $E$R$U%[127.0.0.6]@tcp-never-daemon',
        '[127.0.0.7] $E$F$U%[127.0.0.7]@tcp-intra-daemon',
        '[127.0.0.8] $B$R$U%[127.0.0.8]@tcp-intra-daemon',
        '[127.0.0.9] $E$R$U%[127.0.0.9]@tcp-local-daemon',
        '[127.0.0.10] $E$R$U%[127.0.0.10]@tcp-must-daemon',
        '[127.0.0.11] $E$R$U%[127.0.0.11]@tcp-start-daemon',
        '[127.0.0.12] $E$R$U%[127.0.0.12]@tcp-plain-daemon',
        '. $U%$H@tcp-default-daemon',
    ]
    CHANNELS = [
        channel('default', ''),
        channel('local', 'switchchannel maytls tlsswitchchannel tcp_tls'),
        channel('tls', 'maytls'),
        channel('intra', 'maytls tlsswitchchannel tcp_intra_tls'),
        channel('intra_tls', 'musttls noswitchchannel'),
        channel('net', 'maytls'),
        channel('exact', 'maytls'),
        channel('never', 'maytls noswitchchannel'),
        channel('must', 'musttlsserver'),
        channel('start', 'switchchannel maytls'),
        channel('plain', 'notlsserver'),
        # not starting points of the IP switch
        channel('fixed', 'noswitchchannel maytls tlsswitchchannel tcp_tls'),
        channel('allow', 'allowswitchchannel maytls'),
        # a chain: only its first step is taken
        channel('chain', 'maytls tlsswitchchannel tcp_link'),
        channel('link', 'maytls tlsswitchchannel tcp_end'),
        channel('end', 'maytls'),
        # targets of the TLS switch
        channel('to_no', 'maytls tlsswitchchannel tcp_plain'),
        channel('to_must', 'maytls tlsswitchchannel tcp_must'),
        # implicit TLS, whatever the channel says
        channel('imp_no', 'switchchannel notlsserver tlsswitchchannel tcp_tls'),
        channel('imp_must', 'switchchannel musttlsserver'),
    ]
    STARTS = ('local', 'fixed', 'allow', 'chain', 'to_no', 'to_must', 'imp_no', 'imp_must')

    @classmethod
    def make_router(cls):
        cls.port, cls.tls_port, services = {}, {}, []
        for name in cls.STARTS:
            cls.port[name], cls.tls_port[name] = free_port(), free_port()
            services.append(kit.service(name.upper(), 'tcp_' + name, cls.port[name],
                                        cls.tls_port[name]))
        return Router(kit.site(cls.RULES, cls.CHANNELS, services))

    def session(self):
        """The last one: the cases of a module run one after another."""
        return self.shared.events('connect')[-1]['session']

    def switches(self):
        session = self.session()
        return [(s['from'][4:], s['to'][4:], s['by'])
                for s in self.shared.events('switch', session=session)]

    # --- the whole way of a session ---

    def way(self, start, source, clear, inside, steps):
        """clear: the channel at accept; inside: that after STARTTLS; steps: the
        switches in the log."""
        word = kit.token()
        with kit.Wire(self.port[start], source=source) as wire:
            self.assertEqual(wire.greeting.text.split()[0], clear + '.alias.test')
            words = wire.ehlo()
            self.assertEqual(words[''], clear + '.alias.test')
            if inside:
                wire.starttls()
                words = wire.ehlo()
                self.assertEqual(words[''], inside + '.alias.test')
                self.assertNotIn('STARTTLS', words)
            wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % word)
        self.assertEqual(self.switches(), steps)
        self.arrived(word, inside or clear)

    def arrived(self, word, name):
        mail = self.shared.find_mail(word.encode())
        self.assertRegex(mail, (r'channel tcp_%s\)\s' % name).encode())
        event = self.shared.wait_event('enqueue', session=self.session())
        self.assertEqual(event.get('channel', 'tcp_' + name), 'tcp_' + name)

    def implicit(self, start, source, at_last, steps):
        """The TLS switch comes before the greeting."""
        word = kit.token()
        with kit.Wire(self.tls_port[start], source=source, tls=True) as wire:
            self.assertEqual(wire.greeting.text.split()[0], at_last + '.alias.test')
            words = wire.ehlo()
            self.assertEqual(words[''], at_last + '.alias.test')
            self.assertNotIn('STARTTLS', words)
            wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % word)
        self.assertEqual(self.switches(), steps)
        self.arrived(word, at_last)

    # --- details ---

    def test_switch_names_its_rule(self):
        with kit.Wire(self.port['local'], source='127.0.0.5') as wire:
            wire.ehlo()
            wire.starttls()
            wire.ehlo()
        by_ip, by_tls = self.shared.events('switch', session=self.session())
        self.assertTrue(by_ip['rule'].endswith('pointsman.cnf:1'), by_ip)
        self.assertRegex(by_tls['rule'], r'pointsman\.cnf:\d+$')
        line = int(by_tls['rule'].split(':')[-1])
        with open(self.shared.path('conf', 'pointsman.cnf')) as file:
            self.assertTrue(file.readlines()[line - 1].startswith('tcp_intra '))

    def test_certificate_before_greeting_is_of_the_switched_channel(self):
        """The handshake is logged on the channel after the IP switch, before the TLS
        switch."""
        with kit.Wire(self.tls_port['local'], source='127.0.0.5', tls=True):
            pass
        tls = self.shared.wait_event('tls', session=self.session())
        self.assertEqual(tls['channel'], 'tcp_intra')

    def test_starttls_keyword_of_the_new_channel(self):
        """The service's channel offers TLS, the target of the IP switch does not."""
        with kit.Wire(self.port['local'], source='127.0.0.12') as wire:
            self.assertNotIn('STARTTLS', wire.ehlo())
            wire.want('STARTTLS', 502)

    def test_must_of_the_new_channel(self):
        """The target of the IP switch insists on TLS."""
        with kit.Wire(self.port['local'], source='127.0.0.10') as wire:
            self.assertIn('STARTTLS', wire.ehlo())
            wire.want('MAIL FROM:<a@b.test>', 530, '5.7.0')
            wire.starttls()
            wire.ehlo()
            wire.want('MAIL FROM:<a@b.test>', 250)

    def test_offer_of_the_new_channel_where_the_service_has_none(self):
        with kit.Wire(self.port['imp_no'], source='127.0.0.5') as wire:
            self.assertIn('STARTTLS', wire.ehlo())
            wire.starttls()
            self.assertEqual(wire.ehlo()[''], 'intra_tls.alias.test')

    def test_not_advertised_where_the_service_has_none(self):
        with kit.Wire(self.port['imp_no']) as wire:
            self.assertNotIn('STARTTLS', wire.ehlo())
            wire.want('STARTTLS', 502)

    def test_target_notlsserver_stays_inside_tls(self):
        with kit.Wire(self.port['to_no']) as wire:
            wire.ehlo()
            wire.starttls()
            self.assertNotIn('STARTTLS', wire.ehlo())
            wire.want('STARTTLS', 503)
            wire.want('NOOP', 250)
            self.assertIsNotNone(wire.socket.version())

    def test_lint_of_a_chain(self):
        done = self.shared.tool('check')
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"warning: .*tcp_link.*tlsswitchchannel|"
                         r"warning: .*tlsswitchchannel.*tcp_link|"
                         r"warning: .*tcp_chain.*followed")

    def test_ip_switch_is_once(self):
        """tcp_start is a starting point itself; nothing goes on from there."""
        with kit.Wire(self.port['local'], source='127.0.0.11') as wire:
            self.assertEqual(wire.ehlo()[''], 'start.alias.test')


add_cases(Switching, 'way', [
    ('service channel', 'local', None, 'local', None, []),
    ('tls', 'local', None, 'local', 'tls', [('local', 'tls', 'tls')]),
    ('ip', 'local', '127.0.0.5', 'intra', None, [('local', 'intra', 'ip')]),
    ('ip then tls', 'local', '127.0.0.5', 'intra', 'intra_tls',
     [('local', 'intra', 'ip'), ('intra', 'intra_tls', 'tls')]),
    ('ip then tls without target', 'local', '127.0.9.1', 'net', 'net',
     [('local', 'net', 'ip')]),
    ('ip by network', 'local', '127.0.9.200', 'net', None, [('local', 'net', 'ip')]),
    ('ip exact before network', 'local', '127.0.9.7', 'exact', None,
     [('local', 'exact', 'ip')]),
    ('ip target noswitchchannel', 'local', '127.0.0.6', 'local', None, []),
    ('ip start noswitchchannel', 'fixed', '127.0.0.5', 'fixed', None, []),
    ('ip start allowswitchchannel', 'allow', '127.0.0.5', 'allow', None, []),
    ('noswitchchannel start does not forbid tls', 'fixed', '127.0.0.5', 'fixed', 'tls',
     [('fixed', 'tls', 'tls')]),
    ('rule for recipients only', 'local', '127.0.0.7', 'local', None, []),
    ('rule for headers only', 'local', '127.0.0.8', 'local', None, []),
    ('rule to the same channel', 'local', '127.0.0.9', 'local', None, []),
    ('match all never switches', 'local', '127.0.0.99', 'local', None, []),
    ('tls once', 'chain', None, 'chain', 'link', [('chain', 'link', 'tls')]),
    ('tls target notlsserver', 'to_no', None, 'to_no', 'plain',
     [('to_no', 'plain', 'tls')]),
    ('tls target musttlsserver', 'to_must', None, 'to_must', 'must',
     [('to_must', 'must', 'tls')]),
    ('tls target noswitchchannel', 'local', '127.0.0.5', 'intra', 'intra_tls',
     [('local', 'intra', 'ip'), ('intra', 'intra_tls', 'tls')]),
], Switching.way)

add_cases(Switching, 'implicit', [
    ('tls', 'local', None, 'tls', [('local', 'tls', 'tls')]),
    ('notlsserver', 'imp_no', None, 'tls', [('imp_no', 'tls', 'tls')]),
    ('musttlsserver', 'imp_must', None, 'imp_must', []),
    ('without target', 'allow', None, 'allow', []),
    ('ip then tls', 'local', '127.0.0.5', 'intra_tls',
     [('local', 'intra', 'ip'), ('intra', 'intra_tls', 'tls')]),
    ('ip to notlsserver', 'local', '127.0.0.12', 'plain', [('local', 'plain', 'ip')]),
    ('ip from notlsserver', 'imp_no', '127.0.9.3', 'net', [('imp_no', 'net', 'ip')]),
    ('noswitchchannel start', 'fixed', '127.0.0.5', 'tls', [('fixed', 'tls', 'tls')]),
    ('once', 'chain', None, 'link', [('chain', 'link', 'tls')]),
    ('target notlsserver', 'to_no', None, 'plain', [('to_no', 'plain', 'tls')]),
], Switching.implicit)


class Lint(RouterTest):
    """tlsswitchchannel on a notlsserver channel warns only if no TLS_PORT service can
    start there."""

    def lint(self, rules, start, services, warns):
        router = self.router(kit.site(
            rules + ['. $U%$H@tcp-daemon'],
            ['tcp_start smtp %s\ntcp-start-daemon' % start,
             'tcp_odd smtp notlsserver tlsswitchchannel tcp_tls\ntcp-odd-daemon',
             'tcp_tls smtp\ntcp-tls-daemon', 'tcp_local smtp\ntcp-daemon'],
            services))
        done = router.tool('check')
        self.assertEqual(done.returncode, 0, done.stdout)
        lines = [l for l in done.stdout.splitlines()
                 if 'warning:' in l and '[tls-switch-unreachable]' in l]
        self.assertEqual(len(lines), 1 if warns else 0, done.stdout)


SWITCH = ['[127.0.0.5] $E$R$U%[127.0.0.5]@tcp-odd-daemon']
START = kit.service('S', 'tcp_start', 2525)
add_cases(Lint, 'notlsserver', [
    ('no service there', [], '', [START], True),
    ('port there', [], '', [START, kit.service('O', 'tcp_odd', 2526)], True),
    ('tls port there', [], '', [START, kit.service('O', 'tcp_odd', tls_port=2526)], False),
    ('port by ip switch', SWITCH, 'switchchannel', [START], True),
    ('tls port by ip switch', SWITCH, 'switchchannel',
     [kit.service('S', 'tcp_start', 2525, 2526)], False),
    ('tls port without ip switch', SWITCH, '',
     [kit.service('S', 'tcp_start', 2525, 2526)], True),
], Lint.lint)
