"""What the cases are written with: configurations in a few words, and clients: Wire says
exactly what a case wants said, send() is smtplib for the everyday ones."""
import itertools
import json
import smtplib
import socket
import ssl
from collections import namedtuple

from harness import free_port

LOCAL = 'l logging\nrouter.test'
SENDER = 'sue@far.test'
_serial = itertools.count(1)


def token():
    """A word no other message of this process holds."""
    return 'token-%d-%d' % (free_port(), next(_serial))


def service(name, channel, port=None, tls_port=None):
    lines = ['[SERVICE=%s]' % name]
    if port:
        lines.append('PORT=%d' % port)
    if tls_port:
        lines.append('TLS_PORT=%d' % tls_port)
    return '\n'.join(lines + ['PARAMETER=CHANNEL=' + channel, '', ''])


def site(rules, channels, services, localdomains=(), **more):
    """Configuration files. channels: blocks after the local one (LOCAL unless a block of
    l is given); services: results of service()."""
    blocks = list(channels)
    if not any(b.split()[0] == 'l' for b in blocks):
        blocks.insert(0, LOCAL)
    files = {
        'pointsman.cnf': '\n'.join(rules) + '\n\n' + '\n\n'.join(blocks) + '\n',
        'dispatcher.cnf': 'INTERFACE_ADDRESS=127.0.0.1\n\n' + ''.join(services),
        'localdomains': ''.join(d + '\n' for d in localdomains),
    }
    files.update(more.pop('files', {}))
    return files


def client_context(version=None, only=None):
    """TLS for a client that believes any certificate; `only`: one protocol version, weak
    ciphers included."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if only:
        context.set_ciphers('ALL:@SECLEVEL=0')
        context.minimum_version = only
        context.maximum_version = only
    elif version:
        context.maximum_version = version
    return context


class Closed(Exception):
    """The other side ended the connection where a reply was due."""


Reply = namedtuple('Reply', 'code text')


class Wire:
    """A connection to the router. tls: from the first byte. source: our own address, one
    of 127/8, by which IP switch rules can tell clients apart."""

    def __init__(self, port, source=None, tls=False, greeting=True, timeout=15):
        self.socket = socket.create_connection(
            ('127.0.0.1', port), timeout, (source, 0) if source else None)
        self.buffer = b''
        self.greeting = None
        if tls:
            self.handshake()
        if greeting:
            self.greeting = self.reply()
            assert self.greeting.code == 220, self.greeting

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def handshake(self, context=None):
        assert not self.buffer, self.buffer
        self.socket = (context or client_context()).wrap_socket(self.socket,
                                                                server_hostname='router.test')

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b'\n' not in self.buffer:
            try:
                more = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError) as error:
                raise Closed(repr(error)) from None
            if not more:
                raise Closed('end of file, read so far: %r' % self.buffer)
            self.buffer += more
        line, self.buffer = self.buffer.split(b'\n', 1)
        assert line.endswith(b'\r'), line
        return line[:-1].decode('latin-1')

    def reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == '-':
            lines.append(self.line())
        assert len({l[:3] for l in lines}) == 1, lines
        return Reply(int(lines[0][:3]), '\n'.join(l[4:] for l in lines))

    def say(self, command):
        """Sends one command line, returns its reply."""
        self.send(command + '\r\n' if isinstance(command, str) else command + b'\r\n')
        return self.reply()

    def want(self, command, code, text=''):
        reply = self.say(command)
        if reply.code != code or text not in reply.text:
            raise AssertionError('%r: wanted %s %r, got %s' % (command, code, text, reply))
        return reply

    def ehlo(self, name='client.test'):
        """EHLO; the keywords of the reply, and the server's name under ''."""
        lines = self.want('EHLO ' + name, 250).text.split('\n')
        words = {l.split()[0]: l for l in lines[1:]}
        words[''] = lines[0].split()[0]
        return words

    def starttls(self, context=None):
        self.want('STARTTLS', 220)
        self.handshake(context)

    def mail(self, to, sender=SENDER, body='Subject: test\r\n\r\nhello\r\n', parameters=''):
        """A whole transaction; the reply to the final dot."""
        self.want('MAIL FROM:<%s>%s' % (sender, parameters), 250)
        for one in [to] if isinstance(to, str) else to:
            self.want('RCPT TO:<%s>' % one, 250)
        self.want('DATA', 354)
        self.send(body)
        return self.want('.', 250)

    def is_closed(self):
        """Waits for the end; True when nothing more came."""
        try:
            return not self.buffer and self.socket.recv(1) == b''
        except (ConnectionError, ssl.SSLError):
            return True


class Refused(Exception):
    def __init__(self, step, code, text):
        super().__init__('%s: %d %s' % (step, code, text))
        self.step, self.code, self.text = step, code, text


def send(port, to, sender=SENDER, body=None, tls=None, source=None, subject='test'):
    """One message by Python's smtplib. tls: None, 'starttls' or 'implicit'. Returns the
    text of the final 250; Refused if any step is."""
    if body is None:
        body = 'Subject: %s\r\n\r\nhello\r\n' % subject
    recipients = [to] if isinstance(to, str) else to
    options = dict(local_hostname='client.test', timeout=20,
                   source_address=(source, 0) if source else None)
    if tls == 'implicit':
        smtp = smtplib.SMTP_SSL('127.0.0.1', port, context=client_context(), **options)
    else:
        smtp = smtplib.SMTP('127.0.0.1', port, **options)
    with smtp:
        smtp.ehlo()
        if tls == 'starttls':
            smtp.starttls(context=client_context())
            smtp.ehlo()
        step(smtp, 'MAIL', smtp.mail(sender))
        for one in recipients:
            step(smtp, 'RCPT', smtp.rcpt(one))
        return step(smtp, 'DATA', smtp.data(body))


def step(smtp, name, answer):
    code, text = answer
    if code not in (250, 251):
        smtp.rset()
        raise Refused(name, code, text.decode('latin-1'))
    return text.decode('latin-1')


def json_line(text):
    """The object of a line; {} for a line that is none."""
    return json.loads(text) if text.startswith('{') else {}


def queue_id(text):
    """The id in '2.0.0 queued as ID'."""
    return text.split()[-1]
