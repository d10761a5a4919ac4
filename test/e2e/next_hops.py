"""Mail systems of Debian as next hops: Postfix, OpenSMTPD, Exim, and Dovecot's LMTP. Each
runs as if it were installed, in a mount namespace of its own: a copy of its unpacked
package over this machine's files, in memory. That takes root and the right to mount; where
they are missing the tests are skipped and say so.

Each takes mail for real.test: ann and bob have mailboxes (Maildirs that are seen from
outside), later is told 4xx, nobody 5xx."""
import functools
import glob
import os
import shlex
import subprocess
import unittest

from harness import PEERS, free_port, make_certificate, wait_until
from peers import Process, answers_quietly

SETUP = '''
set -e
mount -t tmpfs -o mode=755 tmpfs %(folder)s/tmp
mkdir %(folder)s/tmp/upper %(folder)s/tmp/work
for part in etc usr var; do
    [ ! -d %(peer)s/$part ] || cp -a %(peer)s/$part %(folder)s/tmp/upper/
done
mount -t overlay overlay \
    -o lowerdir=/,upperdir=%(folder)s/tmp/upper,workdir=%(folder)s/tmp/work %(folder)s/root
mount --rbind /dev %(folder)s/root/dev
mount -t proc proc %(folder)s/root/proc
mount -t tmpfs tmpfs %(folder)s/root/run
mkdir %(folder)s/root/mail
mount --bind %(folder)s/mail %(folder)s/root/mail
cp -a %(folder)s/files/. %(folder)s/root/
exec chroot %(folder)s/root /bin/sh -ec %(start)s
'''


@functools.lru_cache(None)
def why_not():
    """Why there can be no such peers here; None: there can."""
    if os.geteuid() != 0:
        return 'real next hops need root'
    probe = subprocess.run(['unshare', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if probe.returncode == 0 else 'real next hops need mounts: ' + probe.stdout.strip()


class NextHop(Process):
    """name: of the folder with the unpacked packages. users: made there if missing.
    start_commands: of the shell, the last one runs in the foreground (exec)."""
    name, users, start_commands = None, (), ''

    def __init__(self, **options):
        if why_not():
            raise unittest.SkipTest(why_not())
        self.port = free_port()
        self.options = options

        def command(folder):
            for part in ('tmp', 'root', 'mail', 'files/etc/peer'):
                os.makedirs(os.path.join(folder, part))
            os.chmod(os.path.join(folder, 'mail'), 0o777)
            for path, name in zip(make_certificate(folder, 'real.test'), ('cert.pem', 'key.pem')):
                os.rename(path, os.path.join(folder, 'files/etc/peer', name))
            for path, text in self.files().items():
                path = os.path.join(folder, 'files' + path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, 'w') as file:
                    file.write(text)
            users = ''.join('getent passwd %s >/dev/null || useradd -M -U -r -d /nonexistent %s\n'
                            % (u, u) for u in ('vmail',) + tuple(self.users))
            start = users + 'chown vmail: /mail\n' + self.start_commands % {'port': self.port}
            return ['unshare', '-m', 'bash', '-c', SETUP % {
                'folder': folder, 'peer': os.path.join(PEERS, self.name),
                'start': shlex.quote(start)}]
        self.start(command, self.name)
        try:
            wait_until(self.name + ' answers', lambda: self.ready() or self.ended(), 30)
        except BaseException:
            self.stop()
            raise

    def start(self, command, name):
        super().start(command, 'none')  # its libraries are where they belong

    def ready(self):
        return answers_quietly('127.0.0.1', self.port)

    def log(self):
        with open(os.path.join(self.folder, 'output'), 'rb') as file:
            return file.read().decode('utf-8', 'replace')

    def ended(self):
        if self.process.poll() is not None:
            raise AssertionError('%s ended: %s' % (self.name, self.log()[-3000:]))

    def mails(self, user):
        found = []
        for path in sorted(glob.glob(os.path.join(self.folder, 'mail', user, 'new', '*'))):
            with open(path, 'rb') as file:
                found.append(file.read())
        return found

    def find_mail(self, token, user='ann'):
        found = lambda: [m for m in self.mails(user) if token.encode() in m]
        try:
            return wait_until('%s has it' % self.name, found)[0]
        except AssertionError as error:
            raise AssertionError('%s\n%s' % (error, self.log()[-3000:])) from None


class Postfix(NextHop):
    name, users = 'postfix', ('postfix', 'postdrop')
    start_commands = '''
mkdir -p /var/spool/postfix /var/lib/postfix; cd /var/spool/postfix
mkdir -p active bounce corrupt defer deferred flush hold incoming private saved trace
mkdir -p -m 0730 maildrop; mkdir -p -m 0710 public; mkdir -p pid
chown postfix active bounce corrupt defer deferred flush hold incoming private saved trace \
    maildrop public /var/lib/postfix
chgrp postdrop maildrop public
sed -i 's/^smtp .*/127.0.0.1:%(port)d inet n - n - - smtpd/; s/^\\([a-z]* *[a-z]* *[-yn] *[-yn] *\\)y /\\1n /' \
    /etc/postfix/master.cf
exec /usr/lib/postfix/sbin/master -d -c /etc/postfix
'''

    def files(self):
        tls = self.options.get('tls', 'may')
        return {'/etc/postfix/main.cf': '''
compatibility_level = 3.6
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = real.test
mydestination =
maillog_file = /dev/stdout
virtual_mailbox_domains = real.test
virtual_mailbox_maps = inline:{ann@real.test=ann/, bob@real.test=bob/, later@real.test=ann/}
virtual_mailbox_base = /mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_recipient_restrictions = check_recipient_access inline:{{later@real.test = 450 4.2.1 later}}, reject_unauth_destination
smtpd_discard_ehlo_keywords = chunking
smtpd_tls_security_level = %s
smtpd_tls_cert_file = /etc/peer/cert.pem
smtpd_tls_key_file = /etc/peer/key.pem
message_size_limit = 3000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtpd_client_connection_count_limit = 0
''' % tls,
                '/etc/postfix/master.cf': MASTER_CF}


MASTER_CF = '''smtp inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
'''


class OpenSmtpd(NextHop):
    """6.8 of Debian 12 offers STARTTLS, and no handshake ever succeeds: with OpenSSL 3 it
    does not find its own private key."""
    name, users = 'opensmtpd', ('opensmtpd', 'opensmtpq')
    start_commands = '''
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd
chmod 711 /var/spool/smtpd
chmod 600 /etc/peer/key.pem
exec /usr/sbin/smtpd -d -f /etc/peer/smtpd.conf
'''

    def files(self):
        return {'/etc/peer/smtpd.conf': '''
pki real.test cert "/etc/peer/cert.pem"
pki real.test key "/etc/peer/key.pem"
table later { "later@real.test" }
filter later phase rcpt-to match rcpt-to <later> reject "450 4.2.1 later"
smtp max-message-size 3000000
listen on 127.0.0.1 port %d %s pki real.test hostname real.test filter later
table boxes { "ann@real.test" = vmail, "bob@real.test" = vmail }
action "here" maildir "/mail/%%{rcpt.user}" virtual <boxes>
match from any for domain real.test action "here"
''' % (self.port, 'tls-require' if self.options.get('tls') == 'encrypt' else 'tls')}


class Exim(NextHop):
    name, users = 'exim', ('Debian-exim',)
    start_commands = '''
mkdir -p /var/spool/exim4 /var/log/exim4
chown Debian-exim: /var/spool/exim4 /var/log/exim4
chgrp Debian-exim /etc/peer/key.pem; chmod 640 /etc/peer/key.pem
exec /usr/sbin/exim4 -bdf -q1m
'''

    def files(self):
        must = self.options.get('tls') == 'encrypt'
        return {'/etc/exim4/exim4.conf': '''
primary_hostname = real.test
daemon_smtp_ports = %d
local_interfaces = 127.0.0.1
domainlist local_domains = real.test
tls_advertise_hosts = *
tls_certificate = /etc/peer/cert.pem
tls_privatekey = /etc/peer/key.pem
message_size_limit = 3000000
# or else what comes behind the tenth message of a connection waits for a queue run
smtp_accept_queue_per_connection = 0
acl_smtp_mail = check_mail
acl_smtp_rcpt = check_rcpt
acl_smtp_data = check_data
rfc1413_query_timeout = 0s
host_lookup =
begin acl
check_mail:
  %s
  accept
check_rcpt:
  defer local_parts = later
        message = 4.2.1 later
  deny  !local_parts = ann : bob
        message = 5.1.1 nobody here
  accept domains = +local_domains
  deny
check_data:
  accept
begin routers
here:
  driver = accept
  domains = +local_domains
  local_parts = ann : bob
  transport = here
begin transports
here:
  driver = appendfile
  directory = /mail/$local_part_data
  maildir_format
  user = vmail
  return_path_add
''' % (self.port, 'deny !encrypted = *\n       message = 5.7.0 TLS first' if must else '')}


class Dovecot(NextHop):
    """LMTP. bob has no room: he is told so when the message is there."""
    name, users = 'dovecot', ('dovecot', 'dovenull')
    start_commands = '''
chmod 755 /run; mkdir -p /run/dovecot
exec /usr/sbin/dovecot -F -c /etc/peer/dovecot.conf
'''

    @property
    def socket(self):
        return os.path.join(self.folder, 'mail', 'socket')

    def files(self):
        return {'/etc/peer/users': 'ann:::::::\nbob:::::::userdb_quota_rule=*:bytes=1\n',
                '/etc/peer/dovecot.conf': '''
protocols = lmtp
listen = 127.0.0.1
log_path = /dev/stderr
ssl = yes
ssl_cert = </etc/peer/cert.pem
ssl_key = </etc/peer/key.pem
auth_username_format = %%n
first_valid_uid = 1
mail_uid = vmail
mail_gid = vmail
mail_location = maildir:/mail/%%n
mail_home = /mail/home/%%n
mail_plugins = quota
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=1G
}
quota_full_tempfail = yes
postmaster_address = postmaster@real.test
hostname = real.test
protocol lmtp {
  mail_plugins = quota
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %d
  }
  unix_listener /mail/socket {
    mode = 0666
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
passdb {
  driver = passwd-file
  args = /etc/peer/users
}
userdb {
  driver = passwd-file
  args = /etc/peer/users
}
''' % self.port}
