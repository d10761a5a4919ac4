"""SIGTERM when things are in the midst of everything: clients and next hops at each step of the
dialogue, a name server that says nothing, a program that runs. And a minute in which the daemon
does not run at all. Nothing is lost, and nothing is done twice that was known to be done."""
import os
import signal
import socket
import time

import kit
from harness import OPTION_DAT, RouterTest, free_port, wait_until
from peers import Scripted, SmtpSink

STEPS = ('greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA', '.')


class Stuck(Scripted):
    """Says nothing any more at a step, until `go`."""

    def __init__(self, step, **more):
        self.step, self.go = step, False
        super().__init__(**more)

    def answer(self, connection, verb, line=b''):
        while verb == self.step and not self.go:
            time.sleep(0.02)
            if self.ended():
                return False
        return super().answer(connection, verb, line)

    def ended(self):
        return self.listener.fileno() < 0


class Midst(RouterTest):
    def setUp(self):
        self.port = free_port()
        self.hops = {s: self.peer(Stuck(s)) for s in STEPS}
        mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        mute.bind(('127.0.0.1', 0))
        self.addCleanup(mute.close)
        names = ['h%d.test' % i for i in range(len(STEPS))]
        to = 'smtp nomx daemon 127.0.0.1 logging nocache backoff PT1S'
        self.it = self.router(kit.site(
            ['router.test $U%router.test@router.test', 'far.test $U%$D@tcp-far',
             'pipe.test $U%$D@pipe-daemon'] + ['%s $U%%$D@tcp-%s' % (n, n[:2]) for n in names],
            ['l logging\nrouter.test', 'tcp_local smtp\ntcp-daemon', 'pipe logging\npipe-daemon',
             'tcp_far smtp mx logging nameservers 127.0.0.1@%d\ntcp-far' % mute.getsockname()[1]]
            + ['tcp_h%d %s port %d\ntcp-h%d' % (i, to, h.port, i)
               for i, h in enumerate(self.hops.values())],
            [kit.service('SMTP', 'tcp_local', self.port)],
            ['router.test', 'far.test', 'pipe.test'] + names,
            files={'pipe_option': 'pipe.test=/bin/sleep 30\n'}), users=['ann', 'sue'])
        self.names = names

    def clients(self):
        """One at each step; the last has sent its message and no dot."""
        said = ('EHLO client.test', 'MAIL FROM:<sue@router.test>', 'RCPT TO:<ann@router.test>', 'DATA')
        for steps in range(len(said) + 1):
            wire = kit.Wire(self.port)
            self.addCleanup(wire.close)
            for line in said[:steps]:
                wire.say(line)
        wire.send('Subject: half\r\n\r\n' + 'x' * 100000)

    def test_end(self):
        self.it.start()
        for name in self.names + ['far.test', 'pipe.test']:
            kit.send(self.port, 'joe@' + name, 'sue@router.test')
        for step, hop in self.hops.items():
            wait_until('a message at ' + step, lambda: hop.connections and (
                step == 'greeting' or step in [v for v, _ in hop.seen]))
        self.clients()
        began = time.monotonic()
        self.it.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.it.process.wait(20), 0)
        self.assertLess(time.monotonic() - began, 14)
        self.it.process = None
        self.assertFalse(os.path.exists(self.it.path('queue', 'queue.db-wal')))
        self.assertEqual(self.it.tool('queue', 'check').returncode, 0)
        for hop in self.hops.values():
            hop.go = True
        self.it.start()
        for step, hop in self.hops.items():
            wait_until('the message at ' + step, lambda: len(hop.messages) >= 1)
        wait_until('two are left', lambda: self.it.status()['queue_messages'] == 2)
        for step, hop in self.hops.items():  # whose reply to the dot was due may get it twice
            self.assertLessEqual(len(hop.messages), 2 if step == '.' else 1, step)
        self.assertEqual(self.it.mails(), [])
        self.it.kill()  # what is left would take its ten seconds once more

    def test_stopped_for_a_while(self):
        """SIGSTOP: connections stand still, timers are over at once afterwards."""
        for hop in self.hops.values():
            hop.go = True
        self.it.start()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            for _ in range(3):
                for name in self.names:
                    wire.mail('joe@' + name, 'sue@router.test')
                self.it.process.send_signal(signal.SIGSTOP)
                time.sleep(0.7)
                self.it.process.send_signal(signal.SIGCONT)
        for hop in self.hops.values():
            wait_until('three messages', lambda: len(hop.messages) == 3)
        self.it.wait_status(queue_messages=0)


class Endless(RouterTest):
    """What could go on for ever, or be more than anybody thought of."""

    def site(self, hop, words='', **files):
        self.port = free_port()
        return self.router(kit.site(
            ['out.test $U%$D@tcp-out', '. $U%$H@tcp-daemon'],
            ['l logging\nrouter.test', 'tcp_local smtp logging\ntcp-daemon',
             'tcp_out smtp nomx daemon 127.0.0.1 logging %s port %d\ntcp-out'
             % (words, hop or self.port)],
            [kit.service('SMTP', 'tcp_local', self.port)], ['out.test'], **files),
            users=['sue', 'postmaster'], arguments=['--retry-after', '1']).start()

    def test_loop(self):
        """To ourselves, and so is the sender: a hundred rounds, a report that goes as many, and
        then that is held and nobody is told any more."""
        it = self.site(None, 'nosendpost')
        kit.send(self.port, 'joe@out.test', 'sue@out.test')
        it.wait_status(timeout=60, queue_messages=1, queue_held=1)
        self.assertEqual(len(it.events('bounce')), 1)
        self.assertEqual(it.events('hold')[0]['from'], '')
        time.sleep(1.5)  # longer than a retry
        self.assertEqual(it.status()['queue_messages'], 1)
        self.assertLess(len(it.events('enqueue')), 210)

    def test_loop_that_a_site_wants_to_see(self):
        it = self.site(None, files={'option.dat': OPTION_DAT + 'MAX_RECEIVED_LINES=20\n'})
        kit.send(self.port, 'joe@out.test', 'sue@router.test')
        it.wait_status(queue_messages=1, queue_held=1)
        self.assertEqual((it.events('bounce'), it.mails('sue')), ([], []))

    def test_thousand_recipients_with_all_parameters(self):
        sink = self.peer(SmtpSink())
        it = self.site(sink.port)
        orcpt = 'rfc822;' + 'o' * 493
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@router.test> RET=HDRS ENVID=' + 'e' * 100, 250)
            for i in range(10):
                wire.send(''.join('RCPT TO:<u%d@out.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=%s\r\n'
                                  % (i * 100 + k, orcpt) for k in range(100)))
                for _ in range(100):
                    self.assertEqual(wire.reply().code, 250)
            wire.want('DATA', 354)
            wire.send('\r\n')  # no header at all
            wire.want('.', 250)
        it.wait_status(queue_messages=0)
        lines = [line for m in sink.messages() for line in m.split(b'\n')
                 if line.startswith(b'X-Rcpt-Args: ')]
        self.assertEqual(len(set(lines)), 1000)
        self.assertEqual([l for l in lines if orcpt.encode() not in l], [])
