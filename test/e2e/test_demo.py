"""The demonstration's own configuration, on free ports: ESMTPS in, the switch, ESMTPS
out, and again ESMTPS into the second system, in the log and in the Received fields."""
import os
import re

import kit
from harness import OPTION_DAT, TLS_CNF, RouterTest, free_port
from test_clients import run

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../etc/demo')
LINK = rb'by (\S+)\s+\(Pointsman channel (\S+)\)\s+with (\S+)\s+\(version=(\S+)'


class Demo(RouterTest):
    def test_way_of_a_message(self):
        ports = {old: str(free_port()) for old in ('2525', '2526', '2465')}
        files = {}
        for name in ('pointsman.cnf', 'dispatcher.cnf', 'localdomains'):
            with open(os.path.join(DEMO, name)) as file:
                files[name] = re.sub(r'\b(2525|2526|2465)\b', lambda m: ports[m.group()],
                                     file.read())
        router = self.router(dict(files, **{'option.dat': OPTION_DAT, 'tls.cnf': TLS_CNF}))
        self.assertEqual(router.tool('check', '--strict').returncode, 0)
        router.start()
        run('swaks', '--server', '127.0.0.1', '--port', ports['2525'], '--tls', '--from',
            'you@here.test', '--to', 'ann@demo.test', '--helo', 'client.test')
        mail = router.wait_mails()[0]
        links = re.findall(LINK, mail)
        self.assertEqual([l[:3] for l in links],
                         [(b'router.demo.test', b'tcp_inner', b'ESMTPS'),
                          (b'router.demo.test', b'tcp_tls', b'ESMTPS')])
        self.assertTrue(all(l[3].startswith(b'TLSv1.') for l in links))
        switch = router.wait_event('switch')
        self.assertEqual((switch['from'], switch['to'], switch['by']),
                         ('tcp_local', 'tcp_tls', 'tls'))
        sent = router.wait_event('deliver', channel='tcp_relay')
        self.assertTrue(sent['tls.version'].startswith('TLSv1.'))
        self.assertEqual(sent['outcome'], 'delivered')
        self.assertTrue(router.wait_event('deliver', channel='l')['peer'].startswith('ann/new/'))

    def test_it_relays_for_nobody(self):
        with open(os.path.join(DEMO, 'pointsman.cnf')) as file:
            main = file.read()
        port = free_port()
        router = self.router({
            'pointsman.cnf': main, 'localdomains': 'demo.test\n.demo.test\n',
            'dispatcher.cnf': kit.service('SMTP', 'tcp_local', port)})
        router.start()
        with kit.Wire(port) as wire:
            wire.ehlo()
            wire.starttls()
            wire.ehlo()
            wire.want('MAIL FROM:<ann@demo.test>', 250)
            wire.want('RCPT TO:<eve@elsewhere.test>', 550, '5.7.1')
            wire.want('RCPT TO:<bob@demo.test>', 250)
