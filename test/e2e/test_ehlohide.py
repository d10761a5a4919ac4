"""`ehlohide`: what EHLO names, on which channel, and that what is not named still works."""
import kit
from harness import Router, SharedRouterTest, add_cases, free_port

ALL = {'PIPELINING', '8BITMIME', 'DSN', 'SIZE', 'STARTTLS', 'ENHANCEDSTATUSCODES'}
LISTS = {
    'none': ('', set()),
    'one': ('ehlohide SIZE', {'SIZE'}),
    'last': ('ehlohide enhancedstatuscodes', {'ENHANCEDSTATUSCODES'}),
    'two': ('ehlohide pipelining,8BITMIME', {'PIPELINING', '8BITMIME'}),
    'blanks': ('ehlohide "SIZE, PIPELINING"', {'SIZE', 'PIPELINING'}),
    'all': ('ehlohide PIPELINING,8BITMIME,DSN,SIZE,ENHANCEDSTATUSCODES', ALL - {'STARTTLS'}),
    'clear': ('notlsserver ehlohide PIPELINING,8BITMIME,DSN,SIZE,ENHANCEDSTATUSCODES', ALL),
    'back': ('ehlohide SIZE noehlohide', set()),
}


class Ehlohide(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.ports = {name: free_port() for name in LISTS}
        cls.ports['by_ip'] = free_port()
        channels = ['tcp_%s smtp maytlsserver %s\ntcp-%s-daemon' % (name, words, name)
                    for name, (words, _) in LISTS.items()]
        channels += ['tcp_by_ip smtp maytlsserver switchchannel tlsswitchchannel tcp_all\n'
                     'tcp-by-ip-daemon', 'tcp_old smtp maytlsserver ehlohide SIZE\ntcp-old-daemon']
        services = [kit.service(name.upper(), 'tcp_' + name, port)
                    for name, port in cls.ports.items()]
        return Router(kit.site(['[127.0.0.7] $U%[$L]@tcp-old-daemon',
                                '. $U%$H@tcp-none-daemon'], channels, services))

    def named(self, name):
        with kit.Wire(self.ports[name]) as wire:
            found = set(wire.ehlo()) - {''}
        self.assertEqual(found, ALL - LISTS[name][1])

    def test_after_a_switch(self):
        with kit.Wire(self.ports['by_ip'], source='127.0.0.7') as wire:
            self.assertEqual(set(wire.ehlo()) - {''}, ALL - {'SIZE'})
        with kit.Wire(self.ports['by_ip']) as wire:
            self.assertEqual(set(wire.ehlo()) - {''}, ALL)
            wire.starttls()
            self.assertEqual(set(wire.ehlo()) - {''}, set())

    def test_hidden_is_not_forbidden(self):
        with kit.Wire(self.ports['all']) as wire:
            wire.ehlo()
            wire.send('MAIL FROM:<a@far.test> SIZE=100 BODY=8BITMIME\r\n'
                      'RCPT TO:<ann@router.test>\r\nDATA\r\n')
            self.assertEqual([wire.reply().code for _ in range(3)], [250, 250, 354])
            word = kit.token()
            wire.send('Subject: %s\r\n\r\nx\r\n.\r\n' % word)
            self.assertEqual(wire.reply().code, 250)
        self.shared.find_mail(word.encode())


add_cases(Ehlohide, 'named', [(name, name) for name in LISTS], Ehlohide.named)
