"""Connections to next hops that are kept for another message: when one is used again, when it
must not be (another configuration, other certificates, TLS that is a must or was there lately),
what a host does to it meanwhile, and that it stands in nobody's way."""
import shutil
import socket
import threading
import time

import kit
from harness import RouterTest, free_port, wait_until
from peers import Aiosmtpd, Nsd, Numbered
from pki import pki

OFFER = b'250-scripted\r\n250 STARTTLS\r\n'
NAME = 'hop.partner.test'


class Leaving(Numbered):
    """Does something to the first connection at its second message, or before it. when: a verb of
    that message, or 'idle'; reply: what is said then (None: nothing, and no end either), before
    the connection ends; for `later` the end is left to the client."""

    def __init__(self, when, reply=b'', later=False, **replies):
        self.when, self.reply, self.later = when, reply, later
        super().__init__(**replies)

    def leave(self, connection):
        if self.reply is None:
            time.sleep(20)
            return False
        try:
            connection.sendall(self.reply)
            if not self.later:
                connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already
        return self.later

    def answer(self, connection, verb, line=b''):
        first = not self.said or verb != 'greeting' and self.own.verbs is self.said[0]
        if first and verb == self.when and self.own.verbs.count('MAIL') + (verb == 'MAIL') == 2:
            self.own.verbs.append(verb)
            return self.leave(connection)
        good = super().answer(connection, verb, line)
        if first and self.when == 'idle' and verb == '.' and len(self.messages) == 1:
            threading.Timer(0.3, self.leave, [connection]).start()
        return good


class Mute(Numbered):
    """Says nothing to QUIT, nor does it hang up; takes its time for a message."""

    def answer(self, connection, verb, line=b''):
        time.sleep({'.': 0.5, 'QUIT': 20}.get(verb, 0))
        return super().answer(connection, verb, line)


class Kept(RouterTest):
    def begin(self, hop, words='', workers=1, option='', more=(), rules=(), tls=None,
              prepare=lambda it: None, **files):
        """A router with tcp_out to that hop, on one worker."""
        self.port = free_port()
        channel = 'tcp_out smtp nomx daemon 127.0.0.1 port %d logging %s\ntcp-out' % (
            hop.port if hop else 1, words)
        site = kit.site(list(rules) + ['out.test $U%$D@tcp-out', '. $U%$H@tcp-daemon'],
                        ['tcp_local smtp\ntcp-daemon', channel] + list(more),
                        [kit.service('SMTP', 'tcp_local', self.port)],
                        ['out.test', '.partner.test', 'other.test'], files=files)
        if option:
            site['tcp_out_option'] = option + '\n'
        if tls:
            site['tls.cnf'] = tls
        self.it = self.router(site, arguments=['--workers', str(workers)])
        prepare(self.it)
        return self.it.start()

    def one(self, to='bob@out.test', outcome='delivered'):
        """Sends a message and waits for what comes of its first attempt."""
        ident = kit.queue_id(kit.send(self.port, to))
        event = self.it.wait_event('deliver', id=ident)
        self.assertEqual((event['outcome'], event['attempts']), (outcome, '1'), event)
        return event

    def some(self, count, **how):
        return [self.one(**how).get('reused', '0') for _ in range(count)]

    def idle(self, count):
        self.it.wait_status(connections_idle=count)

    # --- used again ---

    def test_one_after_another(self):
        hop = self.peer(Aiosmtpd())
        self.begin(hop, 'musttls')
        self.assertEqual(self.some(8), [str(i) for i in range(8)])
        self.assertEqual(hop.connections, 1)
        self.assertEqual([v for v in hop.seen if v != 'MAIL tls'], ['EHLO', 'STARTTLS', 'EHLO tls'])
        status = self.it.status()
        self.assertEqual((status['deliveries_reused'], status['tls_out']), (7, 1))
        self.assertEqual({e['tls.summary'] for e in self.it.events('deliver')}, {'must>tls'})
        self.idle(1)
        self.idle(0)  # after two seconds
        self.assertEqual(self.some(1), ['0'])

    def test_words(self):
        for words, connections in (('cachesuccesses', 1), ('nocache', 4), ('cachefailures', 4)):
            with self.subTest(words=words):
                hop = self.peer(Aiosmtpd())
                self.begin(hop, words)
                self.some(4)
                self.assertEqual(hop.connections, connections)

    def test_ten_messages(self):
        """A host may leave what is more to its next queue run."""
        hop = self.peer(Numbered())
        self.begin(hop)
        self.some(12)
        self.assertEqual(hop.count('MAIL'), [10, 2])

    def test_as_many_as_the_option_says(self):
        hop = self.peer(Numbered())
        self.begin(hop, option='ATTEMPT_TRANSACTIONS_PER_SESSION=13')
        self.some(15)
        self.assertEqual(hop.count('MAIL'), [13, 2])

    def test_as_many_as_the_host_says(self):
        hop = self.peer(Numbered(EHLO=b'250-scripted\r\n250 LIMITS MAILMAX=3\r\n'))
        self.begin(hop)
        self.some(7)
        self.assertEqual(hop.count('MAIL'), [3, 3, 1])

    def test_workers_keep_their_own(self):
        hop = self.peer(Numbered())
        self.begin(hop, workers=2)
        self.some(12)
        self.assertLessEqual(hop.connections, 4)
        self.assertEqual(sum(hop.count('MAIL')), 12)

    def test_lmtp(self):
        hop = self.peer(Numbered())
        self.begin(hop, 'lmtp')
        self.some(3)
        self.assertEqual(hop.count('LHLO'), [1])

    def test_not_to_another_next_hop(self):
        """Though it is the same host."""
        hop = self.peer(Aiosmtpd())
        nsd = self.peer(Nsd({'partner.test': 'a.partner.test. A 127.0.0.1\n'
                                             'b.partner.test. A 127.0.0.1\n'}))
        more = ['tcp_dns smtp nomx port %d nameservers 127.0.0.1@%d logging\ntcp-dns-daemon'
                % (hop.port, nsd.port)]
        self.begin(hop, more=more, rules=['.partner.test $U%$H.partner.test@tcp-dns-daemon'])
        for domain in ('a', 'b', 'a', 'b'):
            self.one('bob@%s.partner.test' % domain)
        self.assertEqual(hop.connections, 2)

    def test_maxjobs_is_for_the_host(self):
        """Where each worker may not have one of its own, none is kept."""
        hop = self.peer(Numbered())
        self.begin(hop, 'maxjobs 1', workers=2)
        self.some(3)
        self.assertEqual(hop.count('MAIL'), [1, 1, 1])

    def test_no_job_waits_for_it(self):
        """One that is kept takes no place of maxjobs."""
        first = self.peer(Numbered())
        second = self.peer(Numbered(host='127.0.0.2', port=first.port))
        nsd = self.peer(Nsd({'partner.test': 'a.partner.test. A 127.0.0.1\n'
                                             'b.partner.test. A 127.0.0.2\n'}))
        self.begin(None, more=['tcp_dns smtp nomx port %d nameservers 127.0.0.1@%d maxjobs 1 '
                               'logging\ntcp-dns-daemon' % (first.port, nsd.port)],
                   rules=['.partner.test $U%$H.partner.test@tcp-dns-daemon'],
                   tcp_dns_option='CONNECTION_IDLE_TIME=PT1M\n')
        self.one('bob@a.partner.test')
        self.idle(1)
        self.assertLess(int(self.one('bob@b.partner.test')['delay_ms']), 1000)
        self.idle(2)
        self.assertEqual((first.connections, second.connections), (1, 1))

    # --- what the host does meanwhile ---

    def leaving(self, when, reply=b'', connections=2, **how):
        """The second message goes out on another connection, at its first attempt."""
        hop = self.peer(Leaving(when, reply, **how))
        self.begin(hop)
        self.some(1)
        if when == 'idle':
            self.idle(0)
        self.some(1)
        self.assertEqual(len(hop.messages), 2)
        self.assertEqual(hop.connections, connections)
        self.assertEqual(self.it.events('attempt'), [])
        self.assertEqual(self.it.events('deliver', outcome='deferred'), [])
        return hop

    def test_closed_while_idle(self):
        self.assertNotIn('RSET', self.leaving('idle').said[0])

    def test_421_while_idle(self):
        self.leaving('idle', b'421 4.4.2 too long\r\n')

    def test_something_said_while_idle(self):
        self.leaving('idle', b'250 ok\r\n', later=True)

    def test_half_a_line_while_idle(self):
        self.leaving('idle', b'2', later=True)

    def test_closed_at_mail(self):
        self.leaving('MAIL')

    def test_421_to_mail(self):
        self.leaving('MAIL', b'421 4.7.0 enough\r\n')

    def test_452_to_mail(self):
        self.leaving('MAIL', b'452 4.5.3 enough\r\n', later=True)

    def test_closed_at_rcpt(self):
        self.leaving('RCPT')

    def test_closed_at_data(self):
        self.leaving('DATA')

    def test_nothing_is_sent_twice(self):
        """The host has the whole message and goes: it may have taken it, so it is not sent again
        at once."""
        hop = self.peer(Leaving('.'))
        self.begin(hop)
        self.some(1)
        self.assertIn('after the end of the message', self.one(outcome='deferred')['text'])
        self.assertEqual((len(hop.messages), hop.connections), (2, 1))

    def test_refused_is_refused(self):
        """5xx on a connection that was kept is an answer like any other."""
        hop = self.peer(Leaving('MAIL', b'550 5.7.1 no\r\n', later=True))
        self.begin(hop)
        self.some(1)
        self.assertEqual(self.one(outcome='failed')['reused'], '1')
        self.assertEqual(hop.connections, 1)

    def test_put_off_on_both(self):
        """What a new connection says, too, counts."""
        hop = self.peer(Numbered())
        self.begin(hop)
        self.some(1)
        hop.replies['MAIL'] = b'451 4.7.1 greylisted\r\n'
        event = self.one(outcome='deferred')
        self.assertEqual((event['status'], hop.connections), ('4.7.1', 2))
        self.assertNotIn('reused', event)

    def test_silent(self):
        hop = self.peer(Leaving('MAIL', None))
        self.begin(hop, option='STATUS_MAIL_RECEIVE_TIME=PT1S')
        self.some(1)
        self.assertGreater(int(self.one()['delay_ms']), 900)
        self.assertEqual(hop.connections, 2)

    # --- where nothing is the same any more ---

    def test_reload(self):
        hop = self.peer(Aiosmtpd())
        self.begin(hop, 'maytls', option='CONNECTION_IDLE_TIME=PT1M')
        self.some(2)
        self.it.hang_up()
        self.it.wait_event('reload')
        self.assertEqual(self.some(1), ['0'])
        self.assertEqual(hop.connections, 2)
        self.idle(1)

    def test_certificates_read_again(self):
        """A CA that is gone proves nothing, on no connection."""
        def trust(it, root):
            shutil.copy(keys.path(root + '.pem'), it.path('tls', 'ca.pem'))
            it.give_to_user()
        keys = pki()
        keys.leaf('reuse', san='DNS:' + NAME)
        hop = self.peer(Aiosmtpd(certificate=keys.pair('reuse')))
        nsd = self.peer(Nsd({'partner.test': NAME + '. A 127.0.0.1\n'}))
        self.begin(None, more=['tcp_dns smtp nomx port %d nameservers 127.0.0.1@%d musttlsclient '
                               'tlsverifyhost logging\ntcp-dns-daemon' % (hop.port, nsd.port)],
                   rules=['.partner.test $U%$H.partner.test@tcp-dns-daemon'],
                   tcp_dns_option='CONNECTION_IDLE_TIME=PT1M\n',
                   tls='[*]\nserver_cert = ../tls/server-pub.pem\n'
                       'server_key = ../tls/server-priv.pem\nca_file = ../tls/ca.pem\n',
                   prepare=lambda it: trust(it, 'root'))
        to = 'bob@' + NAME
        self.assertEqual(self.some(2, to=to), ['0', '1'])
        trust(self.it, 'other')
        self.assertEqual(self.it.tool('tls', 'reload').returncode, 0)
        event = self.one(to, outcome='deferred')
        self.assertEqual((event['status'], hop.connections), ('4.7.5', 2))
        self.assertEqual(len(hop.received), 2)

    # --- TLS that is a must, or was there ---

    def test_clear_is_not_kept_for_tls(self):
        """`may`: in clear, as the host offers no TLS; then it is seen to have TLS, and
        `tlsremember` makes that a must."""
        hop = self.peer(Numbered())
        self.begin(hop, 'maytlsclient tlsremember PT1H', option='CONNECTION_IDLE_TIME=PT1M',
                   more=['tcp_also smtp nomx daemon 127.0.0.1 port %d maytlsclient tlsremember '
                         'PT1H logging\ntcp-also' % hop.port],
                   rules=['other.test $U%$D@tcp-also'])
        self.assertEqual(self.some(2), ['0', '1'])
        hop.replies.update(EHLO=OFFER, TLS=True)
        self.assertEqual(self.one('bob@other.test')['tls.summary'], 'may>tls')
        self.assertEqual(self.one()['tls.summary'], 'may>tls')
        self.assertEqual(hop.connections, 3)

    def test_fallback_is_not_kept(self):
        """What goes in clear because TLS failed begins with TLS each time."""
        hop = self.peer(Aiosmtpd(tls='refused'))
        self.begin(hop, 'maytlsclient')
        for _ in range(2):
            self.assertEqual(self.one()['tls.summary'], 'may>clear')
        self.assertEqual(hop.seen, ['EHLO', 'STARTTLS', 'EHLO', 'MAIL'] * 2)

    # --- the end ---

    def ends_soon(self, hop, quits):
        """With several of them; all are told QUIT."""
        began = time.monotonic()
        self.assertEqual(self.it.stop(), 0)
        self.assertLess(time.monotonic() - began, 3)
        self.assertEqual(self.it.events('stop')[-1]['state'], 'stopped')
        wait_until('QUIT', lambda: [v for v, _ in hop.seen].count('QUIT') == quits, 3)

    def test_end_of_the_daemon(self):
        hop = self.peer(Numbered(EHLO=OFFER, TLS=True))
        self.begin(hop, 'musttls', workers=2, option='CONNECTION_IDLE_TIME=PT5M')
        self.some(4)
        self.idle(hop.connections)
        self.ends_soon(hop, hop.connections)

    def test_end_with_a_host_that_does_not_answer_quit(self):
        for words in ('', 'nocache'):
            with self.subTest(words=words):
                hop = self.peer(Mute())
                self.begin(hop, words)
                self.some(1)
                self.ends_soon(hop, 1)

    def test_end_during_a_delivery(self):
        """Which may finish; nobody waits for the reply to QUIT then."""
        hop = self.peer(Mute())
        self.begin(hop)
        kit.send(self.port, 'bob@out.test')
        wait_until('it is nearly there', lambda: hop.messages)
        self.ends_soon(hop, 1)
        self.assertEqual(len(self.it.events('deliver', outcome='delivered')), 1)
