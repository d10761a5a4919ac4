"""Next hops from the DNS, asked of a real name server (nsd) on loopback: MX, A and AAAA,
what does not exist, and what cannot be asked. All hosts of a test listen on one port and
are told apart by their addresses."""
import os
import unittest

import kit
from harness import Router, SharedRouterTest, add_cases, free_port
from peers import Aiosmtpd, Nsd, Scripted

# .2 and .3 answer, nobody listens on .9
ZONE = """\
mx2.z.test. A 127.0.0.2
mx3.z.test. A 127.0.0.3
down.z.test. A 127.0.0.9
both.z.test. A 127.0.0.9
both.z.test. A 127.0.0.3
six.z.test. AAAA ::1
sixfour.z.test. AAAA ::1
sixfour.z.test. A 127.0.0.9
empty.z.test. TXT "nothing to connect to"

prefer.z.test. MX 20 mx3.z.test.
prefer.z.test. MX 10 mx2.z.test.
fallback.z.test. MX 10 down.z.test.
fallback.z.test. MX 20 mx3.z.test.
equal.z.test. MX 10 mx2.z.test.
equal.z.test. MX 10 mx3.z.test.
null.z.test. MX 0 .
alldown.z.test. MX 10 down.z.test.
manyaddresses.z.test. MX 10 both.z.test.
mxsix.z.test. MX 10 six.z.test.
mxsixfour.z.test. MX 10 sixfour.z.test.
deadname.z.test. MX 10 nowhere.z.test.
deadname.z.test. MX 20 mx2.z.test.
alldead.z.test. MX 10 nowhere.z.test.
alldead2.z.test. MX 10 nowhere.z.test.
alldead2.z.test. MX 20 nowhere2.z.test.
emptymx.z.test. MX 10 empty.z.test.
lamemx.z.test. MX 10 host.lame.test.
lamefirst.z.test. MX 10 host.lame.test.
lamefirst.z.test. MX 20 mx2.z.test.
self.z.test. MX 10 router.test.
selffirst.z.test. MX 10 router.test.
selffirst.z.test. MX 20 mx2.z.test.
selfequal.z.test. MX 10 router.test.
selfequal.z.test. MX 10 mx2.z.test.
selflast.z.test. MX 10 mx2.z.test.
selflast.z.test. MX 20 router.test.
selflast.z.test. MX 30 mx3.z.test.
selfdown.z.test. MX 10 down.z.test.
selfdown.z.test. MX 20 router.test.
selfdown.z.test. MX 30 mx3.z.test.
selfalias.z.test. MX 10 out.alias.test.
UPPER.z.test. MX 10 MX2.Z.Test.
alias.z.test. CNAME prefer.z.test.
aliasa.z.test. CNAME mx3.z.test.
aonly.z.test. A 127.0.0.2
a6only.z.test. AAAA ::1
amx.z.test. A 127.0.0.3
amx.z.test. MX 10 mx2.z.test.
*.wild.z.test. MX 10 mx3.z.test.
mxofmx.z.test. MX 10 prefer.z.test.
loop1.z.test. CNAME loop2.z.test.
loop2.z.test. CNAME loop1.z.test.
""" + ''.join('many.z.test. MX %d n%d.z.test.\nn%d.z.test. A 127.0.0.9\n' % (i, i, i)
              for i in range(1, 13)) + """\
many.z.test. MX 50 mx2.z.test.
refuses.z.test. A 127.0.0.4
refusesdown.z.test. MX 10 refuses.z.test.
refusesdown.z.test. MX 20 down.z.test.
""" + ''.join('crowd.z.test. MX %d c%d.z.test.\nc%d.z.test. A 127.0.0.9\n' % (i, i, i)
              for i in range(1, 26)) + """\
nullplus.z.test. MX 0 .
nullplus.z.test. MX 10 mx2.z.test.
ttl0.z.test. 0 MX 10 mx2.z.test.
mxalias.z.test. MX 10 aliasa.z.test.
mxaddress.z.test. MX 10 127.0.0.2.
hundred.z.test. MX 5 mx2.z.test.
""" + ''.join('hundred.z.test. MX 10 a-name-that-fills-the-answer-%d.z.test.\n' % i
              for i in range(99))


def hosts_name():
    """A name, not localhost, that /etc/hosts of this machine gives to 127.0.0.1. A bare
    system may have no such file."""
    if not os.path.exists('/etc/hosts'):
        return None
    with open('/etc/hosts') as file:
        for line in file:
            words = line.split('#')[0].split()
            for name in words[1:]:
                if words[0] == '127.0.0.1' and not name.startswith('localhost'):
                    return name
    return None


class Dns(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.nsd = cls.class_peer(Nsd({'z.test': ZONE}))
        cls.smtp, cls.port, dead = free_port(), free_port(), free_port()
        cls.hosts = {host: cls.class_peer(Aiosmtpd(tls='none', host=host, port=cls.smtp))
                     for host in ('127.0.0.1', '127.0.0.2', '127.0.0.3', '::1')}
        cls.class_peer(Scripted(host='127.0.0.4', port=cls.smtp,
                                greeting=b'554 5.7.1 no mail from you\r\n'))
        server = 'nocache nameservers 127.0.0.1@%d port %d logging' % (cls.nsd.port, cls.smtp)
        return Router(kit.site(
            ['.nomx.test $U%$H.z.test@tcp-nomx-daemon', '.default.test $U%$H.z.test@tcp-def-daemon',
             '.dead.test $U%$H.z.test@tcp-dead-daemon', '.two.test $U%$H.z.test@tcp-two-daemon',
             '.order.test $U%$H.z.test@tcp-order-daemon',
             '.random.test $U%$H.z.test@tcp-random-daemon',
             '.nodns.test $U%$H.z.test@tcp-nodns-daemon', '.last.test $U%$H.z.test@tcp-last-daemon',
             'lame.last.test $U%host.lame.test@tcp-last-daemon',
             '.lastip.test $U%$H.z.test@tcp-lastip-daemon',
             '.lastdead.test $U%$H.z.test@tcp-lastdead-daemon',
             '.lastself.test $U%$H.z.test@tcp-lastself-daemon',
             'localhost $U%localhost@tcp-nodns-daemon',
             'file.test $U%%%s@tcp-nodns-daemon' % (hosts_name() or 'localhost'),
             'system.test $U%%%s@tcp-sys-daemon' % (hosts_name() or 'localhost'),
             '[127.0.0.9] $U%[127.0.0.9]@tcp-last-daemon',
             '.daemon.test $U%$H$D@tcp-hub-daemon', '. $U%$H@tcp-out-daemon'],
            ['tcp_local smtp switchchannel\ntcp-daemon',
             'tcp_out smtp mx %s\ntcp-out-daemon out.alias.test' % server,
             'tcp_nomx smtp nomx %s\ntcp-nomx-daemon' % server,
             'tcp_def smtp %s\ntcp-def-daemon' % server,
             'tcp_hub smtp mx daemon prefer.z.test %s\ntcp-hub-daemon' % server,
             'tcp_dead smtp mx nameservers 127.0.0.1@%d port %d logging\ntcp-dead-daemon'
             % (dead, cls.smtp),
             'tcp_order smtp nonrandommx %s\ntcp-order-daemon' % server,
             'tcp_random smtp randommx %s\ntcp-random-daemon' % server,
             'tcp_nodns smtp nodns %s\ntcp-nodns-daemon' % server,
             'tcp_last smtp mx lastresort mx3.z.test %s\ntcp-last-daemon' % server,
             'tcp_lastip smtp mx lastresort [127.0.0.3] %s\ntcp-lastip-daemon' % server,
             'tcp_lastdead smtp mx lastresort nowhere.z.test %s\ntcp-lastdead-daemon' % server,
             'tcp_lastself smtp mx lastresort router.test %s\ntcp-lastself-daemon' % server,
             'tcp_sys smtp nomx nameservers 127.0.0.1@%d defaultnameservers port %d logging\n'
             'tcp-sys-daemon' % (dead, cls.smtp),
             'tcp_two smtp mx nameservers 127.0.0.1@%d 127.0.0.1@%d port %d logging\n'
             'tcp-two-daemon' % (dead, cls.nsd.port, cls.smtp)],
            [kit.service('SMTP', 'tcp_local', cls.port)],
            ['.z.test', '.lame.test', '.nomx.test', '.default.test', '.dead.test', '.two.test',
             '.daemon.test', '.elsewhere.test', '.order.test', '.random.test', '.nodns.test',
             '.last.test', '.lastip.test', '.lastdead.test', '.lastself.test', 'localhost',
             'file.test', 'system.test', hosts_name() or 'localhost2', '[127.0.0.9]']))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # the resolver takes its time to find a server dead: asked first, looked at last
        cls.dead = kit.queue_id(kit.send(cls.port, 'bob@prefer.dead.test', sender=''))

    def test_zz_dead_name_server(self):
        event = self.shared.wait_event('deliver', timeout=40, id=self.dead)
        self.assertEqual((event['outcome'], event['status']), ('deferred', '4.4.3'))

    def send(self, domain):
        word = kit.token()
        ident = kit.queue_id(kit.send(self.port, 'bob@' + domain, sender='', subject=word))
        return self.shared.wait_event('deliver', timeout=40, id=ident), word.encode()

    def goes_to(self, domain, host):
        event, word = self.send(domain)
        self.assertEqual(event['outcome'], 'delivered', event)
        at = [name for name, peer in self.hosts.items()
              if any(word in m[2] for m in peer.received)]
        self.assertEqual(at, [host])

    def ends(self, domain, outcome, status):
        event, _ = self.send(domain)
        self.assertRegex(event['outcome'], outcome, event)
        self.assertRegex(event['status'], status, event)
        self.assertTrue(event['text'], event)

    def equal(self, domain, hosts):
        """Twelve messages, two hosts of equal preference: so many of them get some. (The
        chance that one of two gets all is 1 in 2048.)"""
        before = {h: len(self.hosts[h].received) for h in ('127.0.0.2', '127.0.0.3')}
        for _ in range(12):
            event, _ = self.send(domain)
            self.assertEqual(event['outcome'], 'delivered')
        used = [h for h, count in before.items() if len(self.hosts[h].received) > count]
        self.assertEqual(len(used), hosts, used)

    @unittest.skipUnless(os.path.exists('/etc/hosts'), 'there is no /etc/hosts')
    def test_hosts_file_alone(self):
        """nodns: the name server knows the one, /etc/hosts the other."""
        event, _ = self.send('prefer.nodns.test')
        self.assertEqual((event['outcome'], event['status']), ('failed', '5.1.2'))
        self.assertIn('prefer.z.test is not in /etc/hosts', event['text'])
        event, _ = self.send('localhost')
        self.assertEqual(event['outcome'], 'delivered', event)
        self.assertIn('localhost[', event['peer'])

    def test_names_only_the_hosts_file_has(self):
        """nodns, and defaultnameservers after name servers that are dead."""
        if not hosts_name():
            self.skipTest('/etc/hosts has no name for 127.0.0.1')
        for domain in ('file.test', 'system.test'):
            self.goes_to(domain, '127.0.0.1')

    def test_last_resort_of_its_own_has_no_say(self):
        """Without it the mail would wait for the same reason."""
        for domain in ('lamemx.lastdead.test', 'lamemx.lastself.test'):
            event, _ = self.send(domain)
            self.assertEqual((event['outcome'], event['status']), ('deferred', '4.4.3'))
            self.assertIn('host.lame.test', event['text'])

    def test_attempts_are_logged(self):
        event, _ = self.send('fallback.z.test')
        attempt = self.shared.wait_event('attempt', id=event['id'])
        self.assertIn('down.z.test[127.0.0.9]', attempt['peer'])
        self.assertIn('mx3.z.test[127.0.0.3]', event['peer'])


add_cases(Dns, 'to', [
    ('lowest preference first', 'prefer.z.test', '127.0.0.2'),
    ('next preference when down', 'fallback.z.test', '127.0.0.3'),
    ('second address when down', 'manyaddresses.z.test', '127.0.0.3'),
    ('a only', 'aonly.z.test', '127.0.0.2'), ('aaaa only', 'a6only.z.test', '::1'),
    ('mx to aaaa', 'mxsix.z.test', '::1'), ('mx to aaaa and a', 'mxsixfour.z.test', '::1'),
    ('mx wins over a', 'amx.z.test', '127.0.0.2'),
    ('nomx', 'amx.nomx.test', '127.0.0.3'), ('nomx aaaa', 'six.nomx.test', '::1'),
    ('no keyword and another port', 'amx.default.test', '127.0.0.3'),
    ('cname to mx', 'alias.z.test', '127.0.0.2'), ('cname to a', 'aliasa.z.test', '127.0.0.3'),
    ('wildcard', 'any.thing.wild.z.test', '127.0.0.3'), ('case', 'Upper.Z.TEST', '127.0.0.2'),
    ('dead name first', 'deadname.z.test', '127.0.0.2'),
    ('unanswered name first', 'lamefirst.z.test', '127.0.0.2'),
    ('daemon host has mx', 'any.daemon.test', '127.0.0.2'),
    ('many hosts down', 'many.z.test', '127.0.0.2'),
    ('ourselves last', 'selflast.z.test', '127.0.0.2'),
    ('null mx beside another', 'nullplus.z.test', '127.0.0.2'),
    ('an answer without a time to live', 'ttl0.z.test', '127.0.0.2'),
    ('mx to a cname', 'mxalias.z.test', '127.0.0.3'),
    ('a hundred hosts', 'hundred.z.test', '127.0.0.2'),
    ('second name server', 'prefer.two.test', '127.0.0.2'),
    ('last resort not needed', 'prefer.last.test', '127.0.0.2'),
    ('last resort when all are down', 'alldown.last.test', '127.0.0.3'),
    ('last resort by address', 'alldown.lastip.test', '127.0.0.3'),
    ('last resort for a literal', '[127.0.0.9]', '127.0.0.3'),
    ('last resort for an unanswered name', 'lamemx.last.test', '127.0.0.3'),
    ('last resort for an unanswered domain', 'lame.last.test', '127.0.0.3'),
    ('last resort after dead names', 'alldead2.last.test', '127.0.0.3'),
    ('last resort behind a crowd', 'crowd.last.test', '127.0.0.3'),
    ('last resort after refused and down', 'refusesdown.last.test', '127.0.0.3'),
], Dns.goes_to)
add_cases(Dns, 'equal', [
    ('mx', 'equal.z.test', 2), ('randommx', 'equal.random.test', 2),
    ('nonrandommx', 'equal.order.test', 1),
], Dns.equal)
add_cases(Dns, 'end', [
    ('last resort is not for null mx', 'null.last.test', 'failed', r'5\.1\.10'),
    ('last resort is not for no such domain', 'nowhere.last.test', 'failed', r'5\.1\.2'),
    ('last resort is not for no address', 'empty.last.test', 'failed', r'5\.1\.2'),
    ('last resort is behind ourselves', 'self.last.test', 'failed', r'5\.4\.6'),
    ('last resort is behind ourselves, others down', 'selfdown.last.test', 'deferred', r'4\.'),
    ('last resort is not for a refusal', 'refuses.last.test', 'failed', r'5\.'),
    ('a crowd without last resort', 'crowd.z.test', 'deferred', r'4\.'),
    ('null mx', 'null.z.test', 'failed', r'5\.1\.10'),
    ('no such domain', 'nowhere.z.test', 'failed', r'5\.1\.2'),
    ('no address', 'empty.z.test', 'failed', r'5\.1\.2'),
    ('no address nomx', 'empty.nomx.test', 'failed', r'5\.1\.2'),
    ('no such domain nomx', 'nowhere.nomx.test', 'failed', r'5\.1\.2'),
    ('mx without address', 'emptymx.z.test', 'failed', r'5\.1\.2'),
    ('mx to nowhere', 'alldead.z.test', 'failed', r'5\.'),
    ('two mx to nowhere', 'alldead2.z.test', '(failed|deferred)', r'[45]\.'),
    ('mx that is an address', 'mxaddress.z.test', 'deferred', r'4\.4\.3'),
    ('all down', 'alldown.z.test', 'deferred', r'4\.4\.'),
    ('unanswered zone', 'host.lame.test', 'deferred', r'4\.4\.3'),
    ('mx in an unanswered zone', 'lamemx.z.test', 'deferred', r'4\.4\.3'),
    ('ourselves', 'self.z.test', 'failed', r'5\.4\.6'),
    ('ourselves first', 'selffirst.z.test', 'failed', r'5\.4\.6'),
    ('ourselves among equals', 'selfequal.z.test', 'failed', r'5\.4\.6'),
    ('ourselves by the alias', 'selfalias.z.test', 'failed', r'5\.4\.6'),
    ('better ones down, not those behind us', 'selfdown.z.test', 'deferred', r'4\.'),
    ('cname loop', 'loop1.z.test', 'deferred', r'4\.4\.3'),
], Dns.ends)
