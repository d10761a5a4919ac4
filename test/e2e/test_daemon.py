"""The daemon's own life: starting and refusing to, privileges, reloading, the control
socket, running out of descriptors, ending."""
import json
import os
import pwd
import resource
import signal
import socket
import stat
import subprocess
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import kit
from harness import DAEMON, USER, RouterTest, free_port, make_certificate, wait_until

RULES = ['router.test $U%$D@router.test']
CHANNELS = ['tcp_local smtp maytls logging\ntcp-daemon']


def files(*ports, channels=CHANNELS, services=None):
    """A small site with a service in each of these ports."""
    if services is None:
        services = [kit.service('S%d' % i, 'tcp_local', port=p) for i, p in enumerate(ports)]
    return kit.site(RULES, channels, services, localdomains=['router.test'])


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


def ask(router, line, until=b'\n'):
    """Sends bytes to the control socket; the reply as an object, None if there is none."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(router.path('run', 'control'))
        s.sendall(line)
        data = b''
        while not data.endswith(until):
            more = s.recv(65536)
            if not more:
                break
            data += more
    return json.loads(data) if data else None


def command(name):
    return json.dumps({'v': 1, 'command': name}).encode() + b'\n'


class DaemonTest(RouterTest):
    def site(self, *ports, **options):
        return self.router(files(*ports), **options)

    def ends(self, router, *texts):
        """The daemon does not start: exit code 1 and these texts."""
        router.start(wait=False)
        self.assertEqual(router.process.wait(20), 1, router.log_text())
        router.process = None
        said = router.log_text()
        for text in texts:
            self.assertIn(text, said)
        self.assertNotIn('event=start', said)
        return said

    def refused(self, router, *texts):
        """And that before there is a log."""
        said = self.ends(router, *texts)
        self.assertNotIn('event=', said)
        return said

    def reload(self, router, code=0):
        done = router.tool('reload')
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout


class Start(DaemonTest):
    def test_events(self):
        port = free_port()
        router = self.site(port).start()
        start = router.events('start')[0]
        self.assertEqual(start['workers'], '2')
        self.assertTrue(start['file'].endswith('/conf/pointsman.cnf'), start)
        self.assertEqual(int(start['pid']), router.process.pid)
        listen = router.wait_event('listen', service='S0')
        self.assertEqual(listen['address'], '127.0.0.1:%d' % port)
        self.assertEqual((listen['channel'], listen['tls']), ('tcp_local', 'starttls'))
        self.assertEqual([t for t in router.log_text().splitlines() if ' event=' not in t], [])

    def test_log_as_json(self):
        router = self.site(free_port())
        with open(router.path('conf', 'option.dat'), 'a', encoding='ascii') as file:
            file.write('LOG_FORMAT=5\n')
        router.start(wait=False)
        wait_until('start', lambda: '"event":"start"' in router.log_text())
        for text in router.log_text().splitlines():
            self.assertIn('event', json.loads(text))

    def test_all_addresses(self):
        """No INTERFACE_ADDRESS: IPv4 and IPv6, each once."""
        port = free_port()
        text = '[SERVICE=ALL]\nPORT=%d\nPARAMETER=CHANNEL=tcp_local\n' % port
        router = self.router({**files(), 'dispatcher.cnf': text}).start()
        router.wait_event('listen', address='0.0.0.0:%d' % port)
        with socket.create_connection(('127.0.0.1', port), 10) as s:
            self.assertEqual(s.recv(3), b'220')
        if os.path.exists('/proc/net/if_inet6') and router.events('listen', address='[::]:%d' % port):
            with socket.create_connection(('::1', port), 10) as s:
                self.assertEqual(s.recv(3), b'220')

    def test_second_daemon(self):
        port = free_port()
        router = self.site(port).start()
        done = subprocess.run([DAEMON, '-c', router.conf], capture_output=True, text=True,
                              timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('in use by process %d' % router.process.pid, done.stderr)
        self.assertTrue(listens(port))
        self.assertEqual(self.reload(router).count('loaded'), 1)

    def test_port_of_another_program(self):
        """Also when that one would share it (SO_REUSEPORT)."""
        for shared in (0, 1):
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
                s.bind(('127.0.0.1', 0))
                s.listen()
                port = s.getsockname()[1]
                self.refused(self.site(free_port(), port), 'dispatcher.cnf:', 'error: service S1 '
                             'cannot listen on 127.0.0.1:%d: Address already in use' % port)

    def test_one_port_twice(self):
        port = free_port()
        self.refused(self.site(port, port), 'dispatcher.cnf:', 'S0', '%d' % port)

    def test_foreign_address(self):
        text = '[SERVICE=X]\nINTERFACE_ADDRESS=192.0.2.77\nPORT=%d\nPARAMETER=CHANNEL=tcp_local\n'
        router = self.router({**files(), 'dispatcher.cnf': text % free_port()})
        self.refused(router, 'cannot listen on 192.0.2.77:', 'does not have that address')

    def test_no_service(self):
        self.refused(self.router({**files(), 'dispatcher.cnf': ''}), 'error: ', 'service')

    def test_all_errors_in_one_run(self):
        channels = ['tcp_local smtp port 70000\ntcp-daemon',
                    'tcp_x smtp tlsswitchchannel tcp_nowhere\ntcp-x-daemon']
        said = self.refused(self.router(files(free_port(), channels=channels)),
                            'pointsman.cnf:', '70000', 'tcp_nowhere', '^')
        self.assertGreaterEqual(said.count(' error: '), 2)

    def test_no_certificate(self):
        """The channel could offer TLS: an error, never a listener without STARTTLS."""
        router = self.site(free_port())
        router.write('tls.cnf', '[*]\nserver_cert = /nonexistent.pem\nserver_key = /nonexistent.pem\n')
        self.refused(router, 'tls.cnf:2:', '/nonexistent.pem', 'No such file')

    def test_missing_configuration(self):
        router = self.site(free_port())
        router.conf = router.path('nowhere')
        self.refused(router, 'nowhere')

    def test_wrong_usage(self):
        for arguments in (['--bogus'], ['--workers', '0'], ['--workers', 'x'], ['extra'],
                          ['--retry-after', '-1'], ['-c']):
            done = subprocess.run([DAEMON] + arguments, capture_output=True, timeout=20, check=False)
            self.assertEqual(done.returncode, 2, arguments)
        for argument, text in (('--help', 'usage: pointsmand'), ('--version', 'pointsmand ')):
            done = subprocess.run([DAEMON, argument], capture_output=True, text=True, timeout=20,
                                  check=True)
            self.assertIn(text, done.stdout)

    def test_check(self):
        router = self.site(free_port()).start()
        check = [DAEMON, '-c', router.conf, '--check']
        done = subprocess.run(check, capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        router.write('tls.cnf', '[*]\nserver_cert = no.pem\nserver_key = no.pem\n')
        done = subprocess.run(check, capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('tls.cnf:2:', done.stderr)

    def test_workers_option(self):
        router = self.site(free_port())
        router.arguments.append('--workers=3')
        self.assertEqual(router.start().events('start')[0]['workers'], '3')


@unittest.skipUnless(os.geteuid() == 0, 'needs root')
class Root(DaemonTest):
    def test_rights_are_given_up(self):
        router = self.site(free_port()).start()
        user = pwd.getpwnam(USER)
        tasks = '/proc/%d/task' % router.process.pid
        for thread in os.listdir(tasks):
            with open('%s/%s/status' % (tasks, thread), encoding='ascii') as file:
                status = dict(line.rstrip('\n').split(':\t', 1) for line in file if ':\t' in line)
            self.assertEqual(status['Uid'].split(), [str(user.pw_uid)] * 4)
            self.assertEqual(status['Gid'].split(), [str(user.pw_gid)] * 4)
            self.assertNotIn('0', status['Groups'].split())
            self.assertEqual(status['NoNewPrivs'].strip(), '1')
            self.assertEqual(int(status['CapEff'], 16), 0)
            self.assertEqual(int(status['CapPrm'], 16), 0)
        self.assertEqual(router.events('start')[0]['user'], USER)

    def test_new_folders_are_the_users(self):
        router = self.site(free_port(), users=())
        os.rmdir(router.path('mail'))
        os.rmdir(router.path('run'))
        router.start()
        uid = pwd.getpwnam(USER).pw_uid
        for name, mode in (('queue', 0o700), ('mail', 0o700), ('run', 0o755)):
            st = os.stat(router.path(name))
            self.assertEqual((st.st_uid, stat.S_IMODE(st.st_mode)), (uid, mode), name)

    def test_existing_folder_is_left_alone(self):
        router = self.site(free_port())
        os.chmod(router.path('run'), 0o711)
        router.start()
        self.assertEqual(stat.S_IMODE(os.stat(router.path('run')).st_mode), 0o711)

    def with_user(self, user):
        router = self.site(free_port())
        with open(router.path('conf', 'option.dat'), 'a', encoding='ascii') as file:
            file.write('USER=%s\n' % user)
        return router

    def test_missing_user(self):
        self.refused(self.with_user('nobody-has-this'), "user 'nobody-has-this' does not exist",
                     'useradd --system')

    def test_never_as_root(self):
        self.refused(self.with_user('root'), 'never serves as root')

    def test_key_only_root_can_read(self):
        router = self.site(free_port())
        os.chown(router.path('tls', 'server-priv.pem'), 0, 0)
        self.refused(router, 'tls.cnf:3:', 'server-priv.pem', 'Permission denied')

    def test_privileged_port(self):
        """Bound as root, then served as the user."""
        port = next(p for p in range(1023, 600, -1) if not listens(p))
        router = self.site(port).start()
        with kit.Wire(port) as client:
            client.ehlo()
        self.assertEqual(router.events('start')[0]['user'], USER)


class Reload(DaemonTest):
    def test_ports_come_and_go(self):
        kept, gone, new = free_port(), free_port(), free_port()
        router = self.site(kept, gone).start()
        wait_until('both listen', lambda: listens(kept) and listens(gone))
        with kit.Wire(kept) as session:
            session.ehlo()
            router.write('dispatcher.cnf', files(kept, new)['dispatcher.cnf'])
            self.assertIn('2 services', self.reload(router))
            self.assertTrue(listens(kept) and listens(new))
            wait_until('the old port is closed', lambda: not listens(gone))
            session.mail('ann@router.test')  # the session lives on
        router.wait_event('reload', result='loaded', by='control')
        self.assertEqual(len(router.events('listen', address='127.0.0.1:%d' % kept)), 1)
        self.assertEqual(len(router.events('listen', address='127.0.0.1:%d' % new)), 1)

    def test_every_worker_has_the_new_one(self):
        port = free_port()
        router = self.site(port).start()
        router.write('pointsman.cnf', files(port, channels=['tcp_local smtp notls\ntcp-daemon'])
                     ['pointsman.cnf'])
        self.reload(router)
        for _ in range(20):
            with kit.Wire(port) as client:
                self.assertNotIn('STARTTLS', client.ehlo())

    def test_new_certificate(self):
        port = free_port()
        router = self.site(port).start()

        def certificate():
            with kit.Wire(port) as client:
                client.ehlo()
                client.starttls()
                return client.socket.getpeercert(True)
        first = certificate()
        make_certificate(router.path('tls'))
        router.give_to_user()
        self.assertEqual(certificate(), first)
        self.reload(router)
        self.assertNotEqual(certificate(), first)

    def test_hang_up(self):
        port, new = free_port(), free_port()
        router = self.site(port).start()
        router.write('dispatcher.cnf', files(port, new)['dispatcher.cnf'])
        router.hang_up()
        router.wait_event('reload', result='loaded', by='SIGHUP')
        wait_until('the new port', lambda: listens(new))

    def test_errors_change_nothing(self):
        port, new = free_port(), free_port()
        router = self.site(port).start()
        bad = files(port, new, channels=['tcp_local smtp port 70000\ntcp-daemon'])
        router.write('pointsman.cnf', bad['pointsman.cnf'])
        router.write('dispatcher.cnf', bad['dispatcher.cnf'])
        said = self.reload(router, code=1)
        self.assertIn('pointsman.cnf:', said)
        self.assertIn('70000', said)
        self.assertIn('^', said)
        self.assertIn('stays as it was', said)
        config = router.wait_event('config', severity='error')
        self.assertTrue(config['at'].startswith('pointsman.cnf:'), config)
        router.wait_event('reload', result='refused')
        self.assertFalse(listens(new))
        kit.send(port, 'ann@router.test', tls='starttls')

    def test_broken_certificate_changes_nothing(self):
        port = free_port()
        router = self.site(port).start()
        with open(router.path('tls', 'server-priv.pem'), 'w', encoding='ascii') as file:
            file.write('not a key\n')
        self.assertIn('server-priv.pem', self.reload(router, code=1))
        kit.send(port, 'ann@router.test', tls='starttls')

    def test_taken_port_changes_nothing(self):
        port, new = free_port(), free_port()
        router = self.site(port).start()
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            s.listen()
            taken = s.getsockname()[1]
            router.write('dispatcher.cnf', files(port, new, taken)['dispatcher.cnf'])
            self.assertIn('127.0.0.1:%d: Address already in use' % taken, self.reload(router, code=1))
        self.assertFalse(listens(new))
        self.assertTrue(listens(port))
        self.assertIn('3 services', self.reload(router))

    def test_wildcard_beside_one_address(self):
        """Our own socket on 127.0.0.1 does not make 0.0.0.0 'in use', unless it was opened
        as root."""
        port = free_port()
        router = self.site(port).start()
        text = files(port)['dispatcher.cnf'] + '[SERVICE=ALL]\nINTERFACE_ADDRESS=0.0.0.0\n' \
            'PORT=%d\nPARAMETER=CHANNEL=tcp_local\n' % port
        router.write('dispatcher.cnf', text)
        if os.geteuid() == 0:
            self.assertIn('start it again to have both', self.reload(router, code=1))
            self.assertEqual(router.stop(), 0)
            router.start()
        else:
            self.reload(router)
        with socket.create_connection(('127.0.0.2', port), 10) as s:
            self.assertEqual(s.recv(3), b'220')

    def test_fixed_options(self):
        router = self.site(free_port()).start()
        with open(router.path('conf', 'option.dat'), encoding='ascii') as file:
            text = file.read()
        router.write('option.dat', text.replace('WORKERS=2', 'WORKERS=1')
                     .replace('../queue', '../other').replace('run/control', 'run/other')
                     + 'USER=daemon\n')
        for _ in range(2):  # the second reload compares with the start, not with the first
            reply = ask(router, command('reload'))
            self.assertTrue(reply['ok'], reply)
            for name in ('WORKERS', 'QUEUE_DIRECTORY', 'CONTROL_SOCKET', 'USER'):
                self.assertIn('%s takes effect only when the daemon is started again' % name,
                              reply['text'])
        self.assertFalse(os.path.exists(router.path('other')))

    def test_log_format(self):
        router = self.site(free_port()).start()
        with open(router.path('conf', 'option.dat'), 'a', encoding='ascii') as file:
            file.write('LOG_FORMAT=5\n')
        self.reload(router)
        wait_until('JSON', lambda: '"event":"reload"' in router.log_text())

    def test_many_at_once(self):
        """Each is answered; what waits shares one."""
        port = free_port()
        router = self.site(port).start()
        with ThreadPoolExecutor(max_workers=12) as pool:
            replies = list(pool.map(lambda _: ask(router, command('reload')), range(24)))
        self.assertTrue(all(r and r['ok'] for r in replies), replies)
        kit.send(port, 'ann@router.test')

    def test_under_load(self):
        """Mail goes on while the configuration changes under it."""
        port, other = free_port(), free_port()
        router = self.site(port).start()
        with ThreadPoolExecutor(max_workers=4) as pool:
            sent = [pool.submit(kit.send, port, 'ann@router.test') for _ in range(60)]
            for i in range(10):
                router.write('dispatcher.cnf',
                             files(*((port, other) if i % 2 == 0 else (port,)))['dispatcher.cnf'])
                self.reload(router)
            for one in sent:
                one.result()
        router.wait_mails(60)


class Control(DaemonTest):
    def setUp(self):
        self.port = free_port()
        self.daemon = self.site(self.port).start()

    def test_status(self):
        kit.send(self.port, 'ann@router.test')
        self.daemon.wait_mails(1)
        reply = wait_until('delivered', lambda: (
            lambda r: r if r['delivered'] and not r['queue_messages'] else None)(
                ask(self.daemon, command('status'))))
        self.assertEqual((reply['v'], reply['ok'], reply['workers']), (1, True, 2))
        self.assertEqual(reply['pid'], self.daemon.process.pid)
        self.assertEqual((reply['messages_in'], reply['sessions_total']), (1, 1))
        self.assertEqual(reply['services'], [{'name': 'S0', 'address': '127.0.0.1:%d' % self.port,
                                              'channel': 'tcp_local', 'tls': 'starttls'}])
        self.assertTrue(reply['config'].endswith('pointsman.cnf'))
        for text in ('process %d' % self.daemon.process.pid, 'messages accepted', '2 workers',
                     'messages in the queue', '127.0.0.1:%d' % self.port):
            self.assertIn(text, reply['text'])

    def test_status_command(self):
        done = self.daemon.tool('status')
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn('sessions open', done.stdout)

    def test_stop_command(self):
        self.assertTrue(ask(self.daemon, command('stop'))['ok'])
        self.assertEqual(self.daemon.process.wait(15), 0)
        self.assertFalse(os.path.exists(self.daemon.path('run', 'control')))
        self.daemon.process = None

    def test_socket_mode(self):
        st = os.stat(self.daemon.path('run', 'control'))
        self.assertTrue(stat.S_ISSOCK(st.st_mode))
        self.assertEqual(stat.S_IMODE(st.st_mode), 0o600)

    def test_malformed_requests(self):
        for line in (b'\n', b'status\n', b'{}\n', b'{"v":1}\n', b'[]\n', b'{"v":1,"command":1}\n',
                     b'{"v":2,"command":"status"}\n', b'{"v":"1","command":"status"}\n',
                     b'{"v":1,"command":""}\n', b'{"v":1,"command":"status"}x\n',
                     b'{"v":1,"command":"status","more":1}\n', b'{"v":1,"command":"dance"}\n',
                     b'{"v":1,"command":"status","command":"stop"}\n', b'\xff\xfe\n',
                     b'{"v":1,"command":"' + b'a' * 4000 + b'"}\n', b'a' * 4096):
            reply = ask(self.daemon, line)
            self.assertEqual((reply['v'], reply['ok']), (1, False), line)
            self.assertTrue(reply['text'].endswith('\n'), reply)
        self.assertTrue(ask(self.daemon, command('status'))['ok'])

    def test_lost_callers(self):
        for line in (b'', b'{"v":1,"command":"sta', command('status'), command('reload')):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.daemon.path('run', 'control'))
                s.sendall(line)
        self.assertTrue(ask(self.daemon, command('status'))['ok'])

    def test_many_callers(self):
        """More than are served at once are turned away, not kept."""
        held = []
        for _ in range(60):
            s = socket.socket(socket.AF_UNIX)
            self.addCleanup(s.close)
            s.connect(self.daemon.path('run', 'control'))
            held.append(s)
        closed = 0
        for s in held[40:]:
            s.settimeout(10)
            closed += s.recv(1) == b''
        self.assertEqual(closed, 20)
        for s in held:
            s.close()
        wait_until('served again', lambda: self.asks_well())

    def asks_well(self):
        try:
            return (ask(self.daemon, command('status')) or {}).get('ok')
        except OSError:
            return False

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_other_users(self):
        """Even when the socket's mode was opened up."""
        path = self.daemon.path('run', 'control')
        script = 'import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n' \
                 's.sendall(b\'{"v":1,"command":"status"}\\n\')\nsys.exit(len(s.recv(10)))'

        def as_nobody():
            return subprocess.run(['/usr/bin/python3', '-c', script, path], user='nobody', cwd='/',
                                  capture_output=True, text=True, timeout=20, check=False)
        self.assertIn('PermissionError', as_nobody().stderr)
        os.chmod(path, 0o666)
        done = as_nobody()
        self.assertTrue(done.returncode == 0 or 'ConnectionResetError' in done.stderr
                        or 'BrokenPipeError' in done.stderr, done.stderr)
        self.daemon.wait_event('control', error='not allowed', uid=pwd.getpwnam('nobody').pw_uid)

    def test_stale_socket_is_replaced(self):
        self.daemon.kill()
        self.assertTrue(os.path.exists(self.daemon.path('run', 'control')))
        self.daemon.start()
        self.assertTrue(ask(self.daemon, command('status'))['ok'])

    def test_socket_of_another_daemon(self):
        """Another queue, the same CONTROL_SOCKET: the first one keeps it."""
        other = self.site(free_port())
        with open(other.path('conf', 'option.dat'), encoding='ascii') as file:
            text = file.read()
        other.write('option.dat', text.replace('../run/control', self.daemon.path('run', 'control')))
        self.ends(other, 'another process answers on')
        self.assertEqual(ask(self.daemon, command('status'))['pid'], self.daemon.process.pid)

    def test_something_else_in_its_place(self):
        self.assertEqual(self.daemon.stop(), 0)
        with open(self.daemon.path('run', 'control'), 'w', encoding='ascii') as file:
            file.write('precious')
        self.ends(self.daemon, 'is not a socket')
        with open(self.daemon.path('run', 'control'), encoding='ascii') as file:
            self.assertEqual(file.read(), 'precious')


class End(DaemonTest):
    def test_sessions_are_told(self):
        port = free_port()
        router = self.site(port).start()
        with kit.Wire(port) as idle, kit.Wire(port) as busy:
            idle.ehlo()
            busy.ehlo()
            busy.want('MAIL FROM:<sue@far.test>', 250)
            began = time.monotonic()
            router.process.send_signal(signal.SIGTERM)
            for client in (idle, busy):
                self.assertEqual(client.reply().code, 421)
                self.assertTrue(client.is_closed())
        self.assertEqual(router.process.wait(15), 0)
        self.assertLess(time.monotonic() - began, 9)
        router.process = None
        self.assertFalse(listens(port))
        states = [e['state'] for e in router.events('stop')]
        self.assertEqual(states, ['stopping', 'stopped'])

    def test_interrupt(self):
        router = self.site(free_port()).start()
        router.process.send_signal(signal.SIGINT)
        self.assertEqual(router.process.wait(15), 0)
        router.process = None

    def with_hanging_delivery(self):
        """A router with a delivery to a next hop that says nothing, and that hop's socket."""
        port = free_port()
        silent = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(silent.close)
        channel = 'tcp_out smtp nomx daemon 127.0.0.1 port %d\ntcp-out' % silent.getsockname()[1]
        router = self.router(kit.site(
            ['out.test $U%out.test@tcp-out'] + RULES, CHANNELS + [channel],
            [kit.service('S', 'tcp_local', port=port)], ['router.test', 'out.test'])).start()
        kit.send(port, 'bob@out.test')
        silent.settimeout(10)
        return router, silent.accept()[0]

    def test_second_signal(self):
        """A next hop that says nothing holds the first; the second ends at once."""
        router, peer = self.with_hanging_delivery()
        with peer:
            router.process.send_signal(signal.SIGTERM)
            router.wait_event('stop', state='stopping')
            time.sleep(0.5)
            self.assertFalse(router.has_ended())
            router.process.send_signal(signal.SIGTERM)
            self.assertEqual(router.process.wait(5), 1)
        router.start()  # nothing was lost
        self.assertEqual(wait_until('the message is there', lambda: ask(
            router, command('status'))['queue_messages']), 1)
        router.kill()

    def test_time_is_up(self):
        """After ten seconds it ends although a delivery hangs."""
        router, peer = self.with_hanging_delivery()
        with peer:
            router.process.send_signal(signal.SIGTERM)
            self.assertEqual(router.process.wait(20), 0)
        router.process = None
        self.assertEqual([e['state'] for e in router.events('stop')], ['stopping', 'unfinished'])

    def test_stop_while_reloading(self):
        for _ in range(5):
            router = self.site(free_port()).start()
            router.hang_up()
            router.process.send_signal(signal.SIGTERM)
            self.assertEqual(router.process.wait(15), 0, router.log_text())
            router.process = None

    def test_stop_while_committing(self):
        """Sessions that vanish with a commit under way do no harm; what got its 250 is
        delivered, now or after the next start."""
        port = free_port()
        router = self.site(port).start()
        accepted = []
        for _ in range(30):
            client = kit.Wire(port)
            client.ehlo()
            client.want('MAIL FROM:<sue@far.test>', 250)
            client.want('RCPT TO:<ann@router.test>', 250)
            client.want('DATA', 354)
            client.send('Subject: x\r\n\r\nx\r\n.\r\n')
            accepted.append(client)
        router.process.send_signal(signal.SIGTERM)
        count = 0
        for client in accepted:
            try:
                count += client.reply().code == 250
            except kit.Closed:
                pass
            client.close()
        self.assertEqual(router.process.wait(15), 0, router.log_text())
        router.process = None
        router.start()
        router.wait_mails(count)


class Exhaustion(DaemonTest):
    def limited(self, port, descriptors):
        """Started with few descriptors, and no way to get more."""
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        return self.site(port).start(preexec_fn=limit)

    def flood(self, port, count):
        """Opens that many connections and keeps them; returns them and what came first."""
        held = []
        for _ in range(count):
            s = socket.create_connection(('127.0.0.1', port), 10)
            self.addCleanup(s.close)
            held.append(s)
        time.sleep(1)
        first = []
        for s in held:
            s.setblocking(False)
            try:
                first.append(s.recv(3))
            except BlockingIOError:
                first.append(None)
            except ConnectionError:
                first.append(b'')
        return held, first

    def cpu_seconds(self, router):
        with open('/proc/%d/stat' % router.process.pid, encoding='ascii') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def calm(self, router):
        """It does not spin while nothing can be accepted."""
        before = self.cpu_seconds(router)
        time.sleep(2)
        self.assertLess(self.cpu_seconds(router) - before, 0.5)

    def serves_again(self, port):
        try:
            kit.send(port, 'ann@router.test')
            return True
        except (OSError, kit.Refused, kit.smtplib.SMTPException):
            return False

    def test_descriptors(self):
        port = free_port()
        router = self.limited(port, 60)
        held, first = self.flood(port, 100)
        self.assertIn(b'220', first)
        router.wait_event('error', what='accept')
        self.calm(router)
        self.assertLess(len(router.events('error', what='accept')), 10)
        for s in held:
            s.close()
        wait_until('served again', lambda: self.serves_again(port))

    def test_deliveries_go_on(self):
        """Clients never get the last descriptors: what is accepted goes out meanwhile."""
        port = free_port()
        router = self.limited(port, 64)
        with kit.Wire(port) as wire:
            wire.ehlo()
            self.flood(port, 100)
            wire.mail('ann@router.test', body='Subject: small\r\n\r\nx\r\n')
            wire.mail('ann@router.test', body='x' * 70 + '\r\n' + ('y' * 70 + '\r\n') * 2000)
            router.wait_mails(2)
            self.calm(router)

    def test_threads(self):
        """Without enough of them it does not start, and says so."""
        def limit():
            resource.setrlimit(resource.RLIMIT_NPROC, (900, 900))
        router = self.site(free_port())
        router.start(wait=False, preexec_fn=limit,
                     env=dict(os.environ, UV_THREADPOOL_SIZE='1000'))
        self.assertEqual(router.process.wait(20), 1)
        router.process = None
        self.assertIn("cannot start the daemon's threads", router.log_text())
        self.assertEqual(router.events('start'), [])

    def test_sessions(self):
        """Beyond the limit: 421 and closed."""
        port = free_port()
        router = self.limited(port, 300)  # 50 sessions for each of two workers
        held, first = self.flood(port, 200)
        self.assertGreaterEqual(first.count(b'421'), 50, first)
        self.assertLessEqual(first.count(b'220'), 100, first)
        router.wait_event('error', what='accept', reason='too many sessions')
        self.calm(router)
        for s in held:
            s.close()
        wait_until('served again', lambda: self.serves_again(port))
