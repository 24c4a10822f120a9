#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two processes as two containers of one host: which walls between them cost which path?

usage: pods.py PIRN-PERF [--time] [CELL...]

Each cell is a server and a client of pirn-perf behind walls of their own (unshare, ip netns), with memory of devices. It
has to end in time, by the path that tests/conformance/PODS.md promises, with every byte right. A row for each on standard output; --time also measures 64 MiB writes. Exit 77 with the reason where namespaces
cannot be made, or not all of them. The devices are those of whatever libcuda.so.1 is found: the fake one or the driver's."""
import json
import os
import subprocess
import sys
import threading
import time

PID = ['--pid', '--fork', '--kill-child', '--mount-proc']
ALL = ['--ipc', '--uts', '--mount'] + PID
OWN_SHM = 'mount -t tmpfs tmpfs /dev/shm && '
HIDE = '[ ! -e /dev/nvidia{0} ] || mount --bind /dev/null /dev/nvidia{0}; '
NOT_FIRST = 'true & '  # the program is not process 1 of its namespace
LIMIT = 60

# name: walls of the server, of the client; what is said before the program; environments; memory; what has to come.
CELLS = {
    'none': {},
    'none-plain': {'plain': True},
    'ipc': {'walls': ['--ipc']},
    'uts': {'walls': ['--uts']},
    'mount': {'walls': ['--mount']},
    'user': {'walls': ['--user', '--map-root-user']},
    'pid-differ': {'walls': PID, 'client_before': NOT_FIRST},
    'pid-both-1': {'walls': PID},
    'pid-both-1-plain': {'walls': PID, 'plain': True, 'path': 'ipc, device ring'},
    'pid-both-1-plain-host-ring': {'walls': PID, 'plain': True, 'env': {'PIRN_RINGS': 'host'}, 'path': 'ipc, host ring'},
    'pid-both-1-plain-no-ring': {'walls': PID, 'plain': True, 'env': {'PIRN_RINGS': 'none'}, 'path': 'fabric'},
    'pid-differ-plain': {'walls': PID, 'client_before': NOT_FIRST, 'plain': True},
    'all': {'walls': ALL},
    'all-own-shm': {'walls': ALL, 'before': OWN_SHM},
    'net': {'net': True},
    'all-net': {'walls': ALL, 'net': True},
    'all-net-own-shm': {'walls': ALL, 'net': True, 'before': OWN_SHM, 'path': 'fabric'},
    'reversed-devices': {'server_env': {'CUDA_VISIBLE_DEVICES': '1,0'}, 'server_memory': 'cuda:0'},
    'disjoint-devices': {'server_env': {'CUDA_VISIBLE_DEVICES': '1'}, 'client_env': {'CUDA_VISIBLE_DEVICES': '0'},
                         'server_memory': 'cuda:0'},
    'own-device-node': {'walls': ['--mount'], 'server_before': HIDE.format(0), 'client_before': HIDE.format(1),
                        'server_env': {'PIRN_FAKE_GPU_NODES': '1'}, 'client_env': {'PIRN_FAKE_GPU_NODES': '0'},
                        'server_memory': 'cuda:0', 'path': 'ipc, host ring'},
    'host-shared': {'walls': ALL, 'net': True, 'server_memory': 'shared', 'client_memory': 'shared'},
    'host-plain': {'walls': ALL, 'net': True, 'env': {'PIRN_PATH': 'ipc'}, 'server_memory': 'host', 'client_memory': 'host', 'path': 'ipc, host ring'},
}


def unavailable():
    if os.geteuid() != 0:
        return 'needs root to make namespaces'
    return why_not(['unshare'] + ALL + ['true'])


def why_not(probe):
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return f'{" ".join(probe)}: {done.stderr.strip()}' if done.returncode else None


class Network:
    """Two network namespaces joined by a pair of devices."""
    sides = {'server': '10.78.0.1', 'client': '10.78.0.2'}

    def __enter__(self):
        self.names = {side: f'pirn-pod-{side}-{os.getpid()}' for side in self.sides}
        for name in self.names.values():
            run('ip', 'netns', 'add', name)
        run('ip', 'link', 'add', 'pod0', 'netns', self.names['server'], 'type', 'veth', 'peer', 'name', 'pod0', 'netns',
            self.names['client'])
        for side, address in self.sides.items():
            run('ip', '-n', self.names[side], 'addr', 'add', address + '/24', 'dev', 'pod0')
            run('ip', '-n', self.names[side], 'link', 'set', 'lo', 'up')
            run('ip', '-n', self.names[side], 'link', 'set', 'pod0', 'up')
        for _ in range(500):
            if all('state UP' in run('ip', '-n', name, '-o', 'link', 'show', 'pod0') for name in self.names.values()):
                return self
            time.sleep(0.02)
        raise OSError('a pair of network devices does not come up')

    def __exit__(self, *_):
        for name in self.names.values():
            subprocess.run(['ip', 'netns', 'del', name], check=False, capture_output=True)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout


def command(side, cell, network, arguments):
    line = ['ip', 'netns', 'exec', network.names[side]] if network else []
    if cell.get('walls'):
        line += ['unshare'] + cell['walls']
    before = cell.get('before', '') + cell.get(side + '_before', '')
    # A shell only where something is said before: it would be process 1 in the program's place.
    script = before + ('"$@"' if NOT_FIRST in before else 'exec "$@"')
    return line + (['sh', '-c', script, 'sh'] if before else []) + arguments


def environment(side, cell):
    return {**os.environ, **cell.get('env', {}), **cell.get(side + '_env', {}), 'PIRN_TRANSFER_TIMEOUT': '20s'}


def memory(side, cell):
    return cell.get(side + '_memory', 'cuda:1' if side == 'server' else 'cuda:0') + ('/plain' if cell.get('plain') else '')


def measure(perf, cell, network, timed):
    host = network.sides['server'] if network else '127.0.0.1'
    server = subprocess.Popen(command('server', cell, network,
                                      [perf, '--server', host + ':0', '--mem', memory('server', cell)]),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment('server', cell))
    watch = threading.Timer(LIMIT, server.kill)
    watch.start()
    try:
        first = server.stdout.readline()
        if not first.startswith('listening on '):
            return None, 'the server says: ' + first + server.stderr.read()
        address = first.split()[-1].replace('0.0.0.0', host)
        size = ['--size', '64M', '--iters', '200', '--window', '16'] if timed else ['--size', '1,64K,3M', '--iters', '10', '--verify']
        client = subprocess.run(command('client', cell, network,
                                        [perf, '--connect', address, '--mem', memory('client', cell), '--test', 'write,read',
                                         '--json', '-'] + size),
                                capture_output=True, text=True, timeout=LIMIT, env=environment('client', cell), check=False)
        try:
            return json.loads(client.stdout), client.stderr
        except ValueError:
            return None, f'the client ended with {client.returncode}: {client.stderr}'
    finally:
        watch.cancel()
        server.kill()
        server.communicate()


def judge(cell, report, words):
    """(path, None or what is wrong)."""
    if report is None:
        return '-', words.strip()
    if not report['ok']:
        return '-', report['error']
    paths = {row['path'] + (', ' + row['rail'] if row['rail'].endswith(' ring') else '') for row in report['results']}
    wanted = cell.get('path', 'ipc')
    return '+'.join(sorted(paths)), None if paths == {wanted} else f'expected path {wanted}'


def main():
    arguments = sys.argv[1:]
    timed = '--time' in arguments
    perf, *names = [argument for argument in arguments if argument != '--time']
    if reason := unavailable():
        print('pods.py: skipped:', reason)
        return 77
    no_network = why_not(['ip', 'netns', 'list'])
    wrong = left_out = 0
    for name in names or CELLS:
        cell = CELLS[name]
        if cell.get('net') and no_network:
            print(f'{name:26} not run: {no_network}', flush=True)
            left_out += 1
            continue
        try:
            if cell.get('net'):
                with Network() as network:
                    report, words = measure(perf, cell, network, timed)
            else:
                report, words = measure(perf, cell, None, timed)
        except subprocess.TimeoutExpired:
            report, words = None, f'did not end within {LIMIT} s'
        path, trouble = judge(cell, report, words)
        speed = ' '.join(f'{row["test"]} {row["gb_per_s"]:.1f} GB/s' for row in report['results']) if timed and report else ''
        print(f'{name:26} {path:16} {speed}{"WRONG: " + trouble if trouble else ""}', flush=True)
        wrong += trouble is not None
    return 1 if wrong else 77 if left_out else 0


sys.exit(main())
