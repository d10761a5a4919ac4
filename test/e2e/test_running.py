"""Starting, serving as an ordinary user, and ending: what makes a start impossible and
how it is said, the lock on the queue, the control socket, signals, the log."""
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import unittest

import kit
from harness import (DAEMON, OPTION_DAT, USER, Router, RouterTest, SharedRouterTest,
                     add_cases, free_port, make_certificate, wait_until)

RULES = ['. $U%$H@tcp-daemon']
PLAIN = ['tcp_local smtp logging\ntcp-daemon']
TLS = ['tcp_local smtp maytls logging\ntcp-daemon']
ROOT = os.geteuid() == 0
as_root = unittest.skipUnless(ROOT, 'only root can drop its rights')


def simple(port, channels=PLAIN, **more):
    return kit.site(RULES, channels, [kit.service('SMTP', 'tcp_local', port)], **more)


def proc_status(pid):
    with open('/proc/%d/status' % pid) as file:
        return dict(line.rstrip('\n').split(':\t', 1) for line in file if ':\t' in line)


class Refuses(RouterTest):
    """Starts that must fail: exit code 1, the reason on standard error, no listener."""

    def fails(self, files, *texts, prepare=None, arguments=(), port=None):
        router = self.router(files, arguments=arguments)
        if prepare:
            prepare(router)
        router.start(wait=False)
        try:
            code = router.process.wait(10)
        except subprocess.TimeoutExpired:
            self.fail('it started: ' + router.log_text())
        router.process = None
        text = router.log_text()
        self.assertEqual(code, 1, text)
        for one in texts:
            self.assertIn(one, text)
        self.assertEqual(router.events('start'), [])
        if port:
            with socket.socket() as s:
                self.assertNotEqual(s.connect_ex(('127.0.0.1', port)), 0)
        return router

    def test_no_service(self):
        self.fails(kit.site(RULES, PLAIN, []), 'error: ', 'service')

    def test_no_dispatcher_file(self):
        self.fails(dict(simple(free_port()), **{'dispatcher.cnf': None}), 'service')

    def test_no_configuration(self):
        self.fails(dict(simple(free_port()), **{'pointsman.cnf': None}), 'pointsman.cnf')

    def test_all_errors_in_one_run(self):
        port = free_port()
        self.fails(
            simple(port, ['tcp_local smtp port 70000\ntcp-daemon',
                          'tcp_b smtp mustlsclient\ntcp-b-daemon',
                          'tcp_c smtp tlsswitchchannel tcp_nowhere\ntcp-c-daemon']),
            'pointsman.cnf:6:21: error: ', 'pointsman.cnf:9:12: error: ',
            'pointsman.cnf:12:29: error: ', '^~~~', port=port)

    def test_port_in_use(self):
        port = free_port()
        with socket.socket() as s:
            s.bind(('127.0.0.1', port))
            s.listen()
            self.fails(simple(port), 'dispatcher.cnf:4:6: error: ', '127.0.0.1:%d' % port, 'in use')

    def test_address_not_ours(self):
        port = free_port()
        files = simple(port)
        files['dispatcher.cnf'] = files['dispatcher.cnf'].replace('127.0.0.1', '192.0.2.1')
        self.fails(files, 'dispatcher.cnf', '192.0.2.1')

    def test_port_twice(self):
        port = free_port()
        self.fails(kit.site(RULES, PLAIN, [kit.service('A', 'tcp_local', port),
                                           kit.service('B', 'tcp_local', port)]),
                   'dispatcher.cnf', str(port))

    def test_service_names_no_channel(self):
        port = free_port()
        self.fails(kit.site(RULES, PLAIN, [kit.service('A', 'tcp_lokal', port)]),
                   'dispatcher.cnf:', 'tcp_lokal', "did you mean 'tcp_local'", port=port)

    def test_restricting_word(self):
        """Fails closed, and --allow-unhonoured turns it into a warning."""
        port = free_port()
        channels = ['tcp_local smtp mustsaslserver\ntcp-daemon']
        self.fails(simple(port, channels), 'error: ', 'mustsaslserver', port=port)
        router = self.router(simple(port, channels), arguments=['--allow-unhonoured'])
        router.start()
        self.assertTrue([e for e in router.events('config', severity='warning')
                         if 'mustsaslserver' in e['text']])
        kit.send(port, 'ann@router.test')

    # --- the queue's lock ---

    def test_second_daemon_on_a_queue(self):
        """Refused before any port is bound, naming who holds it; the first one serves
        on."""
        port = free_port()
        first = self.router(simple(port))
        first.start()
        other = free_port()
        options = OPTION_DAT.replace('../queue', first.path('queue'))
        self.fails(simple(other, files={'option.dat': options}), str(first.process.pid),
                   first.path('queue'), port=other)
        # the same port too: it is the queue that is named
        self.fails(simple(port, files={'option.dat': options}), str(first.process.pid))
        kit.send(port, 'ann@router.test')
        first.wait_mails()

    def test_lock_is_gone_with_its_holder(self):
        port = free_port()
        router = self.router(simple(port))
        for _ in range(3):
            router.start()
            router.kill()
        router.start()

    # --- certificates ---

    def certificate(self, files, prepare, *texts):
        port = free_port()
        self.fails(dict(simple(port, TLS), **files), 'error: ', *texts, prepare=prepare,
                   port=port)

    def test_no_certificate_at_all(self):
        self.certificate({'tls.cnf': None}, None, 'pointsman.cnf:', 'certificate')

    def test_certificate_file_missing(self):
        self.certificate({}, lambda r: os.remove(r.path('tls', 'server-pub.pem')),
                         'server-pub.pem', 'No such file')

    def test_key_file_missing(self):
        self.certificate({}, lambda r: os.remove(r.path('tls', 'server-priv.pem')),
                         'server-priv.pem', 'No such file')

    def test_key_is_of_another_certificate(self):
        def prepare(router):
            os.mkdir(router.path('other'))
            _, key = make_certificate(router.path('other'))
            shutil.copy(key, router.path('tls', 'server-priv.pem'))
            router.give_to_user()
        self.certificate({}, prepare, 'server-priv.pem', 'does not belong')

    def test_key_is_no_key(self):
        def prepare(router):
            with open(router.path('tls', 'server-priv.pem'), 'w') as file:
                file.write('not a key\n')
        self.certificate({}, prepare, 'server-priv.pem')

    def test_certificate_is_a_folder(self):
        def prepare(router):
            os.remove(router.path('tls', 'server-pub.pem'))
            os.mkdir(router.path('tls', 'server-pub.pem'))
        self.certificate({}, prepare, 'server-pub.pem')

    @as_root
    def test_key_the_user_cannot_read(self):
        """Root could read it, but reload could not: refused now, with file and reason."""
        self.certificate({}, lambda r: os.chown(r.path('tls', 'server-priv.pem'), 0, 0),
                         'server-priv.pem', 'ermission denied')

    # --- the user ---

    @as_root
    def test_user_missing(self):
        port = free_port()
        self.fails(simple(port, files={'option.dat': OPTION_DAT + 'USER=nobody-such\n'}),
                   'nobody-such', 'useradd', port=port)

    @as_root
    def test_user_root(self):
        port = free_port()
        self.fails(simple(port, files={'option.dat': OPTION_DAT + 'USER=root\n'}),
                   'USER=root', port=port)

    @as_root
    def test_queue_the_user_cannot_write(self):
        def prepare(router):
            os.mkdir(router.path('queue'), 0o700)
        self.fails(simple(free_port()), 'queue', prepare=prepare)

    # --- other options ---

    def option(self, text, *texts):
        port = free_port()
        self.fails(simple(port, files={'option.dat': OPTION_DAT + text + '\n'}),
                   'option.dat:5', *texts, port=port)

    def test_control_socket_in_use_by_a_file(self):
        def prepare(router):
            with open(router.path('run', 'control'), 'w') as file:
                file.write('precious')
        router = self.fails(simple(free_port()), 'control', prepare=prepare)
        with open(router.path('run', 'control')) as file:
            self.assertEqual(file.read(), 'precious')


add_cases(Refuses, 'option', [
    ('workers', 'WORKERS=many', 'WORKERS'), ('workers none', 'WORKERS=-1', 'WORKERS'),
    ('log format', 'LOG_FORMAT=7', 'LOG_FORMAT'),
    ('anchor', 'DNSSEC_ANCHOR=../nowhere.key', 'nowhere.key'),
], Refuses.option)


class Usage(unittest.TestCase):
    def usage(self, code, text, *arguments):
        done = subprocess.run([DAEMON] + list(arguments), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=30, text=True)
        self.assertEqual(done.returncode, code, done.stdout)
        self.assertIn(text, done.stdout)


add_cases(Usage, 'usage', [
    ('help', 0, 'usage: pointsmand', '--help'), ('version', 0, 'pointsmand', '--version'),
    ('unknown option', 2, '--help', '--frobnicate'), ('argument', 2, 'extra', 'extra'),
    ('workers', 2, '--workers needs', '--workers', '0'),
    ('retry', 2, '--retry-after needs', '--retry-after', 'x'),
    ('no such folder', 1, '/nonexistent', '-c', '/nonexistent'),
], Usage.usage)


class Serves(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.port = free_port()
        return Router(simple(cls.port, TLS))

    @as_root
    def test_never_root(self):
        user = pwd.getpwnam(USER)
        status = proc_status(self.shared.process.pid)
        self.assertEqual(status['Uid'].split(), [str(user.pw_uid)] * 4)
        self.assertEqual(status['Gid'].split(), [str(user.pw_gid)] * 4)
        self.assertNotIn('0', status['Groups'].split())
        self.assertEqual(int(status['CapEff'], 16), 0)
        self.assertEqual(int(status['CapPrm'], 16), 0)
        self.assertEqual(self.shared.events('start')[0]['user'], USER)

    def test_no_new_privs(self):
        status = proc_status(self.shared.process.pid)
        self.assertEqual(status['NoNewPrivs'], '1')

    def test_all_threads_are_the_user(self):
        pid = self.shared.process.pid
        uids = set()
        for task in os.listdir('/proc/%d/task' % pid):
            with open('/proc/%d/task/%s/status' % (pid, task)) as file:
                uids |= {l for l in file if l.startswith(('Uid', 'NoNewPrivs'))}
        self.assertEqual(len(uids), 2, uids)

    def test_queue_is_private(self):
        mode = stat.S_IMODE(os.stat(self.shared.path('queue')).st_mode)
        self.assertEqual(mode & 0o077, 0, oct(mode))

    def test_events_of_the_start(self):
        start = self.shared.events('start')[0]
        self.assertEqual(start['pid'], str(self.shared.process.pid))
        self.assertEqual(start['workers'], '2')
        self.assertTrue(start['file'].endswith('/conf/pointsman.cnf'))
        listen = self.shared.events('listen')[0]
        self.assertEqual((listen['service'], listen['address'], listen['channel']),
                         ('SMTP', '127.0.0.1:%d' % self.port, 'tcp_local'))

    # --- the control socket ---

    def test_socket_mode(self):
        info = os.stat(self.shared.path('run', 'control'))
        self.assertTrue(stat.S_ISSOCK(info.st_mode))
        self.assertEqual(stat.S_IMODE(info.st_mode), 0o600)

    @as_root
    def test_socket_of_another_user(self):
        """Even with the mode opened by hand the peer's credentials are checked."""
        path = self.shared.path('run', 'control')
        os.chmod(path, 0o666)
        self.addCleanup(os.chmod, path, 0o600)
        code = ("import socket; s = socket.socket(socket.AF_UNIX); s.connect(%r); "
                "s.sendall(b'{\"v\":1,\"command\":\"status\"}\\n'); print(len(s.recv(9999)))"
                % path)
        nobody = pwd.getpwnam('nobody')
        done = subprocess.run(['/usr/bin/python3', '-c', code], user=nobody.pw_uid,
                              group=nobody.pw_gid, extra_groups=[], text=True, timeout=30,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertTrue(done.stdout.strip() == '0' or 'Connection reset' in done.stderr or
                        'Broken pipe' in done.stderr, done)
        self.assertTrue(self.shared.events('control', error='not allowed'))

    def malformed(self, line):
        reply = json.loads(self.shared.control(line))
        self.assertEqual((reply['v'], reply['ok']), (1, False))
        self.assertTrue(reply['text'])

    def test_request_too_long(self):
        """Refused, or cut off before the refusal can be read; logged."""
        try:
            reply = self.shared.control('{"v":1,"command":"' + 'x' * 9000 + '"}\n')
            self.assertIn('"ok":false', reply)
        except ConnectionError:
            pass
        self.assertTrue(self.shared.events('control', error='too long'))

    def test_one_line_each_way(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.shared.path('run', 'control'))
            s.sendall(b'{"v":1,"command":"status"}\n')
            text = s.makefile('r').read()
        self.assertEqual(text.count('\n'), 1)
        self.assertTrue(text.endswith('\n'))
        status = json.loads(text)
        self.assertEqual((status['v'], status['ok']), (1, True))
        self.assertEqual(status['pid'], self.shared.process.pid)
        self.assertEqual(status['workers'], 2)
        self.assertEqual(status['services'][0]['channel'], 'tcp_local')

    def test_status_by_the_tool(self):
        done = self.shared.tool('status')
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn('process %d' % self.shared.process.pid, done.stdout)
        self.assertIn('127.0.0.1:%d' % self.port, done.stdout)
        again = self.shared.tool('status', '--socket', self.shared.path('run', 'control'))
        self.assertEqual(again.returncode, 0)

    def test_status_counts(self):
        before = self.shared.status()
        kit.send(self.port, 'ann@router.test')
        self.shared.wait_status(messages_in=before['messages_in'] + 1)
        self.shared.wait_status(delivered=before['delivered'] + 1, queue_messages=0)

    def test_silent_client_of_the_socket(self):
        """One that says nothing, one that says half a line: others are served."""
        with socket.socket(socket.AF_UNIX) as a, socket.socket(socket.AF_UNIX) as b:
            a.connect(self.shared.path('run', 'control'))
            b.connect(self.shared.path('run', 'control'))
            b.sendall(b'{"v":1,')
            self.assertTrue(self.shared.status()['ok'])


add_cases(Serves, 'malformed', [
    ('no json', 'status\n'), ('no command', '{"v":1}\n'), ('no version', '{"command":"status"}\n'),
    ('other version', '{"v":2,"command":"status"}\n'), ('array', '[]\n'), ('empty', '\n'),
    ('unknown command', '{"v":1,"command":"frobnicate"}\n'),
    ('more members', '{"v":1,"command":"status","x":1}\n'),
    ('command no string', '{"v":1,"command":1}\n'), ('nul', b'{"v":1,"command":"st\0"}\n'),
    ('bad utf8', b'{"v":1,"command":"\xff\xfe"}\n'), ('deep', '[' * 2000 + '\n'),
], Serves.malformed)


class Ends(RouterTest):
    def test_sigterm_and_sigint(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                router = self.router(simple(free_port()))
                router.start()
                router.process.send_signal(number)
                self.assertEqual(router.process.wait(30), 0)
                self.assertTrue(router.events('stop'))
                self.assertFalse(os.path.exists(router.path('run', 'control')))

    def test_open_sessions_are_told(self):
        """421 to a session that is idle; nothing half accepted."""
        port = free_port()
        router = self.router(simple(port))
        router.start()
        wire = kit.Wire(port)
        wire.ehlo()
        wire.want('MAIL FROM:<a@b.test>', 250)
        router.process.send_signal(signal.SIGTERM)
        self.assertEqual(wire.reply().code, 421)
        self.assertTrue(wire.is_closed())
        self.assertEqual(router.process.wait(30), 0)

    def test_accepted_mail_survives_the_end(self):
        port, down = free_port(), free_port()
        router = self.router(kit.site(
            ['out.test $U%$D@tcp-out-daemon'] + RULES,
            PLAIN + ['tcp_out smtp nomx daemon 127.0.0.1 port %d\ntcp-out-daemon' % down],
            [kit.service('SMTP', 'tcp_local', port)], ['out.test']))
        router.start()
        for _ in range(20):
            kit.send(port, 'bob@out.test')
        self.assertEqual(router.stop(), 0)
        router.start()
        self.assertEqual(router.status()['queue_messages'], 20)

    def test_killed_leaves_a_socket_that_is_replaced(self):
        router = self.router(simple(free_port()))
        router.start()
        router.kill()
        self.assertTrue(os.path.exists(router.path('run', 'control')))
        router.start()
        self.assertTrue(router.status()['ok'])

    def test_tool_without_a_daemon(self):
        router = self.router(simple(free_port()))
        for command in ('status', 'reload'):
            self.assertEqual(router.tool(command).returncode, 2)

    def test_workers(self):
        """So many loops, each with sockets of its own, all of them serving."""
        for count, arguments in ((1, ()), (4, ()), (3, ('--workers', '3'))):
            with self.subTest(count):
                port = free_port()
                options = OPTION_DAT.replace('WORKERS=2', 'WORKERS=%d' % (
                    9 if arguments else count))
                router = self.router(simple(port, files={'option.dat': options}),
                                     arguments=arguments)
                router.start()
                self.assertEqual(router.status()['workers'], count)
                for _ in range(40):
                    kit.Wire(port).close()
                used = {e['session'].split('.')[0] for e in router.events('connect')}
                self.assertGreater(len(used), 1 if count > 1 else 0)
                self.assertLessEqual(len(used), count)

    def test_default_is_a_worker_per_core(self):
        router = self.router(simple(free_port(), files={
            'option.dat': OPTION_DAT.replace('WORKERS=2\n', '')}))
        router.start()
        self.assertEqual(router.status()['workers'], len(os.sched_getaffinity(0)))

    def test_json_log(self):
        """LOG_FORMAT=5: the same fields, one JSON object a line."""
        port = free_port()
        router = self.router(simple(port, TLS, files={
            'option.dat': OPTION_DAT + 'LOG_FORMAT=5\n'}))
        router.start(wait=False)
        wait_until('the start', lambda: '"event":"listen"' in router.log_text())
        with kit.Wire(port) as wire:
            wire.ehlo('quote"back\\slash')
            wire.want(b'MAIL FROM:<\xfftab@b.test>', 553)
            wire.mail('ann@router.test')
            wire.want('QUIT', 221)
        router.wait_mails()
        router.process.send_signal(signal.SIGTERM)
        self.assertEqual(router.process.wait(30), 0)
        lines = [json.loads(l) for l in router.log_text().splitlines()]
        events = {l['event'] for l in lines}
        self.assertTrue({'start', 'listen', 'connect', 'route', 'enqueue', 'deliver', 'refuse',
                         'disconnect', 'stop'} <= events, events)
        self.assertTrue(all('ts' in l for l in lines))

    def test_main_file_names(self):
        """A site's own pmdf.cnf or imta.cnf; a file instead of a folder; two main files
        are an error."""
        for name in ('pmdf.cnf', 'imta.cnf'):
            with self.subTest(name):
                port = free_port()
                files = simple(port)
                files[name] = files.pop('pointsman.cnf')
                router = self.router(files)
                router.start()
                kit.send(port, 'ann@router.test')
                self.assertEqual(router.stop(), 0)
                router.write('pointsman.cnf', files[name])
                router.start(wait=False)
                self.assertEqual(router.process.wait(30), 1)
                self.assertIn(name, router.log_text())
                router.process = None
                router.conf = os.path.join(router.conf, name)
                router.start()

    def test_pmdf_certificate_files(self):
        """No tls.cnf: server-pub.pem and server-priv.pem beside the main file."""
        port = free_port()
        router = self.router(dict(simple(port, TLS), **{'tls.cnf': None}))
        for name in ('server-pub.pem', 'server-priv.pem'):
            shutil.move(router.path('tls', name), router.path('conf', name))
        router.start()
        kit.send(port, 'ann@router.test', tls='starttls')

    def test_relative_paths(self):
        """They start at the configuration's folder, wherever the daemon was started."""
        port = free_port()
        router = self.router(simple(port))
        router.start(cwd='/')
        kit.send(port, 'ann@router.test')
        router.wait_mails()

    def test_many_sessions(self):
        """Hundreds at once, none of which is lost."""
        port = free_port()
        router = self.router(simple(port))
        router.start()
        wires = [kit.Wire(port, greeting=False) for _ in range(300)]
        for wire in wires:
            self.assertEqual(wire.reply().code, 220)
        self.assertEqual(router.status()['sessions_open'], 300)
        for wire in wires:
            wire.close()
        router.wait_status(sessions_open=0)
