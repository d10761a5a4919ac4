"""interfaceaddress: from an address of one family only hosts of that family are tried."""
import kit
from harness import RouterTest, free_port
from peers import Aiosmtpd, Nsd

ZONE = """\
both.z.test. AAAA ::1
both.z.test. A 127.0.0.2
six.z.test. AAAA ::1
"""
SOURCE = '127.0.0.77'


class InterfaceAddress(RouterTest):
    def setUp(self):
        names = self.peer(Nsd({'z.test': ZONE}))
        self.hop = self.peer(Aiosmtpd(tls='none', host='127.0.0.2'))
        self.port = free_port()
        self.it = self.router(kit.site(
            ['.z.test $U%$H$D@tcp-out', '[] $U%[$L]@tcp-out'],
            ['tcp_local smtp\ntcp-local',
             'tcp_out smtp nomx logging port %d nameservers 127.0.0.1@%d interfaceaddress %s\n'
             'tcp-out' % (self.hop.port, names.port, SOURCE)],
            [kit.service('SMTP', 'tcp_local', self.port)], ['.z.test', '[IPv6:::1]'])).start()

    def outcome(self, to):
        ident = kit.queue_id(kit.send(self.port, to))
        return self.it.wait_event('deliver', id=ident), self.it.events('attempt', id=ident)

    def test_the_other_family_is_passed_over(self):
        delivered, attempts = self.outcome('bob@both.z.test')
        self.assertEqual(delivered['outcome'], 'delivered', delivered)
        self.assertEqual(attempts, [])

    def test_only_the_other_family(self):
        for to in ('bob@six.z.test', 'bob@[IPv6:::1]'):
            deferred, attempts = self.outcome(to)
            self.assertEqual(deferred['outcome'], 'deferred', deferred)
            self.assertIn('interfaceaddress ' + SOURCE, deferred['text'])
            self.assertEqual(attempts, [])
