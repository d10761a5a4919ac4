"""The certificates of the TLS tests, made by openssl once for each process: a root with an
intermediate CA, another root, and leaves that are right or wrong in one way each."""
import os
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone

NAME = 'mx.partner.test'
IDN = 'xn--mller-kva.partner.test'

# leaf: issuer, key, common name, subject alternative names, extended key usage, days from
# now that it begins and ends
LEAVES = {
    'ecdsa': dict(),
    'rsa': dict(key='rsa'),
    'wrong-name': dict(san='DNS:elsewhere.test'),
    'cn-only': dict(san=None),
    'expired': dict(days=(-30, -1)),
    'not-yet': dict(days=(1, 30)),
    'wrong-usage': dict(usage='clientAuth'),
    'other-ca': dict(issuer='other'),
    'no-chain': dict(chain=False),
    'wildcard': dict(san='DNS:*.partner.test'),
    'wildcard-deep': dict(san='DNS:*.test'),
    'wildcard-part': dict(san='DNS:m*.partner.test'),
    'idn': dict(san='DNS:' + IDN),
    'ip': dict(san='IP:127.0.0.1'),
    'client': dict(usage='clientAuth', cn='client'),
    'client-rsa': dict(usage='clientAuth', cn='client', key='rsa'),
    'client-expired': dict(usage='clientAuth', cn='client', days=(-30, -1)),
    'client-not-yet': dict(usage='clientAuth', cn='client', days=(1, 30)),
    'client-other': dict(usage='clientAuth', cn='client', issuer='other'),
    'client-no-chain': dict(usage='clientAuth', cn='client', chain=False),
    'client-usage': dict(cn='client'),
}

CONFIG = """
[ca]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = policy
unique_subject = no
copy_extensions = none
[policy]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
"""


def stamp(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime('%Y%m%d%H%M%SZ')


class Pki:
    """folder: where all is. pair(leaf): (certificate with its chain, key)."""

    def __init__(self):
        self.holder = tempfile.TemporaryDirectory(prefix='pointsman-pki-')
        self.folder = self.holder.name
        os.chmod(self.folder, 0o755)
        self.write('index', '')
        self.write('serial', '1000\n')
        self.write('config', CONFIG)
        for root in ('root', 'other'):
            self.key(root, 'ec')
            self.openssl('req', '-x509', '-new', '-key', root + '.key', '-out', root + '.pem',
                         '-config', 'config', '-extensions', 'authority', '-days', '60',
                         '-subj', '/CN=Test ' + root)
        self.key('middle', 'ec')
        self.issue('middle', 'root', 'Test middle', '[x]\n' + CONFIG.split('[authority]')[1],
                   (-60, 60))
        for name, how in LEAVES.items():
            self.leaf(name, **how)
        self.self_signed('self')

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='ascii') as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name), encoding='ascii') as file:
            return file.read()

    def openssl(self, *arguments):
        done = subprocess.run(('openssl',) + arguments, cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise AssertionError('openssl %s: %s' % (' '.join(arguments), done.stderr))
        return done.stdout

    def key(self, name, kind):
        how = (['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'] if kind == 'ec' else
               ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'])
        self.openssl('genpkey', *how, '-out', name + '.key')
        os.chmod(self.path(name + '.key'), 0o600)

    def issue(self, name, issuer, cn, extensions, days):
        self.write(name + '.ext', extensions)
        self.openssl('req', '-new', '-key', name + '.key', '-out', name + '.csr', '-config',
                     'config', '-subj', '/CN=' + cn)
        self.openssl('ca', '-batch', '-notext', '-config', 'config', '-name', 'ca', '-cert',
                     issuer + '.pem', '-keyfile', issuer + '.key', '-in', name + '.csr', '-out',
                     name + '.pem', '-extfile', name + '.ext', '-extensions', 'x',
                     '-startdate', stamp(days[0]), '-enddate', stamp(days[1]))

    def leaf(self, name, issuer='middle', key='ec', cn=NAME, san='DNS:' + NAME,
             usage='serverAuth', days=(-1, 30), chain=True):
        extensions = '[x]\nbasicConstraints = CA:FALSE\nextendedKeyUsage = %s\n' % usage
        if san:
            extensions += 'subjectAltName = %s\n' % san
        self.key(name, key)
        self.issue(name, issuer, cn, extensions, days)
        if chain and issuer == 'middle':
            self.write(name + '.pem', self.read(name + '.pem') + self.read('middle.pem'))

    def self_signed(self, name, san='DNS:' + NAME):
        self.key(name, 'ec')
        self.openssl('req', '-x509', '-new', '-key', name + '.key', '-out', name + '.pem',
                     '-config', 'config', '-days', '30', '-subj', '/CN=' + NAME,
                     '-addext', 'subjectAltName=' + san)

    def pair(self, name):
        return self.path(name + '.pem'), self.path(name + '.key')

    def spki(self, name):
        """The fingerprint of the public key, as openssl makes it."""
        self.openssl('pkey', '-in', name + '.key', '-pubout', '-outform', 'DER', '-out', 'x.der')
        return self.openssl('dgst', '-sha256', '-r', 'x.der').split()[0]

    def fingerprint(self, name):
        """That of the certificate, with colons."""
        return self.openssl('x509', '-in', name + '.pem', '-noout', '-fingerprint',
                            '-sha256').strip().split('=')[1]


_pki = None


def pki():
    global _pki
    _pki = _pki or Pki()
    return _pki
