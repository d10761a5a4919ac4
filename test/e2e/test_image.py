"""The compiled image: the daemon starts from it, and goes on without it when it is stale or
damaged, saying so."""
import os

import kit
from harness import RouterTest, free_port

RULES = ['ours.test $U%$D@router.test', '. $U%$H@tcp-daemon']
CHANNELS = ['tcp_local smtp logging\ntcp-daemon']


class Image(RouterTest):
    def begin(self):
        self.port = free_port()
        self.it = self.router(self.site(RULES))
        self.image = os.path.join(self.it.conf, 'pointsman.image')
        self.compile()
        return self.it

    def site(self, rules):
        return kit.site(rules, CHANNELS, [kit.service('SMTP', 'tcp_local', self.port)],
                        ['ours.test', 'new.test'])

    def compile(self):
        done = self.it.tool('compile')
        self.assertEqual(done.returncode, 0, done.stdout)

    def reload(self, code=0):
        done = self.it.tool('reload')
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def answer(self, address):
        with kit.Wire(self.port) as wire:
            wire.ehlo()
            wire.want('MAIL FROM:<sue@far.test>', 250)
            return wire.say('RCPT TO:<%s>' % address).code

    def change_rules(self, rules):
        for name, text in self.site(rules).items():
            self.it.write(name, text)

    def test_start_from_the_image(self):
        self.begin().start()
        self.assertEqual(self.it.wait_event('start')['from'], 'image')
        self.assertEqual(self.answer('ann@ours.test'), 250)
        self.assertEqual(self.answer('ann@far.test'), 550)

    def test_stale_at_the_start(self):
        self.begin()
        self.change_rules(['new.test $U%$D@router.test'] + RULES)
        self.it.start()
        self.assertEqual(self.it.wait_event('start')['from'], 'sources')
        said = self.it.wait_event('config', slug='image-stale')
        self.assertIn("'pointsman.cnf' has changed since", said['text'])
        self.assertEqual(self.answer('ann@new.test'), 250)

    def test_damaged_at_the_start(self):
        self.begin()
        with open(self.image, 'r+b') as f:
            f.seek(-20, os.SEEK_END)
            f.write(b'XXXX')
        self.it.start()
        self.assertEqual(self.it.wait_event('start')['from'], 'sources')
        self.assertIn('damaged', self.it.wait_event('config', slug='image-bad')['text'])
        self.assertIn('[image-bad]', self.reload())
        self.assertEqual(self.answer('ann@ours.test'), 250)

    def test_reload_with_a_new_image(self):
        self.begin().start()
        self.change_rules(['new.test $U%$D@router.test'] + RULES)
        self.assertIn('[image-stale]', self.reload())
        self.assertEqual(self.answer('ann@new.test'), 250)
        self.compile()
        self.assertIn('from the image ' + self.image, self.reload())
        event = self.it.wait_event('reload', **{'from': 'image'})
        self.assertEqual(event['result'], 'loaded')
        self.assertEqual(self.answer('ann@new.test'), 250)

    def test_errors_in_the_sources_are_not_hidden_by_the_image(self):
        self.begin().start()
        self.change_rules(['broken.test'] + RULES)
        self.assertIn('[missing-template]', self.reload(1))
