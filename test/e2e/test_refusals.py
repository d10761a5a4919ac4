"""What the log says about a refused command: each refusal names its own recipient."""
import kit
from harness import RouterTest, free_port


class Refusals(RouterTest):
    def setUp(self):
        self.port = free_port()
        self.it = self.router(kit.site(
            ['. $U%$H@tcp-local'], ['tcp_local smtp\ntcp-local'],
            [kit.service('SMTP', 'tcp_local', self.port)])).start()

    def refused(self, text):
        return [e for e in self.it.events('refuse') if text in e['reply']]

    def test_bad_syntax_is_not_blamed_on_the_recipient_before(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            wire.want('RCPT TO:<eve@theirs.test>', 550)
            wire.want('RCPT TO:<\u00fc@router.test>', 553)
            wire.want('QUIT', 221)
        self.it.wait_event('disconnect')
        self.assertEqual([e.get('to') for e in self.refused('5.7.1')], ['eve@theirs.test'])
        self.assertEqual([e.get('to') for e in self.refused('5.6.7')], [None])

    def test_bad_syntax_is_not_blamed_on_the_recipient_behind(self):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            wire.send('RCPT TO:<.x@router.test>\r\nRCPT TO:<ann@router.test>\r\n')
            self.assertEqual([wire.reply().code, wire.reply().code], [501, 250])
            wire.want('QUIT', 221)
        self.it.wait_event('disconnect')
        self.assertEqual([e.get('to') for e in self.refused('5.1.3')], [None])

    def test_more_hosts_than_the_domain(self):
        """The domain is ours; what is refused is the host behind it."""
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            wire.want('RCPT TO:<eve@theirs.test>', 550, 'relaying to theirs.test is not')
            for to in ('eve%theirs.test@router.test', '@theirs.test:ann@router.test',
                       'theirs.test!eve@router.test'):
                wire.want('RCPT TO:<%s>' % to, 550, 'relaying to %s is not allowed' % to)
