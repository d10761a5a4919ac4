"""Certificates that no CA should sign, and bytes that are none. Odd ones that OpenSSL still reads
are made of a good one by putting parts in their place and signing again; what it does not read is
shown by raw_server() and raw_client(), who speak TLS 1.2 as far as the certificate: up to there
nothing is encrypted."""
import base64
import os
import re
import socket
import struct

# fields of TBSCertificate (RFC 5280 4.1)
SERIAL, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS = 1, 3, 4, 5, 6, 7


# --- DER ---

def der(tag, *parts):
    body = b''.join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, 'big')
    return bytes([tag, 0x80 | len(size)]) + size + body


def children(data):
    """The elements in a constructed one."""
    return split(body_of(data))


def body_of(data):
    return data[2 + (data[1] & 0x7f if data[1] & 0x80 else 0):]


def split(data):
    found = []
    while data:
        size, head = data[1], 2
        if size & 0x80:
            head += size & 0x7f
            size = int.from_bytes(data[2:head], 'big')
        found.append(data[:head + size])
        data = data[head + size:]
    return found


def pem(data):
    return '-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n' % (
        base64.encodebytes(data).decode())


def blocks(text):
    """The DER of each certificate of a PEM file."""
    return [base64.b64decode(b) for b in re.findall(
        '-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----', text, re.S)]


def common_name(value, tag=0x0c):
    return der(0x30, der(0x31, der(0x30, b'\x06\x03\x55\x04\x03', der(tag, value))))


def validity(begin, end, tag=0x18):
    return der(0x30, der(tag, begin), der(tag, end))


def with_fields(cert, fields):
    """The certificate with fields in their place; its signature is as it was."""
    tbs, algorithm, signature = children(cert)
    parts = children(tbs)
    for index, value in fields.items():
        parts[index] = value
    return der(0x30, der(0x30, *parts), algorithm, signature)


def signed_again(pki, cert, issuer):
    tbs, algorithm, _ = children(cert)
    with open(pki.path('tbs'), 'wb') as file:
        file.write(tbs)
    pki.openssl('dgst', '-sha256', '-sign', issuer + '.key', '-out', 'tbs.sig', 'tbs')
    with open(pki.path('tbs.sig'), 'rb') as file:
        return der(0x30, tbs, algorithm, der(0x03, b'\0' + file.read()))


# --- odd ones ---

def odd_leaf(pki, name, base, fields, chain=True):
    """NAME.pem and NAME.key: that of base, with other fields."""
    cert = blocks(pki.read(base + '.pem'))[0]
    cert = signed_again(pki, with_fields(cert, fields), 'middle')
    pki.write(name + '.pem', pem(cert) + (pki.read('middle.pem') if chain else ''))
    pki.write(name + '.key', pki.read(base + '.key'))
    os.chmod(pki.path(name + '.key'), 0o600)


def deep_chain(pki, name, san, depth):
    """depth CAs between root and leaf."""
    authority = 'basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign\n'
    above, chain = 'root', ''
    for i in range(depth):
        ca = '%s-ca%d' % (name, i)
        pki.key(ca, 'ec')
        pki.issue(ca, above, ca, '[x]\n' + authority, (-1, 30))
        above, chain = ca, pki.read(ca + '.pem') + chain
    pki.leaf(name, issuer=above, san=san, usage='serverAuth,clientAuth')
    pki.write(name + '.pem', pki.read(name + '.pem') + chain)


def issuer_loop(pki, name, san):
    """Two CAs, each signed by the other, and neither by the root."""
    authority = '[x]\nbasicConstraints = critical,CA:TRUE\n'
    for ca, other in (('loop-a', 'loop-b'), ('loop-b', 'loop-a')):
        pki.key(ca, 'ec')
        pki.openssl('req', '-x509', '-new', '-key', ca + '.key', '-out', ca + '.pem', '-config',
                    'config', '-days', '30', '-subj', '/CN=' + ca)
    pki.write('first.pem', pki.read('loop-a.pem'))
    pki.issue('loop-b', 'loop-a', 'loop-b', authority, (-1, 30))
    pki.issue('loop-a', 'loop-b', 'loop-a', authority, (-1, 30))
    pki.leaf(name, issuer='loop-a', san=san, usage='serverAuth,clientAuth')
    pki.write(name + '.pem', pki.read(name + '.pem') + pki.read('loop-a.pem') +
              pki.read('loop-b.pem'))


def unreadable(pki, base):
    """name -> the body of a Certificate message (RFC 5246 7.4.2)."""
    chain = blocks(pki.read(base + '.pem'))
    cert = chain[0]
    unknown = der(0x30, der(0x30, b'\x06\x05\x2a\x03\x04\x05\x06'), der(0x03, b'\0' + bytes(64)))
    number = der(0x02, b'\x01' + bytes(2047) + b'\x01')
    large = der(0x30, der(0x30, b'\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01', b'\x05\0'),
                der(0x03, b'\0' + der(0x30, number, b'\x02\x03\x01\x00\x01')))
    point = children(children(cert)[0])[KEY]
    off_curve = point[:-64] + b'\x01' * 64
    return {
        'truncated': message(cert[:len(cert) // 2]),
        'one-byte': message(b'\x30'), 'empty-entry': message(b''),
        'zeros': message(bytes(500)), 'random': message(os.urandom(500)),
        'longer-than-it-is': message(b'\x30\x84\x7f\xff\xff\xff' + cert[4:]),
        'more-behind': message(cert + b'more'),
        'nested': message(b'\x30\x80' * 20000),
        'negative-sizes': message(b'\x30\x88' + b'\xff' * 8 + cert),
        'unknown-key': message(with_fields(cert, {KEY: unknown}), *chain[1:]),
        'large-key': message(with_fields(cert, {KEY: large}), *chain[1:]),
        'no-point': message(with_fields(cert, {KEY: off_curve}), *chain[1:]),
        'no-fields': message(der(0x30, der(0x30), der(0x30), der(0x03, b'\0'))),
        'huge-chain': message(cert, *chain[1:] * 500),
        'huge-serial': message(with_fields(cert, {SERIAL: der(0x02, b'\x01' * 60000)})),
        'list-too-long': b'\xff\xff\xff' + message(cert)[3:],
        'list-too-short': b'\0\0\x01' + message(cert)[3:],
        'entry-too-long': message(cert)[:3] + b'\xff\xff\xff' + cert,
    }


def message(*certs):
    entries = b''.join(len(c).to_bytes(3, 'big') + c for c in certs)
    return len(entries).to_bytes(3, 'big') + entries


# --- TLS 1.2 as far as the certificate ---

def record(kind, data, most=16000):
    return b''.join(struct.pack('>BHH', 22, 0x0303, len(part)) + part for part in (
        (lambda whole: [whole[i:i + most] for i in range(0, len(whole), most)])(
            bytes([kind]) + len(data).to_bytes(3, 'big') + data)))


def read_handshake(connection, kind):
    """Reads records up to a handshake message of that kind, and returns its body."""
    buffer = b''
    while True:
        while len(buffer) >= 4:
            size = int.from_bytes(buffer[1:4], 'big')
            if len(buffer) < 4 + size:
                break
            if buffer[0] == kind:
                return buffer[4:4 + size]
            buffer = buffer[4 + size:]
        head = read_bytes(connection, 5)
        body = read_bytes(connection, int.from_bytes(head[3:5], 'big'))
        if head[0] != 22:
            raise ConnectionError('record of kind %d: %r' % (head[0], body[:20]))
        buffer += body


def read_bytes(connection, count):
    data = b''
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError('the end')
        data += more
    return data


def until_the_end(connection):
    """Reads until the other side is gone; what it sent."""
    data = b''
    try:
        while True:
            more = connection.recv(65536)
            if not more:
                return data
            data += more
    except (ConnectionError, TimeoutError):
        return data


RENEGOTIATION_INFO = b'\xff\x01\x00\x01\x00'
ECDSA_AES_GCM, RSA_AES_GCM = b'\xc0\x2b', b'\xc0\x2f'


def raw_server(connection, certificate):
    """Shows the body of a Certificate message to a client that has said ClientHello. Where it
    would be content it gets no more, only the end, after a second."""
    read_handshake(connection, 1)
    hello = b'\x03\x03' + os.urandom(32) + b'\0' + ECDSA_AES_GCM + b'\0'
    hello += struct.pack('>H', len(RENEGOTIATION_INFO)) + RENEGOTIATION_INFO
    connection.settimeout(1)
    connection.sendall(record(2, hello) + record(11, certificate))
    return until_the_end(connection)


def raw_client(connection, certificate):
    """Shows it to a server that asks for a certificate."""
    extensions = RENEGOTIATION_INFO
    extensions += b'\x00\x0a\x00\x06\x00\x04\x00\x1d\x00\x17'  # groups: X25519, P-256
    extensions += b'\x00\x0b\x00\x02\x01\x00'                  # points: uncompressed
    extensions += b'\x00\x0d\x00\x08\x00\x06\x04\x03\x08\x04\x04\x01'  # signatures
    hello = b'\x03\x03' + os.urandom(32) + b'\0\x00\x04' + ECDSA_AES_GCM + RSA_AES_GCM
    hello += b'\x01\x00' + struct.pack('>H', len(extensions)) + extensions
    connection.sendall(record(1, hello))
    read_handshake(connection, 14)  # ServerHelloDone
    connection.sendall(record(11, certificate))
    connection.shutdown(socket.SHUT_WR)
    return until_the_end(connection)
