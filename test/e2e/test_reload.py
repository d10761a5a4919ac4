"""Reload by the tool and by SIGHUP: check, prepare, swap; an error changes nothing and is
shown to who asked; sessions that are open go on."""
import hashlib
import os
import socket
import ssl
import subprocess

import kit
from harness import OPTION_DAT, RouterTest, free_port, make_certificate, wait_until
from peers import SmtpSink

RULES = ['. $U%$H@tcp-daemon']
CHANNELS = ['tcp_local smtp maytls tlsswitchchannel tcp_tls logging\ntcp-daemon',
            'tcp_tls smtp maytls logging\ntcp-tls-daemon']


def fingerprint(port):
    """Of the certificate a new session gets."""
    with kit.Wire(port) as wire:
        wire.ehlo()
        wire.starttls()
        return hashlib.sha256(wire.socket.getpeercert(True)).hexdigest()


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


class Reload(RouterTest):
    def begin(self, **more):
        self.port = free_port()
        self.files = self.site(**more)
        self.it = self.router(self.files)
        self.it.start()
        return self.it

    def site(self, rules=RULES, channels=CHANNELS, services=(), localdomains=(), **more):
        return kit.site(rules, channels, [kit.service('SMTP', 'tcp_local', self.port)] +
                        list(services), localdomains, **more)

    def change(self, files):
        for name, text in files.items():
            self.it.write(name, text)

    def reload(self, code=0):
        done = self.it.tool('reload')
        self.assertEqual(done.returncode, code, done.stdout + self.it.log_text()[-3000:])
        return done.stdout

    def accepts(self, address):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            return wire.say('RCPT TO:<%s>' % address).code == 250

    # --- what is good ---

    def test_new_rules_hold(self):
        self.begin()
        self.assertFalse(self.accepts('bob@new.test'))
        self.change(self.site(localdomains=['new.test']))
        text = self.reload()
        self.assertIn('loaded', text)
        self.assertIn('2 channels', text.replace('3 channels', '2 channels'))
        self.assertTrue(self.accepts('bob@new.test'))
        event = self.it.wait_event('reload', result='loaded')
        self.assertEqual(event['by'], 'control')

    def test_sighup(self):
        self.begin()
        self.change(self.site(localdomains=['new.test']))
        self.it.hang_up()
        event = self.it.wait_event('reload', result='loaded')
        self.assertEqual(event['by'], 'SIGHUP')
        self.assertTrue(self.accepts('bob@new.test'))

    def test_sighup_with_an_error(self):
        self.begin()
        self.change({'pointsman.cnf': self.files['pointsman.cnf'].replace('maytls', 'maytsl')})
        self.it.hang_up()
        self.it.wait_event('reload', result='refused')
        config = self.it.wait_event('config', severity='error')
        self.assertRegex(config['at'], r'^pointsman\.cnf:6:16$')
        self.assertTrue(self.accepts('ann@router.test'))

    def test_warnings_are_shown(self):
        self.begin()
        self.change({'pointsman.cnf': self.files['pointsman.cnf'].replace(
            'smtp maytls log', 'smtp notls maytls log')})
        text = self.reload()
        self.assertIn('warning: ', text)
        self.assertIn('pointsman.cnf:', text)

    def test_services_come_and_go(self):
        first, second = free_port(), free_port()
        self.begin(services=[])
        self.change(self.site(services=[kit.service('A', 'tcp_tls', first),
                                        kit.service('B', 'tcp_tls', second)]))
        self.reload()
        self.assertTrue(is_open(first) and is_open(second) and is_open(self.port))
        self.change(self.site(services=[kit.service('B', 'tcp_tls', second)]))
        self.reload()
        wait_until('the port is closed', lambda: not is_open(first))
        self.assertTrue(is_open(second) and is_open(self.port))
        with kit.Wire(second) as wire:
            wire.ehlo()

    def test_log_format(self):
        self.begin()
        self.it.write('option.dat', OPTION_DAT + 'LOG_FORMAT=5\n')
        self.reload()
        kit.Wire(self.port).close()
        wait_until('JSON', lambda: '{"ts":' in self.it.log_text() and
                   '"event":"connect"' in self.it.log_text())

    def test_what_needs_a_restart_is_said(self):
        self.begin()
        self.it.write('option.dat', OPTION_DAT.replace('WORKERS=2', 'WORKERS=3'))
        said = self.reload()
        self.assertIn('WORKERS takes effect only', said)
        self.assertIn('[needs-restart]', said)
        changed = OPTION_DAT.replace('WORKERS=2', 'WORKERS=3')
        self.it.write('option.dat', changed + 'SILENCE=needs-restart\n')
        self.assertNotIn('WORKERS', self.reload())
        self.assertEqual(self.it.status()['workers'], 2)

    def test_renewed_address(self):
        """From one interface address to another on the same port."""
        self.begin()
        dispatcher = self.files['dispatcher.cnf']
        self.change({'dispatcher.cnf': dispatcher.replace('127.0.0.1', '127.0.0.20')})
        self.reload()
        wait_until('the old address is closed', lambda: not is_open(self.port))
        with socket.create_connection(('127.0.0.20', self.port), 10) as s:
            self.assertTrue(s.recv(100).startswith(b'220 '))

    # --- certificates ---

    def test_new_certificate(self):
        """New sessions get it, the old session stays inside its TLS."""
        self.begin()
        old = fingerprint(self.port)
        wire = kit.Wire(self.port)
        self.addCleanup(wire.close)
        wire.ehlo()
        wire.starttls()
        make_certificate(self.it.path('tls'), 'renewed.test')
        self.it.give_to_user()
        self.assertEqual(fingerprint(self.port), old)
        self.reload()
        self.assertNotEqual(fingerprint(self.port), old)
        self.assertEqual(hashlib.sha256(wire.socket.getpeercert(True)).hexdigest(), old)
        wire.ehlo()
        wire.mail('ann@router.test')
        self.it.wait_mails()

    def test_bad_certificate(self):
        """Kept: the old certificate; shown: the file and the reason; exit code 1."""
        self.begin()
        old = fingerprint(self.port)
        with open(self.it.path('tls', 'server-pub.pem'), 'w') as file:
            file.write('rubbish\n')
        text = self.reload(1)
        self.assertIn('server-pub.pem', text)
        self.assertIn('error: ', text)
        self.assertEqual(fingerprint(self.port), old)

    def test_key_not_readable_any_more(self):
        self.begin()
        old = fingerprint(self.port)
        os.remove(self.it.path('tls', 'server-priv.pem'))
        text = self.reload(1)
        self.assertIn('server-priv.pem', text)
        self.assertIn('No such file', text)
        self.assertEqual(fingerprint(self.port), old)

    def test_certificate_taken_away(self):
        """A TLS channel without any certificate: refused, never a listener that silently
        lacks STARTTLS."""
        self.begin()
        self.it.write('tls.cnf', None)
        self.assertIn('certificate', self.reload(1))
        with kit.Wire(self.port) as wire:
            self.assertIn('STARTTLS', wire.ehlo())

    # --- what is bad ---

    def refused(self, files, *texts):
        self.begin()
        self.change(files(self) if callable(files) else files)
        text = self.reload(1)
        for one in texts:
            self.assertIn(one, text)
        self.assertIn('stays as it was', text)
        self.assertEqual(self.it.events('reload')[-1]['result'], 'refused')
        word = kit.token()
        kit.send(self.port, 'ann@router.test', tls='starttls', subject=word)
        self.it.find_mail(word.encode())

    def test_error_changes_nothing(self):
        """Half of the change is good: none of it holds."""
        self.refused(lambda self: self.site(
            channels=CHANNELS + ['tcp_x smtp port 99999\ntcp-x-daemon'],
            localdomains=['new.test']), 'pointsman.cnf:12:17: error: ', '^~~~')
        self.assertFalse(self.accepts('bob@new.test'))

    def test_service_to_no_channel(self):
        self.refused(lambda self: self.site(services=[
            kit.service('X', 'tcp_x', free_port())]), 'dispatcher.cnf:', 'tcp_x')

    def test_port_in_use(self):
        with socket.socket() as s:
            taken = free_port()
            s.bind(('127.0.0.1', taken))
            s.listen()
            self.refused(lambda self: self.site(localdomains=['new.test'], services=[
                kit.service('X', 'tcp_tls', taken)]), '127.0.0.1:%d' % taken, 'in use')
            self.assertFalse(self.accepts('bob@new.test'))

    def test_main_file_gone(self):
        self.refused({'pointsman.cnf': None}, 'pointsman.cnf')

    def test_no_service_left(self):
        self.refused({'dispatcher.cnf': ''}, 'service')

    # --- sessions that are open ---

    def test_transaction_sees_one_configuration(self):
        """The recipients of a transaction under way are judged by the old rules, those of
        the next one by the new."""
        self.begin(localdomains=['old.test'])
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            wire.want('RCPT TO:<a@old.test>', 250)
            self.change(self.site(localdomains=['new.test']))
            self.reload()
            wire.want('RCPT TO:<b@old.test>', 250)
            wire.want('RCPT TO:<c@new.test>', 550)
            wire.want('RSET', 250)
            wire.want('MAIL FROM:<sue@far.test>', 250)
            wire.want('RCPT TO:<a@old.test>', 550)
            wire.want('RCPT TO:<c@new.test>', 250)

    def test_keyword_of_an_open_session(self):
        """Between transactions the session moves on: its channel insists on TLS now."""
        self.begin()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.mail('ann@router.test')
            self.change({'pointsman.cnf': self.files['pointsman.cnf'].replace(
                'maytls tlsswitch', 'musttls tlsswitch')})
            self.reload()
            wire.want('NOOP', 250)
            wire.want('MAIL FROM:<a@b.test>', 530, '5.7.0')

    def test_channel_of_an_open_session_is_gone(self):
        """It is told to come again, and what it had sent is delivered."""
        self.begin(services=[])
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.starttls()
            wire.ehlo()
            wire.want('MAIL FROM:<a@b.test>', 250)
            wire.want('RCPT TO:<ann@router.test>', 250)
            self.change(self.site(channels=['tcp_local smtp maytls\ntcp-daemon']))
            self.reload()
            wire.want('DATA', 354)
            wire.send('Subject: kept\r\n\r\nx\r\n')
            wire.want('.', 250)
            self.assertEqual(wire.reply().code, 421)
            self.assertTrue(wire.is_closed())
        self.it.find_mail(b'Subject: kept')

    def test_under_load(self):
        """Twenty reloads while messages come in and go out: none is lost or refused."""
        sink = SmtpSink()
        self.addCleanup(sink.stop)
        self.begin()
        files = self.site(
            rules=['out.test $U%$D@tcp-out-daemon'] + RULES, localdomains=['out.test'],
            channels=CHANNELS + ['tcp_out smtp nomx daemon 127.0.0.1 port %d\ntcp-out-daemon'
                                 % sink.port])
        self.change(files)
        self.reload()
        words = []
        for i in range(20):
            reload = subprocess.Popen([os.path.join(os.environ['POINTSMAN_BUILD'], 'pointsman'),
                                       '-c', self.it.conf, 'reload'],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for tls in (None, 'starttls', None):
                words.append(kit.token())
                kit.send(self.port, ['ann@router.test', 'bob@out.test'], subject=words[-1],
                         tls=tls)
            self.assertEqual(reload.wait(30), 0)
        for word in words:
            self.it.find_mail(word.encode())
        wait_until('all at smtp-sink', lambda: len(sink.messages()) >= len(words))
        self.assertEqual(len(sink.messages()), len(words))

    def test_old_tls_versions_stay_out(self):
        """The new context is as strict as the first one."""
        self.begin()
        self.reload()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                wire.starttls(kit.client_context(only=ssl.TLSVersion.TLSv1_1))
