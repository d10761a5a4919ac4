"""What broke the daemon, or nearly, when it was attacked; each case failed before it was
put right."""
import kit
from harness import RouterTest, add_cases, free_port
from peers import Nsd, Scripted


class Switches(RouterTest):
    """A session that is switched to a channel that is no SMTP channel still has the TLS of
    the one that listens."""

    def run_case(self, kind, implicit):
        port, tls_port = free_port(), free_port()
        blocks = {'l': 'l maytlsserver\nrouter.test',
                  'bitbucket': 'bitbucket maytlsserver\nbitbucket-daemon'}
        host = blocks[kind].split('\n')[1]
        router = self.router(kit.site(
            ['[127.0.0.2] $U%$D@' + host],
            ['l\nrouter.test', blocks[kind]][kind == 'l':] +
            ['tcp_local smtp maytlsserver switchchannel\ntcp-daemon'],
            [kit.service('SMTP', 'tcp_local', port, tls_port)])).start()
        word = kit.token()
        kit.send(tls_port if implicit else port, 'ann@router.test', source='127.0.0.2',
                 tls='implicit' if implicit else 'starttls', subject=word)
        router.find_mail(word.encode())
        router.wait_event('switch', to=kind, by='ip')


add_cases(Switches, 'to', [('l starttls', 'l', False), ('l implicit', 'l', True),
                           ('bitbucket starttls', 'bitbucket', False),
                           ('bitbucket implicit', 'bitbucket', True)], Switches.run_case)


class Reload(RouterTest):
    def test_certificate_and_listener_gone(self):
        """The new configuration needs no certificate, for nothing listens on the channel of
        the open session any more. STARTTLS there must not end the daemon."""
        port, other = free_port(), free_port()
        channels = ['tcp_local smtp maytlsserver\ntcp-daemon', 'tcp_clear smtp\nclear-daemon']
        files = [kit.site([], channels, [kit.service('SMTP', channel, p)])
                 for channel, p in (('tcp_local', port), ('tcp_clear', other))]
        router = self.router(files[0]).start()
        with kit.Wire(port) as wire:
            self.assertIn('STARTTLS', wire.ehlo())
            router.write('dispatcher.cnf', files[1]['dispatcher.cnf'])
            router.write('tls.cnf', None)
            self.assertEqual(router.tool('reload').returncode, 0)
            wire.send('NOOP\r\n')
            self.assertEqual([wire.reply().code, wire.reply().code], [250, 421])
            self.assertTrue(wire.is_closed())
        kit.send(other, 'ann@router.test')
        router.wait_mails(1)


class Hosts(RouterTest):
    def test_refused_by_one_the_other_unknown(self):
        """One host refuses for good, the name of the other cannot be looked up now: it may
        take the message later."""
        port = free_port()
        hop = self.peer(Scripted(greeting=b'554 5.3.2 not me\r\n'))
        names = self.peer(Nsd({'z.test': 'mx1.z.test. A 127.0.0.1\n'
                                         'two.z.test. MX 10 mx1.z.test.\n'
                                         'two.z.test. MX 20 host.lame.test.\n'
                                         'one.z.test. MX 10 mx1.z.test.\n'}))
        router = self.router(kit.site(
            ['.z.test $U%$H.z.test@tcp-out-daemon'],
            ['tcp_local smtp\ntcp-daemon',
             'tcp_out smtp mx port %d nameservers 127.0.0.1@%d logging\ntcp-out-daemon'
             % (hop.port, names.port)],
            [kit.service('SMTP', 'tcp_local', port)], ['.z.test'])).start()
        for name, outcome in (('two', 'deferred'), ('one', 'failed')):
            ident = kit.queue_id(kit.send(port, 'sam@%s.z.test' % name, sender=''))
            event = router.wait_event('deliver', id=ident)
            self.assertEqual((event['outcome'], event['code']), (outcome, '554'), event)

    def test_many_addresses_left_untried(self):
        """One attempt tries sixteen addresses. That those refused for good says nothing
        about the seventeenth."""
        port, hop_port = free_port(), free_port()
        hops = [self.peer(Scripted('127.0.1.%d' % i, hop_port, greeting=b'554 5.3.2 not me\r\n'))
                for i in range(1, 18)]
        hosts = ''.join('mx%d.z.test. A 127.0.1.%d\n' % (i, i) for i in range(1, 18))
        many = ''.join('many.z.test. MX %d mx%d.z.test.\n' % (i, i) for i in range(1, 18))
        few = ''.join('few.z.test. MX %d mx%d.z.test.\n' % (i, i) for i in range(1, 17))
        names = self.peer(Nsd({'z.test': hosts + many + few}))
        router = self.router(kit.site(
            ['.z.test $U%$H.z.test@tcp-out-daemon'],
            ['tcp_local smtp\ntcp-daemon',
             'tcp_out smtp mx port %d nameservers 127.0.0.1@%d logging\ntcp-out-daemon'
             % (hop_port, names.port)],
            [kit.service('SMTP', 'tcp_local', port)], ['.z.test'])).start()
        for name, outcome in (('many', 'deferred'), ('few', 'failed')):
            ident = kit.queue_id(kit.send(port, 'sam@%s.z.test' % name, sender=''))
            event = router.wait_event('deliver', id=ident)
            self.assertEqual((event['outcome'], event['code']), (outcome, '554'), event)
        self.assertEqual(hops[16].connections, 0)
