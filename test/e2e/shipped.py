"""The configurations we ship, as a daemon of the tests can run them: on free ports, and
with every next hop turned to one of our own. Nothing else is changed, unless a case asks."""
import os
import re

from harness import OPTION_DAT, TLS_CNF, free_port

# Who postmaster of the example site is, by its aliases and lists/operators.
OPERATORS = {b'anna@example.com', b'otto@example.com', b'noc@uk.example.com'}

ETC = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../etc')


def _read(folder):
    files = {}
    for root, _, names in os.walk(os.path.join(ETC, folder)):
        for name in names:
            path = os.path.join(root, name)
            with open(path) as file:
                files[os.path.relpath(path, os.path.join(ETC, folder))] = file.read()
    return files


def _to_hop(channel, hop):
    """A channel line whose mail goes to the hop. The last word of a group counts."""
    words = channel.split()
    if 'smtp' not in words:
        return channel
    return channel + ' nomx notlsclient daemon [127.0.0.1] port %d' % hop


def files(folder, hop, changes=()):
    """-> files of etc/FOLDER, ports. ports: what the file says -> what it is here.
    changes: (file, old text, new text)."""
    found = _read(folder)
    ports = {}

    def new_port(match):
        old = match.group(2)
        ports.setdefault(old, free_port())
        return match.group(1) + str(ports[old])
    found['dispatcher.cnf'] = 'INTERFACE_ADDRESS=127.0.0.1\n' + re.sub(
        r'(PORT=)(\d+)', new_port, found['dispatcher.cnf']).replace(
            'INTERFACE_ADDRESS=127.0.0.1\n', '')
    rules, blank, channels = found['pointsman.cnf'].partition('\n\n')
    lines = channels.replace('\\\n', '').split('\n')
    found['pointsman.cnf'] = rules + blank + '\n'.join(_to_hop(l, hop) for l in lines)
    for name, old, new in changes:
        assert old in found[name], (name, old)
        found[name] = found[name].replace(old, new)
    options = [l for l in found['option.dat'].splitlines()
               if not re.match(r'!|(QUEUE_DIRECTORY|MAILDIR_ROOT|CONTROL_SOCKET|WORKERS|USER)=', l)]
    found['option.dat'] = OPTION_DAT + ''.join(l + '\n' for l in options)
    found['tls.cnf'] = TLS_CNF
    return found, ports
