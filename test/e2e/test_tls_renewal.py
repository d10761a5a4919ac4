"""Certificates at run time: their files are watched, `pointsman tls reload` and `contexts`,
what happens to sessions, to broken files and to dates that come near."""
import hashlib
import json
import os
import shutil
import ssl

import kit
from harness import OPTION_DAT, RouterTest, free_port, make_certificate, wait_until
from peers import Aiosmtpd, Nsd
from pki import NAME, pki

CHANNELS = ['tcp_local smtp maytls logging\ntcp-daemon',
            'tcp_bank smtp maytls tlsprofile bank logging\ntcp-bank-daemon']
TLS_CNF = """\
[*]
server_cert = ../tls/server-pub.pem
server_key = ../tls/server-priv.pem
[bank]
server_cert = ../tls/bank/server-pub.pem
server_key = ../tls/bank/server-priv.pem
"""


class Renewal(RouterTest):
    def begin(self):
        self.port, self.bank = free_port(), free_port()
        self.it = self.router(kit.site(
            ['. $U%$H@tcp-daemon'], CHANNELS,
            [kit.service('SMTP', 'tcp_local', self.port),
             kit.service('BANK', 'tcp_bank', self.bank)], files={'tls.cnf': TLS_CNF}))
        os.mkdir(self.it.path('tls', 'bank'))
        make_certificate(self.it.path('tls', 'bank'), 'bank.test')
        self.it.give_to_user()
        self.it.start()

    def renew(self, folder='.', name='renewed.test'):
        """Certificate first, then the key, each put in its place at once."""
        made = self.it.path('made')
        os.makedirs(made, exist_ok=True)
        make_certificate(made, name)
        for file in ('server-pub.pem', 'server-priv.pem'):
            os.rename(os.path.join(made, file), self.it.path('tls', folder, file))
        self.it.give_to_user()

    def install(self, leaf, folder='.'):
        for file, there in zip(pki().pair(leaf), ('server-pub.pem', 'server-priv.pem')):
            shutil.copy(file, self.it.path('tls', folder, there))
            os.chmod(self.it.path('tls', folder, there), 0o600)
        self.it.give_to_user()

    def shown(self, port=None):
        """The certificate a new session gets."""
        with kit.Wire(port or self.port) as wire:
            wire.ehlo()
            wire.starttls()
            return wire.socket.getpeercert(True)

    def tool(self, *words, code=0):
        done = self.it.tool(*words)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def contexts(self):
        reply = json.loads(self.tool('tls', 'contexts', '--json'))
        return {(c['profile'], c['role']): c for c in reply['contexts'] if c['in_force']}

    def broken(self, file='server-pub.pem', folder='.'):
        with open(self.it.path('tls', folder, file), 'w', encoding='ascii') as out:
            out.write('rubbish\n')

    # --- what is noticed ---

    def test_files_are_watched(self):
        """New sessions get the new certificate, the old one goes on; nothing else is read,
        not even a main file that would be refused."""
        self.begin()
        old = self.shown()
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.starttls()
            wire.ehlo()
            wire.want('MAIL FROM:<a@b.test>', 250)
            self.it.write('pointsman.cnf', 'rubbish')
            self.renew()
            event = self.it.wait_event('renew', result='renewed')
            self.assertEqual(event['by'], 'files')
            self.assertIn(b'renewed.test', self.shown())
            self.assertEqual(wire.socket.getpeercert(True), old)
            wire.want('RCPT TO:<ann@router.test>', 250)
            wire.want('DATA', 354)
            wire.send('Subject: same session\r\n\r\nx\r\n')
            wire.want('.', 250)
        self.it.find_mail(b'Subject: same session')
        self.assertFalse(self.it.events('reload') or self.it.events('config'))

    def test_other_profiles_stay(self):
        self.begin()
        old = self.shown(self.bank)
        self.renew()
        self.it.wait_event('renew', result='renewed')
        self.assertEqual(self.shown(self.bank), old)

    def test_turned_link(self):
        """As certbot and others do it."""
        self.begin()
        for n, name in enumerate(('one.test', 'two.test')):
            os.mkdir(self.it.path('tls', str(n)))
            make_certificate(self.it.path('tls', str(n)), name)
        live = self.it.path('tls', 'live')
        os.symlink('0', live)
        self.it.write('tls.cnf', TLS_CNF.replace('tls/server', 'tls/live/server'))
        self.it.give_to_user()
        self.tool('reload')
        self.assertIn(b'one.test', self.shown())
        os.symlink('1', live + '.new')
        os.rename(live + '.new', live)
        self.it.wait_event('renew', result='renewed')
        self.assertIn(b'two.test', self.shown())

    # --- CAs ---

    def partner(self, ca):
        """Only clients with a certificate of this CA."""
        shutil.copy(pki().path(ca), self.it.path('tls', 'partner.pem'))
        self.it.give_to_user()

    def verified(self, wire):
        context = kit.client_context()
        context.load_cert_chain(*pki().pair('client'))
        wire.ehlo()
        wire.starttls(context)
        wire.ehlo()

    def test_a_ca_is_taken_away(self):
        """Who was verified by it is not any more; a renewal that leaves it as it is, as of our
        own certificate, disturbs nobody."""
        port = free_port()
        self.it = self.router(kit.site(
            ['. $U%$H@tcp-daemon'], ['tcp_local smtp maytls musttlspeer logging\ntcp-daemon'],
            [kit.service('SMTP', 'tcp_local', port)],
            files={'tls.cnf': TLS_CNF.split('[bank]')[0] +
                              'client_ca_file = ../tls/partner.pem\n'}))
        self.partner('root.pem')
        self.it.start()
        with kit.Wire(port) as wire:
            self.verified(wire)
            self.renew()
            self.it.wait_event('renew', result='renewed')
            for _ in range(2):
                wire.want('MAIL FROM:<a@b.test>', 250)
                wire.want('RSET', 250)
            self.partner('other.pem')
            self.tool('tls', 'reload')
            reply = wire.say('NOOP')
            self.assertEqual(reply.code if reply.code == 421 else wire.reply().code, 421)
        with kit.Wire(port) as wire:
            self.verified(wire)
            wire.want('MAIL FROM:<a@b.test>', 550, '5.7.1')

    # --- what is broken ---

    def test_broken_certificate(self):
        """The old one stays; log and status say why; what is in order is taken; and when it
        is repaired all is well by itself."""
        self.begin()
        old = self.shown()
        self.broken()
        self.renew('bank', 'newbank.test')
        self.it.wait_event('renew', result='refused')
        error = self.it.wait_event('config', severity='error')
        self.assertIn('server-pub.pem', error['text'])
        self.assertTrue(error['at'].startswith('tls.cnf:2:'), error)
        self.assertEqual(self.shown(), old)
        self.assertIn(b'newbank.test', self.shown(self.bank))
        status = self.it.status()
        self.assertIn('server-pub.pem', status['certificate_error'])
        self.assertIn('certificates not all renewed', self.tool('status'))
        self.renew()
        self.it.wait_event('renew', result='renewed')
        self.assertIn(b'renewed.test', self.shown())
        self.assertNotIn('certificate_error', self.it.status())

    def test_broken_is_told_once(self):
        """A file that stays broken is not read again and again."""
        self.begin()
        self.broken()
        self.it.wait_event('renew', result='refused')
        self.tool('tls', 'reload', code=1)
        self.renew('bank', 'newbank.test')
        wait_until('another look', lambda: len(self.it.events('renew', by='files')) == 2)
        self.assertEqual(len(self.it.events('renew')), 3)

    def test_refused_reload_is_in_status(self):
        self.begin()
        self.broken('server-priv.pem', 'bank')
        self.assertIn('server-priv.pem', self.tool('reload', code=1))
        self.assertIn('server-priv.pem', self.it.status()['reload_error'])
        self.assertIn('new configuration refused', self.tool('status'))
        self.renew('bank')
        self.tool('reload')
        status = self.it.status()
        self.assertFalse({'reload_error', 'certificate_error'} & set(status), status)

    # --- commands ---

    def test_tls_reload(self):
        self.begin()
        self.renew()
        self.assertIn('read again', self.tool('tls', 'reload'))
        self.assertIn(b'renewed.test', self.shown())
        self.broken()
        text = self.tool('tls', 'reload', code=1)
        self.assertIn('stays as it was', text)
        self.assertIn('tls.cnf:2:', text)
        self.assertIn(b'renewed.test', self.shown())
        self.assertIn("no command 'relaod'", self.tool('tls', 'relaod', code=2))

    def test_tls_contexts(self):
        self.begin()
        seen = self.contexts()
        self.assertEqual(set(seen), {('*', 'server'), ('*', 'client'), ('bank', 'server'),
                                     ('bank', 'client')})
        bank, = seen['bank', 'server']['certificates']
        self.assertEqual(bank['subject'], 'CN=bank.test')
        self.assertIn('DNS:bank.test', bank['names'])
        self.assertEqual(bank['fingerprint'],
                         'sha256:' + hashlib.sha256(self.shown(self.bank)).hexdigest())
        self.assertTrue(29 * 86400 < bank['expires_s'] <= 30 * 86400, bank)
        self.assertEqual(seen['bank', 'client']['certificates'], [])
        with kit.Wire(self.bank) as wire:
            wire.ehlo()
            wire.starttls()
            self.assertEqual(self.contexts()['bank', 'server']['sessions'], 1)
            self.renew('bank')
            self.tool('tls', 'reload')
            self.assertEqual(self.contexts()['bank', 'server']['sessions'], 0)
            text = self.tool('tls', 'contexts')
            self.assertRegex(text, r'profile bank, server, replaced: read \d+ s ago, 1 session\n')
            self.assertIn('CN=renewed.test', text)
        wait_until('the old one is gone',
                   lambda: 'replaced' not in self.tool('tls', 'contexts'))

    # --- dates ---

    def test_dates(self):
        """Steps reached are told once, in the log, by status and by check; certificates of
        a short life are not told of all the time."""
        pki().leaf('ends-soon', days=(-80, 5))
        pki().leaf('short', days=(-1, 5))
        self.begin()
        self.assertEqual(self.it.status()['certificates_expiring'], [])
        self.install('ends-soon')
        self.install('short', 'bank')
        self.tool('tls', 'reload')
        event = self.it.wait_event('certificate', state='expires')
        self.assertEqual((event['days'], event['profile'], event['role']), ('7', '*', 'server'))
        self.tool('tls', 'reload')
        self.assertEqual(len(self.it.events('certificate')), 1)
        told, = self.it.status()['certificates_expiring']
        self.assertTrue(told['file'].endswith('/server-pub.pem'), told)
        self.assertRegex(self.tool('status'), r'certificate  .*: expires in 4 d')
        self.assertRegex(self.tool('check'), r'expires in 4 d .*\[tls-certificate-dates\]')
        self.install('expired')
        self.tool('tls', 'reload')
        self.it.wait_event('certificate', state='expired')
        self.assertRegex(self.tool('status'), r'certificate  .*: EXPIRED ')
        with self.assertRaises(ssl.SSLError):
            context = ssl.create_default_context(cafile=pki().path('root.pem'))
            with kit.Wire(self.port) as wire:
                wire.ehlo()
                wire.starttls(context)

    def test_dates_silenced(self):
        """SILENCE is obeyed by what is found out after the load, too; status tells, and what
        is asked for again is told."""
        pki().leaf('ends-soon', days=(-80, 5))
        self.begin()
        self.it.write('option.dat', OPTION_DAT + 'SILENCE=tls-certificate-dates\n')
        self.tool('reload')
        self.install('ends-soon')
        self.tool('tls', 'reload')
        self.install('expired')
        self.assertNotIn('tls-certificate-dates', self.tool('tls', 'reload'))
        self.assertEqual(self.it.events('certificate'), [])
        self.assertEqual(self.it.events('config', slug='tls-certificate-dates'), [])
        self.assertEqual(len(self.it.status()['certificates_expiring']), 1)
        self.it.write('option.dat', OPTION_DAT)
        self.tool('reload')
        self.it.wait_event('certificate', state='expired')
        self.assertIn('tls-certificate-dates', self.tool('tls', 'reload'))
        self.it.wait_event('config', slug='tls-certificate-dates')


class NextHop(RouterTest):
    def test_resumption_and_trust(self):
        """Sessions with a next hop are resumed, and what they prove is proven again; not
        when another kind of proof is wanted, nor when the CA has been taken away."""
        zone = Nsd({'partner.test': '%s. A 127.0.0.1\n' % NAME})
        self.addCleanup(zone.stop)
        peer = Aiosmtpd(certificate=pki().pair('ecdsa'))
        self.addCleanup(peer.stop)
        channel = ('tcp_%s smtp nomx nocache daemon ' + NAME + ' port %d nameservers 127.0.0.1@%d logging '
                   'musttlsclient tlsverify%s tlsprofile ours\ntcp-%s-daemon')
        self.port = free_port()
        self.it = self.router(kit.site(
            ['%s.test $U%%$D@tcp-%s-daemon' % (v, v) for v in ('host', 'ca')] +
            ['. $U%$H@tcp-daemon'],
            ['tcp_local smtp\ntcp-daemon'] +
            [channel % (v, peer.port, zone.port, v, v) for v in ('host', 'ca')],
            [kit.service('SMTP', 'tcp_local', self.port)], ['host.test', 'ca.test'],
            files={'tls.cnf': '[ours]\nca_file = ../ca.pem\n'}))
        self.trust('root')
        self.it.start()
        for verify in ('host', 'ca'):
            self.assertEqual(self.send(verify), ('delivered', None, verify))
            self.assertEqual(self.send(verify), ('delivered', 'yes', verify))
        self.assertEqual(self.it.tool('tls', 'reload').returncode, 0)
        self.assertEqual(self.send('host'), ('delivered', 'yes', 'host'))
        self.trust('other')
        self.assertEqual(self.it.tool('tls', 'reload').returncode, 0)
        self.assertEqual(self.send('host'), ('deferred', None, None))

    def trust(self, ca):
        shutil.copy(pki().path(ca + '.pem'), self.it.path('ca.pem'))
        os.chmod(self.it.path('ca.pem'), 0o644)

    def send(self, verify):
        ident = kit.queue_id(kit.send(self.port, 'bob@%s.test' % verify))
        event = self.it.wait_event('deliver', id=ident)
        return event['outcome'], event.get('tls.resumed'), event.get('tls.verified')
