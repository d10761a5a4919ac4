"""`pointsman explain` says what the daemon does: the same client is put to both, and the
channels, the refusal word for word, and the route have to be the same."""
import itertools
import json

import kit
from harness import Router, SharedRouterTest, add_cases, free_port

RULES = [
    '[127.0.0.5] $E$R$U%[127.0.0.5]@tcp-intra-daemon',
    '[127.0.0.6] $E$R$U%[127.0.0.6]@tcp-never-daemon',
    '[127.0.0.10] $E$R$U%[127.0.0.10]@tcp-must-daemon',
    'partner.test $U%$D@tcp-partner-daemon',
    'secret.test $U%$D@tcp-partner-daemon$Mtcp_intra',
    'moved.test $U%partner.test',
    'later.test $4004003?come back later',
    'loop.test $U%loop.test',
    'gone.test $U%$D@nobody-owns-this',
    '. $U%$H@tcp-out-daemon',
]


def channel(name, words):
    """It shows itself by the name it greets with."""
    return 'tcp_{0} smtp logging {1}\ntcp-{0}-daemon {0}.alias.test'.format(name, words)


CHANNELS = [
    channel('local', 'switchchannel maytls tlsswitchchannel tcp_tls identnonenumeric'),
    channel('tls', 'maytls'),
    channel('intra', 'maytls tlsswitchchannel tcp_intra_tls'),
    channel('intra_tls', 'musttls noswitchchannel'),
    channel('never', 'noswitchchannel'),
    channel('must', 'musttlsserver'),
    channel('plain', 'notls'),
    channel('partner', 'nomx daemon [127.0.0.1] port 1') + '\ngate.test mx.gate.test',
    channel('out', 'nomx daemon [127.0.0.1] port 1'),
    'bitbucket\nbitbucket-daemon',
]
SOURCES = ('127.0.0.1', '127.0.0.5', '127.0.0.6', '127.0.0.10')
SERVICES = (('START', 'tcp_local'), ('MUST', 'tcp_must'), ('PLAIN', 'tcp_plain'))
RECIPIENTS = ('ann@router.test', 'ann@partner.test', 'ann@moved.test', 'ann@gate.test',
              'ann@secret.test', 'ann@later.test', 'ann@loop.test', 'ann@gone.test',
              'ann@elsewhere.test', 'ann%elsewhere.test@partner.test',
              '@partner.test:ann@elsewhere.test', 'ann@bitbucket-daemon', 'postmaster',
              'ann@[127.0.0.1]')


class Explain(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.port, services = {}, []
        for name, start in SERVICES:
            cls.port[name], cls.port[name + '-tls'] = free_port(), free_port()
            services.append(kit.service(name, start, cls.port[name]))
            services.append(kit.service(name + '-tls', start, tls_port=cls.port[name + '-tls']))
        return Router(kit.site(RULES, CHANNELS, services,
                               localdomains=['partner.test', 'moved.test', 'gate.test']))

    def explained(self, service, source, tls, recipient):
        done = self.shared.tool('explain', recipient, '--from-ip', source, '--service', service,
                                '--json', *(['--tls'] if tls else []))
        answer = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if answer['accepted'] else 1)
        return answer

    def refusal(self, answer):
        reply = answer['reply']
        return kit.Reply(reply['code'], '%(status)s %(text)s' % reply)

    def client(self, service, source, tls):
        """Each recipient is offered in one session, and explained as its own."""
        answers = [self.explained(service, source, tls, to) for to in RECIPIENTS]
        first = answers[0]
        with kit.Wire(self.port[service], source=source, tls=service.endswith('-tls')) as wire:
            words = wire.ehlo()
            if tls and 'STARTTLS' in words:
                wire.starttls()
                words = wire.ehlo()
            self.assertEqual('tcp_' + words[''].split('.')[0], first['source_channel'])
            reply = wire.say('MAIL FROM:<%s>' % kit.SENDER)
            if reply.code != 250:
                for answer in answers:
                    self.assertEqual(self.refusal(answer), reply)
                return
            for to, answer in zip(RECIPIENTS, answers):
                reply = wire.say('RCPT TO:<%s>' % to)
                if answer['accepted']:
                    self.assertEqual(reply.code, 250, (to, reply, answer['verdict']))
                    self.routed(answer)
                else:
                    self.assertEqual(reply, self.refusal(answer), to)

    def routed(self, answer):
        event = self.shared.events('route')[-1]
        self.assertEqual(event['channel'], answer['channel'])
        self.assertEqual(event['rewritten'], answer['rewritten'])


add_cases(Explain, 'client', [
    ('%s_%s%s' % (service, source.replace('.', '_'), '_tls' if tls else ''), service, source, tls)
    for (name, _), source, tls in itertools.product(SERVICES, SOURCES, (False, True))
    for service in ((name, name + '-tls') if not tls else (name,))], Explain.client)
