#!/usr/bin/env python3
"""`tls audit --destination` promises no more than mail gets: sites made at random (always the same
ones) of rules that repeat, ask tables and look at channels, of aliases and FORWARD that lead
elsewhere, and of policies that raise, lower and fall back; and `tls explain` for addresses of that
domain, in several forms, from every channel. Output is TAP; an argument: how many sites."""
import json
import os
import random
import subprocess
import sys
import tempfile

TOOL = os.path.join(os.environ.get('top_builddir', '.'), 'pointsman')
SITES = int(sys.argv[1]) if len(sys.argv) > 1 else 60
LEVELS = ['clear', 'tls', 'ca', 'host', 'pinned']
DOMAINS = ['a.test', 'b.test', 'sub.a.test', 'c.example', 'here.test']
CHANNELS = ['tcp_one', 'tcp_two', 'tcp_three']
USERS = ['ann', 'bob', 'ann+x', 'list']
LINES = ['maytlsclient', 'maytlsclient notlsfallback', 'maytlsclient tlsverifyhost', 'musttlsclient',
         'musttlsclient tlsverifyca', 'musttlsclient tlsverifyhost', 'musttlsclient tlsverifyfp',
         'musttls notlsclient', 'tlsimplicitclient tlsverifyhost', 'notlsclient',
         'musttlsclient tlsverifyhost daemon relay.test', 'musttlsclient tlsverifyhost aliaslocal']
TEMPLATES = ['$U%$D@{c}', '$U%$D@{c}', '$U%$D@{c}$M{s}', '$U%$D@{c}$N{s}', '$U%{d}', '$U%{d}@{c}']
# what hangs on more than the domain
VAGUE = ['$U%$D@$(way-{d})', '$U%$D@${{WHERE,$D}}', '$0U%$D@{c}', '$U%$D@$(none)',
         '$U%$1U.test@{c}', '$U%$D@here.test']
POLICIES = ['level=must', 'level=must,verify=host', 'level=may,lower', 'verify=none,lower',
            'level=must,verify=ca,pinned', 'fallback=no', 'fallback=yes,lower', 'level=may',
            'level=no,verify=fp,lower', 'level=must,verify=fp,profile=pin', 'profile=pin']
FORWARDS = ['$Y{u}@{d}', '$Y{u}@{d}$D', '$Y$0@{d}', '$N', '$Y{u}@{d}$H', '$|WHO;$0|$Y']


def fill(r, texts):
    text = r.choice(texts).replace('${{', '${').replace('}}', '}')
    for key, values in (('c', CHANNELS), ('s', CHANNELS), ('d', DOMAINS), ('u', USERS)):
        text = text.replace('{%s}' % key, r.choice(values).replace(
            '_', '-' if key == 'c' else '_'))
    return text


def config(r):
    patterns = DOMAINS[:4] + ['.a.test', '*.test', '.example']
    templates = TEMPLATES + (VAGUE if r.random() < 0.3 else [])
    rules = ['%s  %s' % (r.choice(patterns), fill(r, templates)) for _ in range(r.randint(3, 9))]
    rules += ['here.test  $U%$D@here.test', '.  $U%$H@' + fill(r, ['{c}'])]
    blocks = ['l\nhere.test', 'tcp_local smtp\ntcp-local']
    blocks += ['%s smtp %s tlsprofile pin\n%s' % (c, r.choice(LINES), c.replace('_', '-'))
               for c in CHANNELS]
    return '\n'.join(rules) + '\n\n' + '\n\n'.join(blocks) + '\n'


def mappings(r):
    text = 'WHERE\n\n' + ''.join('  %s  %s$Y\n' % (r.choice(DOMAINS), fill(r, ['{c}']))
                                 for _ in range(2))
    text += '\nWHO\n\n  *  %s$Y\n' % fill(r, ['{u}@{d}'])
    domains = DOMAINS + ['*.test', '*', 'a.*', 'relay.test']
    hosts = ['*'] * 5 + ['mx.test']
    text += '\nTLS_CLIENT_POLICY\n\n'
    for _ in range(r.randint(0, 5)):
        host = r.choice(hosts)
        said = r.choice([p for p in POLICIES if host == '*' or 'lower' not in p])
        flags = r.choice(['', '', '', '', '$C', '$E', '$?50?'])
        text += '  %s|%s|%s|*|*|*  $Y%s%s\n' % (
            r.choice(CHANNELS + ['tcp_*', '*']), r.choice(domains), host, said, flags)
    text += '\nFORWARD\n\n'
    for _ in range(r.choice([0, 0, 1, 3])):
        text += '  %s  %s\n' % (fill(r, ['{u}@{d}', '*@{d}', '{u}@*']), fill(r, FORWARDS))
    return text


def aliases(r):
    found = {}
    for _ in range(r.randint(0, 4)):
        found[fill(r, ['{u}', '{u}@{d}', '*@{d}'])] = ', '.join(
            fill(r, ['{u}@{d}', '{u}']) for _ in range(r.randint(1, 3)))
    return ''.join('%s: %s\n' % one for one in found.items())


def write_site(r, folder):
    files = {'pointsman.cnf': config(r), 'mappings': mappings(r), 'aliases': aliases(r),
             'general': ''.join('way-%s  %s\n' % (d, fill(r, ['{c}'])) for d in DOMAINS[:3]),
             'localdomains': 'here.test\n', 'option.dat': 'ALIAS_DOMAINS=%d\n' % r.choice([1, 3, 7]),
             'tls.cnf': '[pin]\nca_file = ca.pem\nfingerprint = sha256:%s\n' % ('0' * 64)}
    for name, text in files.items():
        with open(os.path.join(folder, name), 'w', encoding='ascii') as file:
            file.write(text)
    return files


def ask(folder, *arguments):
    """(exit code, the objects of its lines)"""
    done = subprocess.run([TOOL, 'tls', arguments[0], '-c', folder, '--json'] +
                          list(arguments[1:]), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, check=False)
    if done.returncode not in (0, 1):
        raise AssertionError('%s: %s' % (arguments, done.stderr))
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]


def outcome(said):
    """From the fields alone: what `weakest` says is what is tested."""
    if said['level']['value'] != 'must' and said['implicit']['value'] != 'yes':
        return 0
    return {'no': 1, 'none': 1, 'try': 1, 'ca': 2, 'host': 3, 'fp': 4}[said['verify']['value']]


def exceptions(folder, domain, r):
    """What explain finds that audit had not promised."""
    audit = ask(folder, 'audit', '--destination', domain)
    least = min([LEVELS.index(a['weakest']) for a in audit] + [len(LEVELS)])
    anywhere = any(a['channel'] is None for a in audit)
    channels = {a['channel'] for a in audit}
    found, count = [], 0
    forms = ['%s@%s', '%s%%%s@here.test', '@here.test:%s@%s', '"%s"@%s']
    for source in ['tcp_local'] + r.sample(CHANNELS + ['l'], 2):
        address = r.choice(forms) % (r.choice(USERS), domain)
        for said in ask(folder, 'explain', '--source-channel', source, address):
            if not said.get('leaves'):
                continue
            count += 1
            got = outcome(said)
            if got < least or not (anywhere or said['channel'] in channels):
                found.append('%s from %s: %s by %s to %s; audit: %s' % (
                    address, source, LEVELS[got], said['channel'], said['host'],
                    [(a['channel'], a['hosts'], a['weakest']) for a in audit]))
    return found, count


def main():
    asked, failed = 0, 0
    for seed in range(SITES):
        r = random.Random(seed)
        with tempfile.TemporaryDirectory() as folder:
            files = write_site(r, folder)
            found = []
            for domain in r.sample(DOMAINS[:4], 2):
                more, count = exceptions(folder, domain, r)
                found += more
                asked += count
        print('%s %d - site %d' % ('not ok' if found else 'ok', seed + 1, seed))
        if found:
            failed += 1
            for line in found + '\n'.join(files[f] for f in ('pointsman.cnf', 'mappings',
                                                             'aliases')).splitlines():
                print('# ' + line)
    print('%s %d - something was asked' % ('ok' if asked > SITES else 'not ok', SITES + 1))
    print('1..%d' % (SITES + 1))
    return 1 if failed or asked <= SITES else 0


if __name__ == '__main__':
    sys.exit(main())
