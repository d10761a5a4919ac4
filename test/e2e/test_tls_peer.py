"""Certificates of clients, what test_tls_matrix_server does not have: sessions in clear, names of
sni, resumption, where a verified certificate switches to, and a reload."""
import ssl

import kit
from harness import Router, SharedRouterTest, free_port
from pki import pki

VERSIONS = {'12': ssl.TLSVersion.TLSv1_2, '13': ssl.TLSVersion.TLSv1_3}
CHANNELS = {
    'no': 'maytlsserver', 'must': 'maytlsserver musttlspeer',
    'temp': 'maytlsserver musttlspeer tlsprofile temp',
    'note': 'maytlsserver musttlspeer tlsprofile note',
    'switch': 'maytlsserver tlspeerswitchchannel tcp_partner tlsswitchchannel tcp_tls',
}
TLS_CNF = """\
[*]
server_cert = ../tls/server-pub.pem
server_key = ../tls/server-priv.pem
sni = other.router.test : ../tls/server-pub.pem : ../tls/server-priv.pem
client_ca_file = %s
[temp]
peer_fail = tempfail
[note]
peer_fail = note
send_ca_names = no
[elsewhere]
client_ca_file = %s
"""


class Peers(SharedRouterTest):
    @classmethod
    def make_router(cls):
        ours = pki()
        cls.ports = {name: free_port() for name in CHANNELS}
        cls.ports['implicit'] = free_port()
        cls.ports['cross'] = free_port()
        channels = ['tcp_%s smtp %s logging\n%s-daemon' % (n, words, n)
                    for n, words in CHANNELS.items()]
        channels += ['tcp_partner smtp maytlsserver musttlspeer logging\npartner-daemon',
                     'tcp_tls smtp maytlsserver logging\ntls-daemon',
                     'tcp_cross smtp maytlsserver maytlspeer tlsswitchchannel tcp_elsewhere\n'
                     'cross-daemon',
                     'tcp_elsewhere smtp maytlsserver musttlspeer tlsprofile elsewhere\n'
                     'elsewhere-daemon']
        services = [kit.service(n, 'tcp_' + n, cls.ports[n]) for n in list(CHANNELS) + ['cross']]
        services.append(kit.service('implicit', 'tcp_must', tls_port=cls.ports['implicit']))
        return Router(kit.site(['. $U%$H@no-daemon'], channels, services, files={
            'tls.cnf': TLS_CNF % (ours.path('root.pem'), ours.path('other.pem'))}))

    def context(self, shown, version):
        context = kit.client_context()
        context.minimum_version = context.maximum_version = VERSIONS[version]
        if shown:
            context.load_cert_chain(*pki().pair(shown))
        return context

    def mail_reply(self, wire):
        wire.ehlo()
        return wire.say('MAIL FROM:<sue@far.test>')

    # --- musttlspeer in other ways ---

    def test_in_clear(self):
        """A certificate is wanted, so TLS is: 530, as musttlsserver says."""
        for channel in ('must', 'temp'):
            with self.subTest(channel=channel), kit.Wire(self.ports[channel]) as wire:
                wire.ehlo()
                wire.want('MAIL FROM:<sue@far.test>', 530, '5.7.0')
        with kit.Wire(self.ports['note']) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)

    def test_implicit(self):
        for shown, code in (('client', 250), (None, 550)):
            with self.subTest(shown=shown), kit.Wire(self.ports['implicit'],
                                                     greeting=False) as wire:
                wire.handshake(self.context(shown, '13'))
                self.assertEqual(wire.reply().code, 220)
                self.assertEqual(self.mail_reply(wire).code, code)
                wire.want('RCPT TO:<ann@router.test>', 250 if code == 250 else 503)

    def test_by_another_name(self):
        """A name of sni chooses another certificate of ours, not other CAs for theirs."""
        for shown, code in (('client', 250), ('client-other', 550)):
            with self.subTest(shown=shown), kit.Wire(self.ports['must']) as wire:
                wire.ehlo()
                wire.want('STARTTLS', 220)
                wire.socket = self.context(shown, '13').wrap_socket(
                    wire.socket, server_hostname='other.router.test')
                self.assertEqual(self.mail_reply(wire).code, code)

    def test_mail_arrives(self):
        word = kit.token()
        with kit.Wire(self.ports['must']) as wire:
            wire.ehlo()
            wire.starttls(self.context('client', '13'))
            wire.ehlo()
            wire.mail('ann@router.test', body='Subject: %s\r\n\r\nx\r\n' % word)
        self.shared.find_mail(word.encode())

    def test_not_resumed(self):
        """Who the client is is seen in each handshake anew; channels that do not ask resume."""
        for version in VERSIONS:
            for channel, resumed in (('must', False), ('no', True)):
                context = self.context('client', version)
                session = None
                for turn in range(2):
                    with kit.Wire(self.ports[channel]) as wire:
                        wire.ehlo()
                        wire.want('STARTTLS', 220)
                        wire.socket = context.wrap_socket(
                            wire.socket, server_hostname='router.test', session=session)
                        self.assertEqual(self.mail_reply(wire).code, 250)
                        if turn:
                            self.assertEqual(wire.socket.session_reused, resumed,
                                             (channel, version))
                        session = wire.socket.session

    # --- switching ---

    def switched(self, shown):
        before = len(self.shared.events('switch'))
        with kit.Wire(self.ports['switch']) as wire:
            wire.ehlo()
            wire.starttls(self.context(shown, '13'))
            self.assertEqual(self.mail_reply(wire).code, 250)
        return [(e['from'], e['to'], e['by']) for e in self.shared.events('switch')[before:]]

    def test_switch(self):
        self.assertEqual(self.switched('client'), [('tcp_switch', 'tcp_partner', 'certificate')])
        for shown in (None, 'client-other', 'client-expired'):
            self.assertEqual(self.switched(shown), [('tcp_switch', 'tcp_tls', 'tls')])

    def test_other_cas_do_not_count(self):
        """The certificate was verified against the CAs of one profile; the channel behind the
        switch trusts others."""
        for shown in ('client', 'client-other'):
            with self.subTest(shown=shown), kit.Wire(self.ports['cross']) as wire:
                wire.ehlo()
                wire.starttls(self.context(shown, '13'))
                self.assertEqual(self.mail_reply(wire).code, 550)

    def test_zz_reload(self):
        """The last one. A session whose certificate was verified begins anew when the
        configuration changes: what the CAs are then was not asked."""
        with kit.Wire(self.ports['must']) as wire:
            wire.ehlo()
            wire.starttls(self.context('client', '13'))
            wire.ehlo()
            self.shared.write('tls.cnf', TLS_CNF % (pki().path('other.pem'),
                                                    pki().path('root.pem')))
            self.shared.control('{"v":1,"command":"reload"}\n')
            self.shared.wait_event('reload', result='loaded')
            reply = wire.say('NOOP')
            codes = [reply.code] if reply.code == 421 else [reply.code, wire.reply().code]
            self.assertEqual(codes[-1], 421)
        with kit.Wire(self.ports['must']) as wire:
            wire.ehlo()
            wire.starttls(self.context('client', '13'))
            self.assertEqual(self.mail_reply(wire).code, 550)
