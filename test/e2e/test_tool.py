"""The offline tool: exit codes, what fails closed, messages with file, line, column and
caret, and that its answers are those of the daemon."""
import json
import os
import re
import subprocess
import unittest

import kit
from harness import OPTION_DAT, TOOL, RouterTest, add_cases, free_port

RULES = ['. $U%$H@tcp-daemon']
LINE = 6  # of the first channel after the local one


def site(words='', rules=RULES, services=None, more=(), **files):
    channels = ['tcp_local smtp %s\ntcp-daemon' % words] + list(more)
    return kit.site(rules, channels, services if services is not None else
                    [kit.service('SMTP', 'tcp_local', 2525)], files=files)


class Check(RouterTest):
    def check(self, code, files, *patterns, arguments=()):
        done = self.router(files).tool('check', *arguments)
        self.assertEqual(done.returncode, code, done.stdout)
        for pattern in patterns:
            self.assertRegex(done.stdout, pattern)
        return done.stdout

    def test_clean(self):
        self.check(0, site(), r'^0 errors, 0 warnings in \d files \(1 rule, 2 channels\)$')
        self.check(0, site(), arguments=['--strict'])

    def test_warning(self):
        """0; with --strict 1."""
        files = site('convert_octet_stream')
        self.check(0, files, r'pointsman\.cnf:6:16: warning: .*convert_octet_stream', '1 warning ')
        self.check(1, files, 'convert_octet_stream', arguments=['--strict'])

    def test_unreadable(self):
        self.check(2, dict(site(), **{'pointsman.cnf': None}), r'pointsman\.cnf')

    def test_folder_missing(self):
        done = subprocess.run([TOOL, '-c', '/nonexistent', 'check'], stderr=subprocess.PIPE,
                              stdout=subprocess.PIPE, timeout=30)
        self.assertEqual(done.returncode, 2)

    def test_file_instead_of_folder(self):
        router = self.router(site())
        router.conf = router.path('conf', 'pointsman.cnf')
        self.assertEqual(router.tool('check').returncode, 0)

    def test_two_main_files(self):
        files = site()
        files['pmdf.cnf'] = files['pointsman.cnf']
        text = self.check(2, files)
        self.assertIn('pmdf.cnf', text)
        self.assertIn('pointsman.cnf', text)

    def test_all_errors_in_one_run(self):
        files = site('port 99999', more=['tcp_b smtp mustlsclient\ntcp-b-daemon',
                                         'tcp_c smtp tlsswitchchannel\ntcp-c-daemon',
                                         'tcp_d smtp tlsswitchchannel tcp_x\ntcp-d-daemon'],
                     services=[kit.service('SMTP', 'tcp_none', 2525)])
        self.check(1, files, r'pointsman\.cnf:6:21: error: .*70000|:6:21: error: .*65535',
                   r'pointsman\.cnf:9:12: error: ', r'pointsman\.cnf:12:12: error: ',
                   r'pointsman\.cnf:15:29: error: .*tcp_x', r'dispatcher\.cnf:\d+:\d+: error: .*'
                   r'tcp_none', r'5 errors')

    def test_caret(self):
        """The line as written, and the words in question below it."""
        text = self.check(1, site('port 99999'))
        lines = text.splitlines()
        at = next(i for i, l in enumerate(lines) if ': error: ' in l)
        self.assertEqual(lines[at + 1], '    6 | tcp_local smtp port 99999')
        self.assertRegex(lines[at + 2], r'^ +\| +[~^]+ ?[\^~]+$')
        self.assertEqual(lines[at + 2].index('^'), lines[at + 1].index('99999'))

    def test_errors_in_an_included_file(self):
        files = site(**{'more.txt': 'tcp_more smtp port 0\ntcp-more-daemon\n'})
        router = self.router(files)
        router.write('pointsman.cnf', files['pointsman.cnf'] + '\n<%s\n'
                     % router.path('conf', 'more.txt'))
        done = router.tool('check')
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r'more\.txt:1:20: error: ')
        self.assertRegex(done.stdout, r'included')

    # --- words ---

    def word(self, words, severity, strict, pattern, allowed=None):
        """severity: what `check` calls it; strict: its exit code under --strict."""
        files = site(words)
        code = 1 if severity == 'error' else 0
        self.check(code, files, r'pointsman\.cnf:6:\d+: %s: .*%s' % (severity, pattern))
        self.check(strict, files, arguments=['--strict'])
        if allowed is not None:
            self.check(allowed, files, r'pointsman\.cnf:6:\d+: %s: ' % (
                'error' if allowed else 'warning'), arguments=['--allow-unhonoured'])

    # --- certificates ---

    def certificate(self, change, *patterns):
        router = self.router(site('maytlsserver'))
        change(router)
        done = router.tool('check')
        self.assertEqual(done.returncode, 1, done.stdout)
        for pattern in patterns:
            self.assertRegex(done.stdout, pattern)

    def test_no_certificate(self):
        self.certificate(lambda r: r.write('tls.cnf', None), r'error: .*certificate')

    def test_no_certificate_for_tls_port(self):
        files = dict(site(services=[kit.service('S', 'tcp_local', tls_port=2465)]),
                     **{'tls.cnf': None})
        self.check(1, files, r'error: .*certificate')

    def test_no_certificate_needed(self):
        self.check(0, dict(site(), **{'tls.cnf': None}))
        self.check(0, dict(site('musttlsclient'), **{'tls.cnf': None}))

    def test_certificate_missing(self):
        self.certificate(lambda r: os.remove(r.path('tls', 'server-pub.pem')),
                         r'tls\.cnf:2:\d+: error: .*server-pub\.pem.*No such file')

    def test_key_missing(self):
        self.certificate(lambda r: os.remove(r.path('tls', 'server-priv.pem')),
                         r'tls\.cnf:3:\d+: error: .*server-priv\.pem.*No such file')

    # --- the rest of "bad input" ---

    def test_service_without_channel(self):
        self.check(1, site(services=['[SERVICE=S]\nPORT=2525\n']),
                   r'dispatcher\.cnf:\d+:\d+: error')

    def test_service_without_port(self):
        self.check(1, site(services=['[SERVICE=S]\nPARAMETER=CHANNEL=tcp_local\n']),
                   r'dispatcher\.cnf:\d+:\d+: error: .*PORT')

    def test_rule_to_an_unknown_host(self):
        self.check(0, site(rules=['a.test $U%$D@tcp-nowhere'] + RULES),
                   r'pointsman\.cnf:1:\d+: warning: .*tcp-nowhere')

    def test_blank_line_in_the_rules(self):
        self.check(1, site(rules=['a.test $U%$D@tcp-daemon', ''] + RULES), r'blank line')

    def test_duplicate_host(self):
        self.check(1, site(more=['tcp_b smtp\ntcp-daemon']),
                   r'pointsman\.cnf:10:1: error: .*tcp-daemon', r'pointsman\.cnf:7:1: note')

    def test_access_table(self):
        """A *_ACCESS table restricts: an error naming what is lost, until allowed."""
        files = site(mappings='ETRN_ACCESS\n\n  *  $NNo\n')
        self.check(1, files, r'mappings:1:1: error: .*ETRN_ACCESS')
        self.check(0, files, r'mappings:1:1: warning: ', arguments=['--allow-unhonoured'])

    def test_unknown_option(self):
        self.check(1, site(**{'option.dat': OPTION_DAT + 'QUEUE_DIRECTROY=/x\n'}),
                   r"option\.dat:5:1: error: .*did you mean 'QUEUE_DIRECTORY'")


TLS_WORD, SASL_WORD = r".*did you mean '%s'", r'(SASL|AUTH|authentic)'
add_cases(Check, 'word', [
    ('later', 'convert_octet_stream', 'warning', 1, 'convert_octet_stream'),
    ('unknown far from all', 'frobnicate', 'warning', 1, 'frobnicate'),
    ('unknown with suggestion', 'loging', 'warning', 1, "did you mean 'logging'"),
] + [
    ('near ' + wrong, wrong, 'error', 1, TLS_WORD % right, 1) for wrong, right in (
        ('mustlsclient', 'musttlsclient'), ('musttlsclent', 'musttlsclient'),
        ('musttslserver', 'musttlsserver'), ('mayttls', 'maytls'), ('mustls', 'musttls'),
        ('tlsswitchchanel tcp_local', 'tlsswitchchannel'),
        ('noswitchchanel', 'noswitchchannel'), ('noswichchannel', 'noswitchchannel'),
        ('mustsaslservr', 'mustsaslserver'))
] + [
    ('restricts ' + word, word, 'error', 1, word, 0)
    for word in ('mustsaslserver', 'mustsasl', 'mustsaslclient')
], Check.word)

add_cases(Check, 'certificate', [
    ('is no certificate', lambda r: open(r.path('tls', 'server-pub.pem'), 'w').close(),
     r'error: .*server-pub\.pem'),
    ('key is no key', lambda r: open(r.path('tls', 'server-priv.pem'), 'w').close(),
     r'error: .*server-priv\.pem'),
    ('key without certificate', lambda r: r.write(
        'tls.cnf', '[*]\nserver_key = ../tls/server-priv.pem\n'), r'error: '),
], Check.certificate)


class Rewrite(RouterTest):
    FILES = site('logging',
                 rules=['a.test $U%$D@tcp-daemon', '.b.test $U%$&0.inner.test@tcp-daemon',
                        'old.test $U%a.test', '[10.9.] $E$R$U%[10.9.$L]@tcp-in-daemon',
                        'lost.test $U%$D@tcp-nowhere', '. $U%$H@tcp-daemon'],
                 more=['tcp_in smtp\ntcp-in-daemon\nhost.test proper.test'])

    def rewrite(self, code, arguments, *texts):
        done = self.router(self.FILES).tool('rewrite', *arguments)
        self.assertEqual(done.returncode, code, done.stdout)
        for text in texts:
            self.assertIn(text, re.sub(r' +', ' ', done.stdout))

    def test_json(self):
        done = self.router(self.FILES).tool('rewrite', '--json', 'x@old.test', 'y@lost.test')
        first, second = [json.loads(l) for l in done.stdout.splitlines()]
        self.assertEqual((first['address'], first['rewritten'], first['channel']),
                         ('x@old.test', 'x@a.test', 'tcp_local'))
        self.assertEqual(first['rule']['line'], 1)
        self.assertIsNone(second['channel'])
        self.assertIn('tcp-nowhere', second['error']['text'])
        self.assertEqual(second['error']['status'], '5.1.2')

    def test_same_as_the_daemon(self):
        """Address, channel and line are those in the daemon's log."""
        port = free_port()
        files = dict(self.FILES)
        files['dispatcher.cnf'] = files['dispatcher.cnf'].replace('2525', str(port))
        files['localdomains'] = 'a.test\nold.test\n.b.test\n.inner.test\nhost.test\nproper.test\n'
        router = self.router(files)
        router.start()
        for address in ('x@a.test', 'x@old.test', 'x@c.b.test', 'x@host.test', 'ann@router.test'):
            with self.subTest(address):
                asked = json.loads(router.tool('rewrite', '--json', address).stdout)
                with kit.Wire(port) as wire:
                    wire.ehlo()
                    wire.want('MAIL FROM:<>', 250)
                    wire.want('RCPT TO:<%s>' % address, 250)
                route = router.wait_event('route', to=address)
                self.assertEqual(asked['channel'], route['channel'])
                self.assertEqual(asked['rewritten'], route['rewritten'])
                if asked['rule']:
                    self.assertEqual('%s:%d' % (asked['rule']['file'], asked['rule']['line']),
                                     route['rule'])


add_cases(Rewrite, 'rewrite', [
    ('exact', 0, ['x@a.test'], '-> x@a.test channel tcp_local', 'by pointsman.cnf:1'),
    ('subdomain', 0, ['x@c.b.test'], '-> x@c.inner.test', 'by pointsman.cnf:2'),
    ('repeat', 0, ['x@old.test'], '-> x@a.test'), ('any', 0, ['x@y.test'], 'by pointsman.cnf:6'),
    ('local', 0, ['ann@router.test'], 'channel l'),
    ('proper name', 0, ['x@host.test'], '-> x@proper.test channel tcp_in'),
    ('case', 0, ['X@A.Test'], 'channel tcp_local'),
    ('several', 0, ['x@a.test', 'ann@router.test'], 'channel tcp_local', 'channel l'),
    ('ip', 0, ['--backward', '--source-channel', 'tcp_local', 'x@[10.9.1.2]'],
     '-> x@[10.9.1.2] channel tcp_in', 'by pointsman.cnf:4'),
    ('ip as a recipient', 0, ['x@[10.9.1.2]'], 'channel tcp_local'),
    ('ip in a header', 0, ['--header', '--backward', 'x@[10.9.1.2]'], 'channel tcp_local'),
    ('no such host', 1, ['x@lost.test'], 'tcp-nowhere'),
    ('no address', 1, ['x@'], 'domain'), ('one of two is bad', 1, ['x@a.test', 'x@lost.test'], ''),
    ('trace', 0, ['--trace', 'x@c.b.test'], '.b.test pointsman.cnf:2 applied'),
    ('unknown source', 2, ['--source-channel', 'tcp_no', 'x@a.test'], 'tcp_no'),
    ('no argument', 2, [], 'ADDRESS'),
], Rewrite.rewrite)


class Words(unittest.TestCase):
    def tool(self, code, arguments, *texts):
        done = subprocess.run([TOOL] + arguments, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=30)
        self.assertEqual(done.returncode, code, done.stdout)
        for text in texts:
            self.assertIn(text, done.stdout)
        return done.stdout

    def test_keywords_of_this_issue_are_honoured(self):
        rows = {}
        for line in self.tool(0, ['keywords', '--json']).splitlines():
            row = json.loads(line)
            rows[row['name']] = row
        for word in ('maytls maytlsclient maytlsserver musttls musttlsclient musttlsserver notls '
                     'notlsclient notlsserver tlsswitchchannel switchchannel allowswitchchannel '
                     'noswitchchannel smtp mx nomx port daemon interfaceaddress nameservers '
                     'logging').split():
            self.assertEqual(rows[word]['status'], 'honoured', word)
        for word in ('mustsaslserver', 'mustsasl'):
            self.assertEqual(rows[word]['status'], 'restricts', word)
        self.assertGreater(len(rows), 200)


add_cases(Words, 'tool', [
    ('help', 0, ['--help'], 'check', 'rewrite', 'keywords', 'status', 'reload'),
    ('nothing', 2, [], 'Usage'), ('unknown command', 2, ['chekc'], "did you mean 'check'"),
    ('unknown option', 2, ['check', '--strikt'], '--strict'),
    ('help of a command', 0, ['rewrite', '--help'], 'Usage: pointsman rewrite'),
    ('keyword', 0, ['keywords', 'tlsswitchchannel'], 'honoured'),
    ('unknown keyword', 1, ['keywords', 'mustls'], "did you mean 'musttls'"),
    ('version', 0, ['version'], 'pointsman '),
    ('status without socket', 2, ['status', '--socket', '/nonexistent'], '/nonexistent'),
], Words.tool)
