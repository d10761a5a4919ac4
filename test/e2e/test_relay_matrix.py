"""The relay matrix: who sends, by way of which channel, to whom; through the daemon, with
etc/examples/site as it is shipped. Each row of SOURCES is a class of clients, each of
DESTINATIONS a kind of recipient; MATRIX says what becomes of it. What is taken arrives at
the next hop, or in the Maildir, and what is refused does not."""
import re

import kit
import shipped
from harness import Router, SharedRouterTest, add_cases, wait_until
from peers import SmtpSink

# name: (source address, service's port, TLS, the channel the mail comes from)
SOURCES = {
    'external': ('127.0.0.77', '25', None, 'tcp_local'),
    'external, TLS': ('127.0.0.77', '25', 'starttls', 'tcp_tls'),
    'internal': ('127.0.0.5', '25', None, 'tcp_intranet'),
    'internal, TLS': ('127.0.0.5', '25', 'starttls', 'tcp_intranet'),
    'devices': ('127.0.0.6', '25', None, 'tcp_devices'),
    'partner': ('127.0.0.7', '25', 'starttls', 'tcp_bank'),
    'submission': ('127.0.0.77', '587', 'starttls', 'tcp_submit'),
    'submission, TLS at once': ('127.0.0.77', '465', 'implicit', 'tcp_submit'),
    # 'authenticated': ('127.0.0.77', '587', 'starttls', 'tcp_auth') joins with AUTH; its row
    # of MATRIX is that of 'internal'. test_every_service_channel fails when it is missing.
}
# name: (address, what the next hop is told; None: the operators, who stand for postmaster)
DESTINATIONS = {
    'local domain': ('ann@example.com', 'ann@example.com'),
    'local domain, sub': ('ann@x.sales.example.com', 'ann@sales.example.com'),
    'this system': ('postmaster@router.example.com', None),
    'bare': ('postmaster', None),
    'customer': ('eve@florist.customers.example', 'eve@florist.customers.example'),
    'foreign': ('eve@elsewhere.test', 'eve@elsewhere.test'),
    'foreign by percent': ('eve%elsewhere.test@router.example.com', 'eve@elsewhere.test'),
    'partner domain': ('eve@bank.example', 'eve@bank.example'),
    'inside host': ('root@archive.example.com', 'root@archive.example.com'),
    'literal': ('eve@[192.0.2.9]', None),
}
YES, RELAY, RULE, TABLE = 'taken', 'the relay rule', 'a rewrite rule', 'an access table'
STRANGER = {'local domain': YES, 'local domain, sub': YES, 'this system': YES, 'bare': YES,
            'customer': YES, 'foreign': RELAY, 'foreign by percent': RELAY,
            'partner domain': RELAY, 'inside host': RULE, 'literal': RULE}
TRUSTED = dict(STRANGER, **{'foreign': YES, 'foreign by percent': YES, 'partner domain': YES})
# The small world of partners: what is not told there, rules refuse.
PARTNER = dict.fromkeys(DESTINATIONS, RULE)
PARTNER.update({'local domain': YES, 'this system': YES, 'bare': YES})
# ORIG_SEND_ACCESS keeps scanners to the mailboxes, and asks to log in on port 587.
DEVICES = dict.fromkeys(DESTINATIONS, TABLE)
DEVICES.update({'local domain': YES, 'local domain, sub': YES, 'inside host': RULE,
                'literal': RULE})
SUBMIT = dict(STRANGER, **{'foreign': TABLE, 'foreign by percent': TABLE})
TABLE_TEXTS = ('Scanners may write to mailboxes only', 'Log in before you write to others')
MATRIX = {
    'external': STRANGER,
    'external, TLS': STRANGER,
    'internal': dict(TRUSTED, **{'inside host': YES}),
    'internal, TLS': dict(TRUSTED, **{'inside host': YES}),
    'devices': DEVICES,
    'partner': PARTNER,
    'submission': SUBMIT,
    'submission, TLS at once': SUBMIT,
}
# Channels of the site that sessions can come to, and no row is for.
NOT_HERE = {'tcp_insurer': 'as tcp_bank', 'tcp_supplier': 'as tcp_bank'}
CHANGES = [
    ('mappings', '$(127.0.0.0/8)', '$(127.0.0.5/32)'),
    ('rules/outside.rules', '[198.51.100.10]            $E$R$U%[198.51.100.10]@',
     '[127.0.0.7]                $E$R$U%[127.0.0.7]@'),
    ('rules/outside.rules', '[IPv6:2001:db8:99::5]      $E$R$U%[IPv6:2001:db8:99::5]@',
     '[127.0.0.6]                $E$R$U%[127.0.0.6]@'),
]


class Matrix(SharedRouterTest):
    @classmethod
    def make_router(cls):
        cls.sink = cls.class_peer(SmtpSink())
        files, cls.ports = shipped.files('examples/site', cls.sink.port, CHANGES)
        return Router(files, users=('ann', 'postmaster'))

    def told(self, word):
        """The recipients of the message with that word, as the next hop was told."""
        told = re.compile(rb'^X-Rcpt-Args: <(.*)>(?: ORCPT=\S+)?$', re.M)
        return [told.findall(m) for m in self.sink.messages()
                if word.encode() in m]

    def offer(self, source, to):
        """A message; the id, or the refusal."""
        address, port, tls, _ = SOURCES[source]
        word = kit.token()
        try:
            text = kit.send(self.ports[port], to, source=address, tls=tls, subject=word,
                            sender='sue@elsewhere.test')
            return word, kit.queue_id(text), None
        except kit.Refused as refusal:
            return word, None, refusal

    def run_cell(self, source, destination, verdict):
        to, arrives = DESTINATIONS[destination]
        word, ident, refusal = self.offer(source, to)
        if verdict != YES:
            self.assertIsNotNone(refusal, 'taken as %s' % ident)
            self.assertEqual((refusal.step, refusal.code // 100), ('RCPT', 5), refusal)
            by = RELAY if 'relaying to' in refusal.text else \
                TABLE if refusal.text.split(' ', 1)[1] in TABLE_TEXTS else RULE
            self.assertEqual(by, verdict, refusal)
            self.assertEqual(self.told(word), [])
            return
        self.assertIsNone(refusal)
        self.assertEqual(self.shared.wait_event('enqueue', id=ident)['channel'],
                         SOURCES[source][3])
        wanted = [arrives.encode()] if arrives else sorted(shipped.OPERATORS)
        if source == 'partner' and not arrives:
            # uk.example.com is not in the partners' world: who keeps the list is told
            wanted[wanted.index(b'noc@uk.example.com')] = b'anna@example.com'
        everybody = lambda: [to for one in self.told(word) for to in one]
        wait_until('the message at the next hop', lambda: len(everybody()) >= len(wanted))
        self.assertEqual(sorted(everybody()), sorted(wanted))

    def test_every_service_channel(self):
        """Every channel that sessions can come to has a row, and the report of the tool trusts
        the clients that are switched by address, and those only."""
        text = self.shared.tool('check', '--relay', '--json').stdout
        told = {c['channel']: c for c in map(kit.json_line, text.splitlines())
                if 'channel' in c}
        rows = {channel: address != '127.0.0.77' for address, _, _, channel in SOURCES.values()}
        self.assertEqual(set(told), set(rows) | set(NOT_HERE))
        for channel, trusted in rows.items():
            self.assertEqual(told[channel]['trusted'], trusted, channel)
            tables = told[channel]['access_tables']
            self.assertEqual([t['table'] for t in tables], ['ORIG_SEND_ACCESS'])
            self.assertEqual(len(tables[0]['open']),
                             1 if channel in ('tcp_intranet', 'tcp_devices') else 0, channel)
        self.assertEqual(set(MATRIX), set(SOURCES))


for source_name in SOURCES:
    add_cases(Matrix, re.sub('[^a-z]+', '_', source_name.lower()),
              [(d, source_name, d, MATRIX[source_name][d]) for d in DESTINATIONS],
              Matrix.run_cell)
