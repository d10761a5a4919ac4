"""TLS_CLIENT_POLICY: what the table says of a next hop holds on the wire: it raises, it lowers
where it says so, hosts and addresses only raise, and a table without a usable answer sends
nothing."""
import kit
from harness import Router, SharedRouterTest, free_port
from peers import Aiosmtpd, Nsd
from pki import NAME, pki

TABLE = '''TLS_CLIENT_POLICY

  tcp_out|raise.test|*|*|*|*    $Yprofile=ours,level=must,verify=host,pinned
  tcp_out|raisebad.test|*|*|*|*    $Yprofile=ours,level=must,verify=host
  tcp_out|must.test|*|*|*|*    $Ylevel=must
  tcp_strict|lower.test|*|*|*|*    $Ylevel=may,verify=none,lower
  tcp_strict|keep.test|*|*|*|*    $Ylevel=no,verify=none
  tcp_strict|no.test|*|*|*|*    $Ylevel=no,lower
  tcp_out|broken.test|*|*|*|*    $Yfallback=no
  *|*|raised.host.test|*|*|*    $Ylevel=must
  *|*|*|$(127.0.0.3/32)|*|*    $Ylevel=must
  *|*|weak.host.test|*|*|*    $Ylevel=no,verify=none$E
  tcp_out|behind.test|*|*|*|*    $Ylevel=must
  tcp_out|data*|*|*|*|*    ${data$0}
'''


class Policy(SharedRouterTest):
    @classmethod
    def make_router(cls):
        ours = pki()
        cls.clear = cls.class_peer(Aiosmtpd(tls='none'))
        port = cls.clear.port
        cls.good = cls.class_peer(Aiosmtpd(host='127.0.0.2', port=port,
                                           certificate=ours.pair('ecdsa')))
        cls.clear3 = cls.class_peer(Aiosmtpd(host='127.0.0.3', port=port, tls='none'))
        cls.bad = cls.class_peer(Aiosmtpd(host='127.0.0.4', port=port,
                                          certificate=ours.pair('other-ca')))
        cls.broken = cls.class_peer(Aiosmtpd(host='127.0.0.5', port=port, tls='broken'))
        mx = {'raise': NAME, 'raisebad': 'bad', 'must': 'clear', 'lower': 'clear', 'keep': 'clear',
              'no': 'good', 'broken': 'broken', 'host': 'raised', 'address': 'clear3',
              'behind': 'weak', 'free': 'clear', 'dataok': 'clear', 'databad': 'clear',
              'datanone': 'clear'}
        zone = ''.join('%s.test. MX 10 %s.\n'
                       % (d, h if '.' in h else h + '.host.test') for d, h in mx.items())
        for name, last in (('clear', 1), ('raised', 1), ('weak', 1), ('good', 2), ('clear3', 3),
                           ('bad', 4), ('broken', 5)):
            zone += '%s.host.test. A 127.0.0.%d\n' % (name, last)
        # the name that the certificate is for
        nsd = cls.class_peer(Nsd({'test': zone + '%s. A 127.0.0.2\n' % NAME}))
        words = 'smtp mx port %d nameservers 127.0.0.1@%d logging' % (port, nsd.port)
        strict = ['lower', 'keep', 'no']
        rules = ['%s.test $U%%$H$D@%s' % (d, 'tcp-strict' if d in strict else 'tcp-out')
                 for d in mx]
        cls.port = free_port()
        return Router(kit.site(
            rules + ['. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon', 'tcp_out maytlsclient %s\ntcp-out' % words,
             'tcp_strict musttlsclient tlsverifyhost tlsprofile ours %s\ntcp-strict' % words],
            [kit.service('SMTP', 'tcp_local', cls.port)], [d + '.test' for d in mx],
            files={'mappings': TABLE,
                   'general': 'dataok.test $Ylevel=must\ndatabad.test $Ylevel=always\n',
                   'tls.cnf': '[ours]\nca_file = %s\n' % ours.path('root.pem')}))

    def outcome(self, domain):
        word = kit.token()
        ident = kit.queue_id(kit.send(self.port, 'bob@%s.test' % domain, subject=word))
        return self.shared.wait_event('deliver', id=ident), word.encode()

    def check_delivered(self, domain, peer, summary, source):
        event, word = self.outcome(domain)
        self.assertEqual((event['outcome'], event['tls.summary'], event['tls.policy.source']),
                         ('delivered', summary, source), event)
        self.assertTrue([m for m in peer.received if word in m[2]])

    def check_deferred(self, domain, peer, status, text):
        event, word = self.outcome(domain)
        self.assertEqual((event['outcome'], event['status']), ('deferred', status), event)
        self.assertIn(text, event['text'])
        self.assertEqual([m for m in peer.received if word in m[2]], [])
        return event

    def test_no_entry(self):
        self.check_delivered('free', self.clear, 'may>clear', 'keyword')

    def test_raised(self):
        self.check_delivered('raise', self.good, 'must+host>host', 'mapping')

    def test_raised_and_not_verified(self):
        self.check_deferred('raisebad', self.bad, '4.7.5', 'does not verify')

    def test_must_and_not_offered(self):
        self.check_deferred('must', self.clear, '4.7.10', 'TLS is a must and not offered')

    def test_lowered(self):
        self.check_delivered('lower', self.clear, 'may>clear', 'mapping')
        self.check_delivered('no', self.good, 'no+host>clear', 'mapping')

    def test_not_lowered_without_the_word(self):
        event = self.check_deferred('keep', self.clear, '4.7.10', 'TLS is a must and not offered')
        self.assertEqual(event['tls.policy.source'], 'keyword')

    def test_no_fallback(self):
        event, word = self.outcome('broken')
        self.assertEqual(event['outcome'], 'deferred', event)
        self.assertEqual(self.shared.events('tls_downgrade', id=event['id']), [])

    def test_host_and_address_raise(self):
        self.check_deferred('host', self.clear, '4.7.10', 'TLS is a must and not offered')
        self.check_deferred('address', self.clear3, '4.7.10', 'TLS is a must and not offered')

    def test_host_takes_nothing_away(self):
        """An entry for the host stands first, says less, and ends the walk."""
        self.check_deferred('behind', self.clear, '4.7.10', 'TLS is a must and not offered')

    def test_data(self):
        self.check_deferred('dataok', self.clear, '4.7.10', 'TLS is a must and not offered')
        self.check_delivered('datanone', self.clear, 'may>clear', 'keyword')

    def test_no_usable_answer(self):
        """Nothing is sent, and the log names the entry."""
        event = self.check_deferred('databad', self.clear, '4.3.5', 'TLS_CLIENT_POLICY')
        fault = self.shared.wait_event('error', what='TLS policy')
        self.assertEqual((fault['id'], fault['domain']), (event['id'], 'databad.test'))
        self.assertIn("'always' is none of no, may, must", fault['reason'])
        self.assertTrue(fault['rule'].endswith('mappings:14'), fault)
