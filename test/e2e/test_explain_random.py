"""`explain` says what the daemon does: small configurations with access tables, aliases,
lists and FORWARD, made at random (always the same ones), and RCPT against them."""
import json
import random

import kit
from harness import OPTION_DAT, RouterTest, free_port, parse_log_line

SITES = 12
NAMES = ['a', 'b', 'c', 'd', 'e', 'f']
RULES = ['router.test $U%router.test@router.test', 'far.test $U%$D@tcp-far',
         'part.test $U%$D@part.test']
OURS = ['router.test', 'part.test']
SENDERS = ['sue@far.test', '', 'ann@router.test', '"sue"@far.test', '@q.test:sue@far.test']
KEYS = ['%s', '%s', '%s+*', '%s@part.test', '*@part.test', '%s@router.test', '%s+z']
MEMBERS = ['%s', '%s', '%s@router.test', '%s@far.test', '%s+*', '%s+*@far.test', '%s@part.test',
           '%s@nowhere.example', '"%s x"@far.test', '%s+z']
PARAMETERS = ['', '', '', '', '[ENVELOPE_FROM] own@router.test, ', '[AUTH_CHANNEL] tcp_local, ',
              '[CANT_CHANNEL] tcp_*, ', '[AUTH_LIST] lists/auth, ', '[AUTH_LIST] lists/gone, ',
              '[CANT_LIST] lists/auth, ', '[AUTH_MAPPING] SENDERS, ',
              '[CANT_MAPPING] SENDERS, [OR], [AUTH_CHANNEL] tcp_far, ']
TEMPLATES = ['$Y', '$Y', '$Y', '$N', '$Nno$ way', '$N4.2.1|later$X', '$X5.3.2|bad$ $0$N', '$B',
             '$H', '$V', '$>note', '$Clog$<', '$D1$Y', '$AX-T:$ x$Y', '$C$|T;$0|$E$N', '$NA$:A',
             '$NE$:E', '$Dxx$N', '$Nsue', '$S9,1$Y', '$N$|SENDERS;sue@far.test|', '${gen$0}$N']
FORWARDS = ['$Y%s@router.test', '$Y%s@far.test$D', '$Y$0@part.test', '$Y$0x@far.test$H', '$N',
            '$I', '$Y$0@router.test$D', '$Y%s@nowhere.example', '$:E$Y%s@far.test',
            '$Y%s@router.test$D$H']
OPTIONS = ['', 'ALIAS_DOMAINS=7\n', 'ALIAS_DOMAINS=1\n', 'ACCESS_ERRORS=0\n', 'ACCESS_ORCPT=1\n',
           'USE_FORWARD_DATABASE=80\n', 'MAX_ALIAS_LEVELS=2\n', 'OR_CLAUSES=1\n']
LOCALS = ['%s', '%s', '%s', '%s+z', '%s+Q', '"%s"', '"%s+q r"', '"\\%s"', '%s%%far.test',
          '"%s%%far.test"', '"%s|x"', '%s|x', '"\\"%s\\""', 'postmaster']


def fill(r, texts):
    text = r.choice(texts)
    return text.replace('%s', r.choice(NAMES)).replace('%%', '%')


def aliases(r):
    values = {}
    for _ in range(r.randint(0, 8)):
        value = ', '.join(fill(r, MEMBERS) for _ in range(r.randint(1, 4)))
        values[fill(r, KEYS)] = r.choice(PARAMETERS) + value
    for name in ('lists/members', 'lists/gone'):
        if r.random() < 0.4:
            values[r.choice(NAMES)] = '<' + name
    return ''.join('%s: %s\n' % pair for pair in values.items())


def access_entry(r, table):
    n = r.choice(NAMES)
    source, sender = r.choice(['*', 'tcp_local', 'tcp_far']), r.choice(['*', '', 'sue@*', 'sue@*'])
    to = r.choice(['*', n + '@*', '*@far.test', '$_*@*', '*@router.test', '%@*', n + '+*@*'])
    where = '|*' if table == 'FROM_ACCESS' else '|%s|%s' % (
        r.choice(['*', 'l', 'tcp_far', 'tcp_part', 'tcp*']), to)
    transport = '' if 'SEND' in table else 'TCP|*|*|$(127.0.0.0/8)|*|SMTP*|MAIL|'
    return '  %s%s|%s%s  %s\n' % (transport, source, sender, where, r.choice(TEMPLATES))


def mappings(r):
    tables = {'T': '  a*  $Ysome\n  b*  $N\n  *  x\n', 'SENDERS': '  sue@*  $Y\n  *  $N\n'}
    for name in ('FROM_ACCESS', 'ORIG_SEND_ACCESS', 'SEND_ACCESS', 'ORIG_MAIL_ACCESS',
                 'MAIL_ACCESS'):
        if r.random() < 0.5:
            tables[name] = ''.join(access_entry(r, name) for _ in range(r.randint(0, 4)))
    if r.random() < 0.5:
        patterns = ['%s@*', '*@far.test', '%s@part.test', '*@router.test', '$_*+*@*', '*']
        tables['FORWARD'] = ''.join('  %s  %s\n' % (fill(r, patterns), fill(r, FORWARDS))
                                    for _ in range(r.randint(1, 4)))
    return '\n'.join('%s\n\n%s' % pair for pair in tables.items())


def site(r):
    return {'aliases': aliases(r), 'mappings': mappings(r),
            'option.dat': OPTION_DAT + r.choice(OPTIONS), 'lists/auth': 'sue@far.test\n',
            'lists/members': ''.join(fill(r, MEMBERS[:1] + MEMBERS[3:4]) + '\n' for _ in '1234')}


def addresses(r):
    domains = ['router.test', 'router.test', 'ROUTER.test', 'far.test', 'part.test', 'no.test']
    return sorted({fill(r, LOCALS) + '@' + r.choice(domains) for _ in range(12)})


class ExplainRandom(RouterTest):
    def test_same_answers(self):
        port, other = free_port(), free_port()
        to = 'smtp nomx daemon 127.0.0.1 port %d logging' % other
        channels = ['tcp_local smtp logging\ntcp-daemon', 'tcp_far %s\ntcp-far' % to,
                    'tcp_part %s aliaslocal\npart.test' % to]
        config = kit.site(RULES, channels, [kit.service('SMTP', 'tcp_local', port)], OURS)
        self.it = self.router(config, users=NAMES + ['own', 'postmaster'])
        self.it.start()
        self.read, taken, asked = 0, 0, 0
        for seed in range(SITES):
            r = random.Random(seed)
            for name, text in site(r).items():
                self.it.write(name, text)
            self.assertIn('"ok":true', self.it.control('{"v":1,"command":"reload"}\n'))
            sender = r.choice(SENDERS)
            with kit.Wire(port) as wire:
                wire.ehlo()
                for address in addresses(r):
                    with self.subTest(seed=seed, sender=sender, to=address):
                        taken += self.compare(wire, sender, address)
                        asked += 1
        self.assertGreater(taken, asked // 5)
        self.assertGreater(asked - taken, asked // 5)

    def routes(self):
        """What the log has of routes since the last time."""
        with open(self.it.log_path) as log:
            text = log.read()
        new, self.read = text[self.read:], len(text)
        found = [parse_log_line(line) for line in new.splitlines() if 'event=route ' in line]
        return {(e['rewritten'], e['channel']) for e in found}

    def compare(self, wire, sender, to):
        wire.say('RSET')
        reply = wire.say('MAIL FROM:<%s>' % sender)
        if reply.code == 250:
            reply = wire.say('RCPT TO:<%s>' % to)
        said = json.loads(self.it.tool('explain', to, '--from-ip', '127.0.0.1', '--sender', sender
                                       or '<>', '--helo', 'client.test', '--json').stdout)
        told = said['reply'] and '%(code)d %(status)s %(text)s' % said['reply']
        leaves = {(x['rewritten'], x['channel']) for x in said['expansion']
                  if x['kind'] == 'address'}
        here = {leaf for leaf in leaves if leaf[1] == 'l'}
        if reply.code != 250:
            no_mailbox = (here or 'if the mailbox' in said['verdict']) and \
                reply.text[:5] in ('5.1.1', '5.2.4')
            if told or not no_mailbox:  # explain does not look for mailboxes
                self.assertEqual('%d %s' % reply, told)
            self.routes()
            return False
        self.assertIsNone(told)
        got = self.routes()
        discards = any(a['discard'] or set(a['flags']) & set('BVZ') for a in said['access'])
        if leaves and not discards:
            self.assertLessEqual(leaves - here, got)
        if leaves:
            self.assertLessEqual(got, leaves)
        return True
