"""Mail to real systems of Debian: Postfix, OpenSMTPD and Exim by SMTP, Dovecot by LMTP; in
clear and under TLS, recipients with several ends in one message, large ones, many over one
connection."""
import email
import email.policy
import random

import kit
from harness import Router, SharedRouterTest, free_port, wait_until
from next_hops import Dovecot, Exim, OpenSmtpd, Postfix

# How mail leaves for a domain; it arrives at real.test.
WAYS = {'clear.test': '', 'tls.test': 'musttlsclient', 'may.test': 'maytlsclient'}


def text_lines(count, seed=7):
    """Text with all that line ends, dots and 8-bit letters can spoil."""
    rand = random.Random(seed)
    made = ['.', '..', '', '.x', 'From x', 'é ü', '.' * 70]
    made += [''.join(rand.choice('. aé\t=') for _ in range(rand.randrange(90)))
             for _ in range(count)]
    return ''.join(m.rstrip() + '\r\n' for m in made)


class Real(SharedRouterTest):
    kind = None

    @classmethod
    def ways(cls):
        """domain -> keywords; its hosts are made here."""
        cls.hop = cls.class_peer(cls.kind())
        cls.strict = cls.class_peer(cls.kind(tls='encrypt'))
        found = {d: '%s smtp daemon [127.0.0.1] port %d' % (w, cls.hop.port)
                 for d, w in WAYS.items()}
        found['refused.test'] = 'smtp daemon [127.0.0.1] port %d' % cls.strict.port
        found['strict.test'] = 'musttlsclient ' + found['refused.test']
        return found

    @classmethod
    def make_router(cls):
        cls.port = free_port()
        ways = cls.ways()
        return Router(kit.site(
            ['%s $U%%real.test@%s' % (d, d.replace('.', '-')) for d in ways] + ['. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon'] + ['tcp_%s logging %s\n%s' % (
                d.split('.')[0], words, d.replace('.', '-')) for d, words in ways.items()],
            [kit.service('SMTP', 'tcp_local', cls.port)], localdomains=list(ways) + ['real.test']),
            users=['sue'], arguments=['--retry-after', '3600'])

    def send(self, users, domain, body):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@router.test> BODY=8BITMIME', 250)
            for user in users:
                wire.want('RCPT TO:<%s@%s>' % (user, domain), 250)
            wire.want('DATA', 354)
            wire.send(body.encode().replace(b'\r\n.', b'\r\n..'))
            return kit.queue_id(wire.want('.', 250).text)

    def outcomes(self, ident, count):
        wait_until('%d outcomes' % count, lambda: len(
            self.shared.events('deliver', id=ident)) >= count)
        return {e['to'].split('@')[0]: e for e in self.shared.events('deliver', id=ident)}

    def reported(self, word):
        report = email.message_from_bytes(self.shared.find_mail(word.encode(), user='sue'),
                                          policy=email.policy.default)
        return [str(s['Final-Recipient']) for s in report.get_payload()[1].get_payload()[1:]]

    def mixed(self, domain, version):
        """One message to four recipients: two get it, one will, one is nobody."""
        word = kit.token()
        ident = self.send(['ann', 'nobody', 'later', 'bob'], domain,
                          'Subject: %s\r\n\r\nx\r\n' % word)
        got = self.outcomes(ident, 4)
        self.assertEqual({u: e['outcome'] for u, e in got.items()}, {
            'ann': 'delivered', 'bob': 'delivered', 'later': 'deferred', 'nobody': 'failed'})
        self.assertEqual(got['later']['status'], '4.2.1')
        self.assertTrue(got['nobody']['status'].startswith('5.'), got['nobody'])
        self.assertEqual({e.get('tls.version') for e in got.values()}, {version})
        for user in ('ann', 'bob'):
            self.assertIn(b'return-path: <sue@router.test>',
                          self.hop.find_mail(word, user).lower())
        self.assertEqual(self.reported(word), ['rfc822; nobody@real.test'])

    def test_in_clear(self):
        self.mixed('clear.test', None)

    def test_under_tls(self):
        self.mixed('tls.test', 'TLSv1.3')

    def test_host_that_takes_nothing_without_tls(self):
        word = kit.token()
        ident = self.send(['ann'], 'refused.test', 'Subject: %s\r\n\r\nx\r\n' % word)
        self.assertEqual(self.outcomes(ident, 1)['ann']['outcome'], 'failed')
        ident = self.send(['ann'], 'strict.test', 'Subject: %s\r\n\r\nx\r\n' % word)
        got = self.outcomes(ident, 1)['ann']
        self.assertEqual((got['outcome'], got['tls.version']), ('delivered', 'TLSv1.3'))
        self.strict.find_mail(word)

    def test_large(self):
        word, text = kit.token(), text_lines(40000)
        ident = self.send(['ann'], 'may.test', 'Subject: %s\r\n\r\n%s' % (word, text))
        self.assertEqual(self.outcomes(ident, 1)['ann']['outcome'], 'delivered')
        mail = self.hop.find_mail(word)
        self.assertEqual(mail.partition(b'\n\n')[2], text.replace('\r', '').encode())

    def test_too_large(self):
        """Larger than the host says it takes: it is not even sent."""
        ident = self.send(['ann'], 'may.test', 'Subject: x\r\n\r\n' + text_lines(90000))
        got = self.outcomes(ident, 1)['ann']
        self.assertEqual((got['outcome'], got['status']), ('failed', '5.3.4'))

    def test_many(self):
        words = [kit.token() for _ in range(60)]
        idents = []
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            for word in words:
                reply = wire.mail('ann@may.test', 'sue@router.test',
                                  'Subject: %s\r\n\r\nx\r\n' % word)
                idents.append(kit.queue_id(reply.text))
        wait_until('all delivered', lambda: set(idents) <= {
            e['id'] for e in self.shared.events('deliver', outcome='delivered')}, 40)
        for word in words:
            subject = ('Subject: %s\n' % word).encode()
            found = lambda: [m for m in self.hop.mails('ann') if subject in m]
            wait_until('it is there', found)
            self.assertEqual(len(found()), 1)


class RealPostfix(Real):
    kind = Postfix


class RealOpenSmtpd(Real):
    """Its TLS is broken: `must` waits, `may` goes on in clear."""
    kind = OpenSmtpd

    def test_under_tls(self):
        ident = self.send(['ann'], 'tls.test', 'Subject: x\r\n\r\nx\r\n')
        got = self.outcomes(ident, 1)['ann']
        self.assertEqual((got['outcome'], got['status']), ('deferred', '4.7.5'))
        self.mixed('may.test', None)

    def test_host_that_takes_nothing_without_tls(self):
        for domain, outcome in (('refused.test', 'failed'), ('strict.test', 'deferred')):
            ident = self.send(['ann'], domain, 'Subject: x\r\n\r\nx\r\n')
            self.assertEqual(self.outcomes(ident, 1)['ann']['outcome'], outcome)
        self.assertEqual(self.strict.mails('ann'), [])


class RealExim(Real):
    kind = Exim


class RealDovecot(Real):
    """LMTP, over TCP and by its socket. bob's mailbox is full, which is said at the end of
    the message, of him alone; there is nobody called later, and no limit of size."""
    kind = Dovecot
    test_too_large = test_host_that_takes_nothing_without_tls = None

    @classmethod
    def ways(cls):
        cls.hop = cls.class_peer(Dovecot())
        at = {d: '%s lmtp daemon [127.0.0.1] port %d' % (w, cls.hop.port)
              for d, w in WAYS.items()}
        at.update(('socket-' + d, '%s lmtp daemon unix:%s' % (w, cls.hop.socket))
                  for d, w in WAYS.items())
        return at

    @classmethod
    def make_router(cls):
        router = super().make_router()
        router.write('pointsman.cnf', router.read('pointsman.cnf').replace('tcp_socket-', 'tcp_s'))
        return router

    def mixed(self, domain, version):
        word = kit.token()
        ident = self.send(['ann', 'nobody', 'bob'], domain, 'Subject: %s\r\n\r\nx\r\n' % word)
        got = self.outcomes(ident, 3)
        self.assertEqual({u: (e['outcome'], e['status']) for u, e in got.items()}, {
            'ann': ('delivered', '2.0.0'), 'bob': ('deferred', '4.2.2'),
            'nobody': ('failed', '5.1.1')})
        self.assertEqual({e.get('tls.version') for e in got.values()}, {version})
        socket = domain.startswith('socket-')
        self.assertEqual(got['ann']['peer'], 'unix:' + self.hop.socket if socket
                         else '[127.0.0.1]:%d' % self.hop.port)
        self.assertIn(b'Return-Path: <sue@router.test>', self.hop.find_mail(word))
        self.assertEqual(self.hop.mails('bob'), [])
        self.assertEqual(self.reported(word), ['rfc822; nobody@real.test'])

    def test_by_socket(self):
        self.mixed('socket-clear.test', None)
        self.mixed('socket-tls.test', 'TLSv1.3')


del Real, SharedRouterTest  # only what is derived from them is run
