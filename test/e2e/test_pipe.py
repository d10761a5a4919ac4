"""Channel pipe: programs that get mail, what their ends lead to, and what they can neither
be made to do nor do to us."""
import os
import pwd
import re
import signal
import stat
import time

import kit
from harness import USER, Router, RouterTest, SharedRouterTest, add_cases, free_port, wait_until

# Writes what it was called with, its environment and its input into a file of its own.
RECORD = '''#!/usr/bin/python3 -E
import os, sys, resource
name = os.path.join(%r, os.environ['QUEUE_ID'] + '.' + os.environ['RECIPIENT'])
with open(name + '.new', 'wb') as file:
    file.write(repr({
        'argv': sys.argv, 'environ': dict(os.environ), 'cwd': os.getcwd(),
        'uid': os.geteuid(), 'group': os.getpgrp() == os.getpid() == os.getsid(0),
        'files': sorted(int(n) for n in os.listdir('/proc/self/fd')),
        'core': resource.getrlimit(resource.RLIMIT_CORE),
        'memory': resource.getrlimit(resource.RLIMIT_AS),
        'pipe': __import__('signal').getsignal(__import__('signal').SIGHUP)
            is __import__('signal').SIG_DFL,
        'input': sys.stdin.buffer.read()}).encode())
os.rename(name + '.new', name)
'''
SCRIPTS = {
    'exit': '#!/bin/sh\necho "line one"\necho "line two"\nexit $1\n',
    'says': '#!/bin/sh\necho\necho "  $1  "\nexit $2\n',
    'signal': '#!/bin/sh\nkill -$1 $$\nsleep 60\n',
    'sleep': '#!/bin/sh\necho $$ >>OUT/sleep\nsleep 300 &\necho $! >>OUT/sleep\n'
             'echo waiting\nsleep 300\n',
    'leaves': '#!/bin/sh\nsh -c \'trap "" TERM; echo $$ >>OUT/leaves; exec sleep 300\' &\n'
              'echo $$ >>OUT/leaves\nsleep 300\n',
    'behind': '#!/bin/sh\n(sleep 2; cat) | (cat >OUT/behind.new; mv OUT/behind.new OUT/behind)\n',
    'stubborn': '#!/bin/sh\ntrap "" TERM\necho $$ >>OUT/stubborn\nwhile :; do sleep 1; done\n',
    'flood': '#!/bin/sh\nexec yes much\n',
    'blind': '#!/bin/sh\nexec 0<&-\nexit 0\n',
    'count': '#!/bin/sh\nn=$(ls OUT/running | wc -l)\ntouch OUT/running/$$\n'
             'echo $n >>OUT/counts\nsleep 0.3\nrm OUT/running/$$\n',
    'memory': '#!/usr/bin/python3 -E\nx = bytearray(1 << 29)\n',
    'processor': '#!/bin/sh\nwhile :; do :; done\n',
    'file': '#!/bin/sh\nexec dd if=/dev/zero of=OUT/large bs=1M count=8\n',
    'slow': '#!/bin/sh\nsleep 2\ncat >OUT/slow.new\nmv OUT/slow.new OUT/slow\n',
}


class Site:
    """A router with a pipe channel for pipe.test, its scripts and a folder they write to."""

    def __init__(self, options, make=Router, users=('sue',), **more):
        self.port = free_port()
        self.router = make(kit.site(
            ['pipe.test $U%$D@pipe-daemon', '. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon', 'pipe logging\npipe-daemon'],
            [kit.service('SMTP', 'tcp_local', self.port)]), users=users, **more)
        self.out = self.router.path('out')
        os.mkdir(self.out)
        os.mkdir(os.path.join(self.out, 'running'))
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            for path in (self.out, os.path.join(self.out, 'running')):
                os.chown(path, user.pw_uid, user.pw_gid)
        os.mkdir(self.router.path('bin'))
        for name, text in dict(SCRIPTS, record=RECORD % self.out).items():
            self.script(name, text)
        self.options(options)

    def script(self, name, text):
        path = self.router.path('bin', name)
        with open(path, 'w') as file:
            file.write(text.replace('OUT', self.out))
        os.chmod(path, 0o755)

    def options(self, text):
        self.router.write('pipe_option', text.replace('BIN', self.router.path('bin')))

    def send(self, to, **more):
        return kit.queue_id(kit.send(self.port, to, **more))

    def outcome(self, ident, **more):
        event = self.router.wait_event('deliver', id=ident, **more)
        return event['outcome'], event['status'], event['text']

    def record(self, ident, recipient):
        path = os.path.join(self.out, ident + '.' + recipient)
        wait_until(path, lambda: os.path.exists(path))
        with open(path) as file:
            return eval(file.read())

    def pids(self, name, count):
        path = os.path.join(self.out, name)
        wait_until(path, lambda: os.path.exists(path) and
                   len(open(path).read().split()) >= count)
        return [int(p) for p in open(path).read().split()]


def alive(pid):
    try:
        with open('/proc/%d/stat' % pid) as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


class Programs(SharedRouterTest):
    @classmethod
    def make_router(cls):
        codes = ''.join('exit%d@pipe.test=BIN/exit %d\n' % (n, n) for n in list(range(64, 81)) +
                        [0, 1, 126, 127, 255])
        cls.site = Site(codes + '''\
pipe.test=BIN/record all "two words" %%s=%s %u %e %d %a %f %q "%s,%d"
bob@PIPE.test=BIN/record bob
plus@pipe.test=BIN/record -- %e %e
good@pipe.test=BIN/says "4.2.2 the mailbox is full" 75
fits@pipe.test=BIN/says "5.2.2 the mailbox is full" 67
other@pipe.test=BIN/says "2.0.0 no" 77
said@pipe.test=BIN/says "stored as 7" 0
sig9@pipe.test=BIN/signal 9
sig15@pipe.test=BIN/signal 15
flood@pipe.test=BIN/flood
blind@pipe.test=BIN/blind
nothing@pipe.test=BIN/nothing
text@pipe.test=BIN/../conf/pointsman.cnf
quoted@pipe.test=BIN/record "a \\"quoted\\" \\\\ word" $HOME `id` ; | *
''', arguments=['--retry-after', '3600'])
        return cls.site.router

    def test_what_it_is_called_with(self):
        body = 'Subject: x\r\n\r\n.dot\r\nFrom here\r\n' + 'y' * 500 + '\r\n'
        ident = self.site.send('ann+lists@pipe.test', body=body, sender="o'neil@far.test")
        got = self.site.record(ident, 'ann+lists@pipe.test')
        self.assertEqual(got['argv'][1:], [
            'all', 'two words', '%s=ann+lists', 'ann', 'lists', 'pipe.test',
            'ann+lists@pipe.test', 'o_neil@far.test', ident, 'ann+lists,pipe.test'])
        self.assertEqual({k: v for k, v in got['environ'].items() if k != 'LC_CTYPE'}, {
            'PATH': '/usr/local/bin:/usr/bin:/bin', 'SHELL': '/bin/sh', 'HOME': '/',
            'LC_ALL': 'C', 'RECIPIENT': 'ann+lists@pipe.test', 'USER': 'ann', 'LOGNAME': 'ann',
            'EXTENSION': 'lists', 'DOMAIN': 'pipe.test', 'SENDER': 'o_neil@far.test',
            'QUEUE_ID': ident})
        self.assertEqual((got['cwd'], got['group'], got['core']), ('/', True, (0, 0)))
        self.assertEqual([n for n in got['files'] if n > 4], [])  # 3 and 4 are its own
        self.assertEqual(got['uid'], pwd.getpwnam(USER).pw_uid if os.geteuid() == 0
                         else os.geteuid())
        self.assertTrue(got['pipe'])
        lines = got['input'].split(b'\n')
        self.assertEqual(lines[0], b"Return-Path: <o'neil@far.test>")
        self.assertNotIn(b'\r', got['input'])
        self.assertTrue(got['input'].endswith(
            b'Subject: x\n\n.dot\nFrom here\n' + b'y' * 500 + b'\n'), got['input'])
        event = self.shared.wait_event('deliver', id=ident)
        self.assertEqual(event['peer'], self.shared.path('bin', 'record'))

    def test_words_stay_words(self):
        ident = self.site.send('quoted@pipe.test')
        got = self.site.record(ident, 'quoted@pipe.test')
        self.assertEqual(got['argv'][1:], ['a "quoted" \\ word', '$HOME', '`id`', ';', '|', '*'])

    def test_null_sender(self):
        ident = self.site.send('ann@pipe.test', sender='')
        got = self.site.record(ident, 'ann@pipe.test')
        self.assertEqual(got['argv'][8], '')
        self.assertTrue(got['input'].startswith(b'Return-Path: <>\n'))

    def test_which_program(self):
        ident = self.site.send(['BOB@pipe.test', 'bob+x@pipe.test', 'carl@pipe.test'])
        self.assertEqual(self.site.record(ident, 'BOB@pipe.test')['argv'][1:], ['bob'])
        self.assertEqual(self.site.record(ident, 'bob+x@pipe.test')['argv'][1:], ['bob'])
        self.assertEqual(self.site.record(ident, 'carl@pipe.test')['argv'][1], 'all')

    def test_large_message(self):
        lines = ''.join('%07d %s\r\n' % (i, 'z' * 60) for i in range(70000))
        ident = self.site.send('carl@pipe.test', body='Subject: x\r\n\r\n' + lines)
        got = self.site.record(ident, 'carl@pipe.test')
        self.assertTrue(got['input'].endswith(b'\n\n' + lines.replace('\r', '').encode()))
        self.assertEqual(self.site.outcome(ident)[0], 'delivered')
        ident = self.site.send('blind@pipe.test', body='Subject: x\r\n\r\n' + lines)
        self.assertEqual(self.site.outcome(ident)[0], 'delivered')

    def test_no_address_is_an_option_or_more_than_a_word(self):
        with kit.Wire(self.site.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            for local in ('-rf', '"-rf"', '"a b"', '"a;b"', "o'neil", '"$(id)"', '`id`', '"a|b"',
                          'a/b', '"../x"', '.a', '"\\"x\\""', 'a&b', 'a*', 'x' * 65, '"a%%b"',
                          '"a,b"', '"a\\\\b"', '{a}', '~a', 'a#', '^a', '"<a>"', '"(a)"'):
                reply = wire.say('RCPT TO:<%s@pipe.test>' % local)
                self.assertIn(reply.code, (501, 550, 553), (local, reply))
                self.assertTrue(reply.text.startswith('5.1.'), (local, reply))
        ident = self.site.send('plus+-x@pipe.test', sender='-oQ/tmp@far.test')
        got = self.site.record(ident, 'plus+-x@pipe.test')
        self.assertEqual(got['argv'][1:], ['--', '_x', '_x'])
        self.assertEqual(got['environ']['SENDER'], '_oQ_tmp@far.test')
        self.assertEqual(got['environ']['EXTENSION'], '_x')

    def test_program_that_is_not_there(self):
        for user, error in (('nothing', 'No such file'), ('text', 'Permission denied')):
            outcome, status, text = self.site.outcome(self.site.send(user + '@pipe.test'))
            self.assertEqual((outcome, status), ('deferred', '4.3.5'))
            self.assertIn(error, text)
        self.assertEqual(len(self.shared.events('config', slug="pipe-program")), 2)

    def test_output_without_end(self):
        outcome, status, text = self.site.outcome(self.site.send('flood@pipe.test'))
        self.assertEqual((outcome, status), ('deferred', '4.3.0'))
        self.assertEqual(text, 'the program was ended by signal %d: much' % signal.SIGPIPE)

    def ends(self, user, outcome, status, text):
        got = self.site.outcome(self.site.send(user + '@pipe.test'))
        self.assertEqual(got[:2], (outcome, status), got)
        self.assertIn(text, got[2])


FAILED = {64: '5.3.0', 65: '5.6.0', 66: '5.3.0', 67: '5.1.1', 68: '5.1.2', 69: '5.3.0',
          70: '5.3.0', 72: '5.3.0', 73: '5.3.0', 76: '5.5.0', 77: '5.7.0', 78: '5.3.5',
          80: '5.3.0', 1: '5.3.0', 126: '5.3.0', 127: '5.3.0', 255: '5.3.0'}
add_cases(Programs, 'exit', [
    ('%d' % n, 'exit%d' % n, 'failed', status, 'status %d' % n) for n, status in FAILED.items()] + [
    ('%d' % n, 'exit%d' % n, 'deferred', '4.3.0', ': line one') for n in (71, 74, 75, 79)] + [
    ('0', 'exit0', 'delivered', '2.0.0', 'the program said: line one'),
    ('status of its own, deferred', 'good', 'deferred', '4.2.2', ': the mailbox is full'),
    ('status of its own, failed', 'fits', 'failed', '5.2.2', ': the mailbox is full'),
    ('status that does not fit', 'other', 'failed', '5.7.0', ': 2.0.0 no'),
    ('delivered', 'said', 'delivered', '2.0.0', 'the program said: stored as 7'),
    ('SIGKILL', 'sig9', 'deferred', '4.3.0', 'signal 9'),
    ('SIGTERM', 'sig15', 'deferred', '4.3.0', 'signal 15')], Programs.ends)


class Limits(RouterTest):
    def site(self, options, **more):
        site = Site(options, make=self.router, **more)
        site.router.start()
        return site

    def test_time(self):
        site = self.site('SHELL_TIMEOUT=1\na@pipe.test=BIN/sleep\nb@pipe.test=BIN/stubborn\n',
                         arguments=['--retry-after', '3600'])
        began = time.monotonic()
        self.assertEqual(site.outcome(site.send('a@pipe.test')), (
            'deferred', '4.3.0', 'the program was killed after 1 seconds: waiting'))
        self.assertLess(time.monotonic() - began, 3)
        for pid in site.pids('sleep', 2):  # itself, and what it started
            wait_until('%d is gone' % pid, lambda: not alive(pid), 5)
        self.assertEqual(site.outcome(site.send('b@pipe.test'))[:2], ('deferred', '4.3.0'))
        for pid in site.pids('stubborn', 1):
            wait_until('%d is gone' % pid, lambda: not alive(pid), 5)

    def test_programs_at_a_time(self):
        site = self.site('MAX_PROGRAMS=3\npipe.test=BIN/count\n')
        for _ in range(4):
            site.send(['u%d@pipe.test' % i for i in range(5)])
        wait_until('20 ran', lambda: os.path.exists(site.out + '/counts') and
                   len(open(site.out + '/counts').read().split()) == 20)
        counts = [int(n) for n in open(site.out + '/counts').read().split()]
        self.assertLessEqual(max(counts), 2)  # others, when one began
        self.assertEqual(max(counts), 2)
        wait_until('all delivered', lambda: len(site.router.events(
            'deliver', outcome='delivered')) == 20)

    def test_resources(self):
        site = self.site('MAX_MEMORY=200\nMAX_CPU_TIME=1\nMAX_FILE_SIZE=2\nSHELL_TIMEOUT=30\n'
                         'm@pipe.test=BIN/memory\nc@pipe.test=BIN/processor\n'
                         'f@pipe.test=BIN/file\n', arguments=['--retry-after', '3600'])
        self.assertEqual(site.outcome(site.send('m@pipe.test'))[:2], ('failed', '5.3.0'))
        outcome, _, text = site.outcome(site.send('c@pipe.test'))
        self.assertEqual(outcome, 'deferred')
        self.assertRegex(text, 'signal (%d|%d)$' % (signal.SIGXCPU, signal.SIGKILL))
        outcome, _, text = site.outcome(site.send('f@pipe.test'))
        self.assertIn('signal %d' % signal.SIGXFSZ, text)
        self.assertEqual(os.stat(site.out + '/large').st_size, 2 << 20)

    def test_sessions_while_it_runs(self):
        """They get the numbers of descriptors that a program has no more use for."""
        site = self.site('a@pipe.test=BIN/wait\n', arguments=['--workers', '1'])
        site.script('wait', '#!/bin/sh\nexec 0<&- >&- 2>&-\ntouch OUT/began\n'
                            'while [ ! -e OUT/end ]; do sleep 0.1; done\n')
        ident = site.send('a@pipe.test')
        wait_until('it runs', lambda: os.path.exists(site.out + '/began'))
        wires = [kit.Wire(site.port) for _ in range(8)]
        open(site.out + '/end', 'w').close()
        self.assertEqual(site.outcome(ident)[0], 'delivered')
        for wire in wires:
            wire.want('NOOP', 250)
            wire.close()

    def test_end_of_the_daemon(self):
        site = self.site('a@pipe.test=BIN/sleep\nb@pipe.test=BIN/record\nMAX_PROGRAMS=1\n',
                         arguments=['--retry-after', '1'])
        site.send('a@pipe.test')
        first = site.pids('sleep', 2)
        waiting = site.send('b@pipe.test')
        began = time.monotonic()
        self.assertEqual(site.router.stop(), 0)
        self.assertLess(time.monotonic() - began, 10)
        for pid in first:
            wait_until('%d is gone' % pid, lambda: not alive(pid), 5)
        site.options('a@pipe.test=BIN/record\nb@pipe.test=BIN/record\n')
        site.router.start()
        site.record(waiting, 'b@pipe.test')

    def test_nothing_of_the_group_stays(self):
        """What ignores SIGTERM must not outlive a program that obeys it."""
        site = self.site('SHELL_TIMEOUT=1\na@pipe.test=BIN/leaves\n',
                         arguments=['--retry-after', '3600'])
        self.assertEqual(site.outcome(site.send('a@pipe.test'))[:2], ('deferred', '4.3.0'))
        for pid in site.pids('leaves', 2):
            wait_until('%d is gone' % pid, lambda: not alive(pid), 5)

    def test_killed_daemon_takes_them_along(self):
        """One that lives on would take the end of its input for the end of the message;
        so would what a program has started to do its work."""
        site = self.site('a@pipe.test=BIN/slow\nb@pipe.test=BIN/behind\n'
                         'c@pipe.test=BIN/leaves\n')
        body = 'Subject: x\r\n\r\n' + ('y' * 70 + '\r\n') * 100000
        names = {site.send(to + '@pipe.test', body=body): name
                 for to, name in (('a', 'slow'), ('b', 'behind'))}
        site.send('c@pipe.test')
        pids = site.pids('leaves', 2)
        time.sleep(0.3)
        site.router.kill()
        for pid in pids:
            wait_until('%d is gone' % pid, lambda: not alive(pid), 5)
        time.sleep(2.5)
        for name in names.values():
            self.assertFalse(os.path.exists(site.out + '/' + name), name)
        site.router.start()
        for ident, name in names.items():
            self.assertEqual(site.outcome(ident)[0], 'delivered')
            self.assertGreater(os.stat(site.out + '/' + name).st_size, 7000000)

    def test_killed_keeper_takes_its_program_along(self):
        """Whoever kills something when memory is short may take the process beside it."""
        site = self.site('a@pipe.test=BIN/sleep\n', arguments=['--retry-after', '3600'])
        ident = site.send('a@pipe.test')
        pid = site.pids('sleep', 1)[0]
        with open('/proc/%d/stat' % pid) as file:
            keeper = int(file.read().rpartition(')')[2].split()[1])
        self.assertNotEqual(keeper, site.router.process.pid)
        os.kill(keeper, signal.SIGKILL)
        wait_until('%d is gone' % pid, lambda: not alive(pid), 5)
        self.assertEqual(site.outcome(ident)[:2], ('deferred', '4.3.0'))

    def test_reload_changes_programs(self):
        site = self.site('a@pipe.test=BIN/exit 0\n')
        self.assertEqual(site.outcome(site.send('a@pipe.test'))[0], 'delivered')
        site.options('a@pipe.test=BIN/exit 67\n')
        site.router.hang_up()
        site.router.wait_event('reload')
        ident = site.send('a@pipe.test', sender='sue@router.test')
        self.assertEqual(site.outcome(ident)[0], 'failed')
        self.assertIn(b'ended with status 67', site.router.find_mail(b'5.1.1', user='sue'))
