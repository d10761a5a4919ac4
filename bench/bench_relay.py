#!/usr/bin/env python3
"""How fast the router relays, beside Postfix: the same load, the same next hop, in turns. Both
keep their queue on the same disk and tell their log. Postfix is the package of Debian as the
tests unpack it (./bootstrap test), in a mount namespace: that takes root.

  bench_relay.py BUILD-FOLDER [--rounds N] [--scale X] [SCENARIO...]

  short   a message of 4 KiB a session, 20 sessions at a time
  long    100 messages of 4 KiB a session
  tls     as short, under STARTTLS on both sides
  tlslong 50 messages a session, under STARTTLS on both sides
  large   a message of 1 MiB a session, 10 at a time

Messages a second count from the first connection to the last arrival at the next hop."""
import argparse
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)

#            messages, a session, octets, sessions at a time, TLS
SCENARIOS = {'short': (3000, 1, 4096, 20, False),
             'long': (4000, 100, 4096, 20, False),
             'tls': (1500, 1, 4096, 20, True),
             'tlslong': (2000, 50, 4096, 20, True),
             'large': (200, 1, 1 << 20, 10, False)}

RULES = ['[127.0.0.] $E$R$U%[127.0.0.$L]@tcp-inner', '. $U%$H@tcp-out']
CHANNELS = ['tcp_in smtp maytlsserver switchchannel\ntcp-in',
            'tcp_inner smtp maytlsserver\ntcp-inner',
            'tcp_out smtp nomx %s daemon [127.0.0.1] port %d\ntcp-out']
MAIN_CF = '''
compatibility_level = 3.6
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.test
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:%(hop)d
default_transport = relay
alias_maps =
alias_database =
maillog_file = /mail/log
maillog_file_prefixes = /mail
queue_directory = /mail/spool
data_directory = /mail/data
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = %(tls)s
smtpd_tls_cert_file = /etc/peer/cert.pem
smtpd_tls_key_file = /etc/peer/key.pem
smtp_tls_security_level = %(tls)s
smtp_tls_session_cache_database = btree:/mail/data/smtp_scache
'''


def postfix(next_hops, hop, tls):
    class Relay(next_hops.Postfix):
        # on the disk, where the router's queue is, and not in memory as the rest of it
        start_commands = next_hops.Postfix.start_commands.replace(
            'mkdir -p /var/spool/postfix /var/lib/postfix; cd /var/spool/postfix',
            'mkdir -p /mail/spool /mail/data; cd /mail/spool').replace(
            '/var/lib/postfix', '/mail/data')

        def files(self):
            return {'/etc/postfix/main.cf':
                    MAIN_CF % {'hop': hop, 'tls': 'encrypt' if tls else 'none'},
                    '/etc/postfix/master.cf':
                    next_hops.MASTER_CF + 'relay unix - - n - - smtp\n'}
    relay = Relay()
    return relay.port, relay.process.pid, relay.stop


def pointsman(harness, kit, hop, tls):
    port = harness.free_port()
    channels = list(CHANNELS)
    channels[-1] %= ('musttlsclient' if tls else 'notlsclient', hop)
    router = harness.Router(kit.site(RULES, channels, [kit.service('SMTP', 'tcp_in', port)]))
    router.start()

    def stop():
        router.stop()
        router.remove()
    return port, router.process.pid, stop


def processor_seconds(pid):
    """Of a process and all it started, those that have ended included."""
    total, parents, used = 0, {}, {}
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/stat' % name) as file:
                field = file.read().rsplit(')', 1)[1].split()
        except OSError:
            continue
        parents[int(name)] = int(field[1])
        used[int(name)] = sum(int(f) for f in field[11:15])
    for process in used:
        above = process
        while above not in (pid, 0, None):
            above = parents.get(above)
        total += used[process] if above == pid else 0
    return total / os.sysconf('SC_CLK_TCK')


def once(build, start, hop, scenario, scale, certificate):
    """One round of one router: messages a second, median wait in ms, CPU ms a message."""
    messages, per_session, size, at_a_time, tls = scenario
    messages = max(at_a_time, int(messages * scale))
    sink = subprocess.Popen([os.path.join(build, 'bench/bench_sink')]
                            + (['-t', *certificate] if tls else [])
                            + ['-n', str(messages), '127.0.0.1', str(hop), 'good'],
                            stdout=subprocess.PIPE, text=True)
    port, pid, stop = start(hop, tls)
    try:
        time.sleep(0.5)
        before, began = processor_seconds(pid), time.monotonic()
        load = subprocess.run([os.path.join(build, 'bench/bench_load')] + ['-t'] * tls
                              + ['-m', str(per_session), '-z', str(size), str(port),
                                 str(at_a_time), str(messages), 'u@there.test'],
                              stdout=subprocess.PIPE, text=True, check=True, timeout=300)
        try:
            counted = sink.communicate(timeout=120)[0]
        except subprocess.TimeoutExpired:
            sink.terminate()
            counted = sink.communicate()[0]
        took, used = time.monotonic() - began, processor_seconds(pid) - before
    finally:
        stop()
        if sink.poll() is None:
            sink.kill()
            sink.wait()
    have, again, _ = map(int, counted.split())
    if have != messages or again:
        raise SystemExit('relay: %d of %d messages arrived, %d twice' % (have, messages, again))
    return messages / took, float(load.stdout.split()[1]), 1000 * used / messages


def measure(build, name, rounds, scale, routers, harness, certificate):
    rows = {router: [] for router in routers}
    for number in range(rounds):
        for router in sorted(routers, reverse=number % 2 == 1):
            rows[router].append(once(build, routers[router], harness.free_port(),
                                     SCENARIOS[name], scale, certificate))
    for router in rows:
        rate, wait, used = (statistics.median(column) for column in zip(*rows[router]))
        print('relay %-8s %-10s %7.0f messages/s (%.0f to %.0f), reply after %6.1f ms, %5.2f ms '
              'CPU' % (name, router, rate, min(r[0] for r in rows[router]),
                       max(r[0] for r in rows[router]), wait, used), flush=True)
    if len(rows) == 2:
        ratios = [p[0] / q[0] for p, q in zip(rows['pointsman'], rows['postfix'])]
        print('relay %-8s median of the ratios: %.1f times as fast as Postfix'
              % (name, statistics.median(ratios)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('build')
    parser.add_argument('scenarios', nargs='*', metavar='SCENARIO')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--scale', type=float, default=1.0, help='of the number of messages')
    options = parser.parse_args()
    for name in options.scenarios:
        if name not in SCENARIOS:
            parser.error('no scenario %s: %s' % (name, ', '.join(SCENARIOS)))
    os.environ['POINTSMAN_BUILD'] = os.path.abspath(options.build)
    os.environ.setdefault('POINTSMAN_PEERS', os.path.join(TOP, 'var', 'peers'))
    sys.path.insert(0, os.path.join(TOP, 'test', 'e2e'))
    sys.dont_write_bytecode = True
    import harness
    import kit
    import next_hops

    routers = {'pointsman': lambda hop, tls: pointsman(harness, kit, hop, tls)}
    why_not = next_hops.why_not()
    if why_not is None and not os.path.isdir(os.path.join(harness.PEERS, 'postfix')):
        why_not = 'no Postfix under %s; ./bootstrap test puts it there' % harness.PEERS
    if why_not is None:
        routers['postfix'] = lambda hop, tls: postfix(next_hops, hop, tls)
    else:
        print('relay: not beside Postfix: ' + why_not)
    import tempfile
    with tempfile.TemporaryDirectory(prefix='pointsman-bench-') as folder:
        certificate = harness.make_certificate(folder)
        for name in options.scenarios or SCENARIOS:
            measure(options.build, name, options.rounds, options.scale, routers, harness,
                    certificate)


if __name__ == '__main__':
    main()
