#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pirn-info --explain as users and scripts see it: a provider, all, a listening endpoint, wrong arguments; with three
simulated NICs on a described machine. Arguments: pirn-info, libpirn.so, directory of machines, directory of NICs."""
import ctypes
import os
import re
import socket
import subprocess
import sys
import tempfile

# Of a p4d: the first two hang on memory node 0 with CPUs 0-3, the last on node 1 with CPUs 4-7.
NICS = ['0000:10:01.0', '0000:20:01.0', '0000:90:01.0']


def listen(library):
    """A listening endpoint, until standard input ends."""
    pirn = ctypes.CDLL(library)
    pirn.pirn_last_error.restype = ctypes.c_char_p
    context, endpoint = ctypes.c_void_p(), ctypes.c_void_p()
    text, length = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
    for call in (lambda: pirn.pirn_context_open(None, ctypes.byref(context)),
                 lambda: pirn.pirn_endpoint_open(context, None, ctypes.byref(endpoint)),
                 lambda: pirn.pirn_endpoint_listen(endpoint, b'127.0.0.1:0'),
                 lambda: pirn.pirn_endpoint_address(endpoint, text, ctypes.byref(length))):
        if call() != 0:
            sys.exit(pirn.pirn_last_error().decode())
    print(text.value.decode(), flush=True)
    sys.stdin.read()
    pirn.pirn_endpoint_close(endpoint)
    pirn.pirn_context_close(context)


class Listener:
    def __init__(self, library, environment):
        self.process = subprocess.Popen([sys.executable, __file__, '--listen', library], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def __enter__(self):
        address = self.process.stdout.readline().strip()
        assert address, self.process.stderr.read()
        return address

    def __exit__(self, *_):
        _, said = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, said
        # hwloc lacks its plugins in a process that opened libpirn as ctypes does, and must do without them.
        assert 'equally near' not in said, said


def environment(**variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(('PIRN_', 'FI_', 'HWLOC_'))}
    # Sanitizers and loaders keep theirs; libfabric finds nothing beside what it brings.
    return {**kept, **variables}


def run(program, *arguments, env):
    return subprocess.run([program, *arguments], env=env, capture_output=True, text=True, check=False, timeout=50)


def line(text, pattern):
    found = [each for each in text.splitlines() if re.match(pattern, each)]
    assert len(found) == 1, f'{len(found)} lines match {pattern!r} in:\n{text}'
    return found[0]


def check_providers(program, empty):
    env = environment(FI_PROVIDER_PATH=empty)
    one = run(program, '--explain', 'tcp', env=env)
    assert one.returncode == 0 and not one.stderr, one.stderr
    line(one.stdout, r'demanded: PIRN_PROVIDER=auto \(default\), PIRN_NICS empty \(default\)$')
    line(one.stdout, r'provider tcp \(libfabric\'s \S+\): ')
    assert 'provider shm' not in one.stdout, one.stdout
    everything = run(program, '--explain', 'all', env=env)
    assert everything.returncode == 0, everything.stderr
    for name in ('cxi', 'efa', 'verbs', 'tcp', 'sockets', 'shm'):
        line(everything.stdout, rf'provider {name}\b.*: (chosen|not chosen|not usable here): ')
    demanded = run(program, '--explain=sockets', env=environment(FI_PROVIDER_PATH=empty, PIRN_PROVIDER='sockets',
                                                                 PIRN_NICS='127.0.0.1'))
    line(demanded.stdout, r'provider sockets \(.*: chosen: PIRN_PROVIDER=sockets \(environment\)$')
    line(demanded.stdout, r'  NIC \S+ \(127\.0\.0\.1, .*: chosen: "127\.0\.0\.1" of PIRN_NICS=127\.0\.0\.1 \(environment\) names')
    wrong_list = run(program, '--explain', 'tcp', env=environment(FI_PROVIDER_PATH=empty, PIRN_NICS='none9'))
    assert wrong_list.returncode == 0, wrong_list.stderr
    line(wrong_list.stdout, r'no endpoint can be opened: no NIC is named "none9"; there are ')


def check_usage(program, empty):
    env = environment(FI_PROVIDER_PATH=empty)
    for wrong in (['--explain'], ['--explain', ''], ['--explain', 'spam'], ['--explain', 'tcp', '--json'],
                  ['--explain', '127.0.0.1:'], ['--explain', '127.0.0.1:99999'], ['--timeout', '1'],
                  ['--explain', 'tcp', '--timeout', '0'], ['--explain', 'tcp', '--timeout', 'x'], ['extra']):
        result = run(program, *wrong, env=env)
        assert result.returncode == 64, (wrong, result.returncode, result.stdout, result.stderr)
        assert result.stderr, wrong
    unknown = run(program, '--explain', 'spam', env=env).stderr
    assert 'provider "spam" is unknown; known are cxi, efa, verbs, tcp, sockets, shm' in unknown, unknown
    malformed = run(program, '--explain', 'tcp', env=environment(PIRN_CHUNK_SIZE='zz'))
    assert malformed.returncode == 1 and 'PIRN_CHUNK_SIZE' in malformed.stderr, malformed.stderr
    nothing = run(program, '--explain', '127.0.0.1:7', env=environment(FI_PROVIDER_PATH=empty, PIRN_NICS='none9'))
    assert nothing.returncode == 1 and 'none9' in nothing.stderr, nothing.stderr


def check_unreachable(program, empty):
    env = environment(FI_PROVIDER_PATH=empty, PIRN_PROVIDER='tcp')
    with socket.socket() as bound:  # not listening: refuses
        bound.bind(('127.0.0.1', 0))
        refused = run(program, '--explain', f'127.0.0.1:{bound.getsockname()[1]}', env=env)
    assert refused.returncode == 2 and 'refused' in refused.stderr.lower(), refused.stderr
    with socket.socket() as silent:  # takes the connection and says nothing
        silent.bind(('127.0.0.1', 0))
        silent.listen()
        late = run(program, '--explain', f'127.0.0.1:{silent.getsockname()[1]}', '--timeout', '0.3', env=env)
    assert late.returncode == 2 and 'timed out' in late.stderr, late.stderr
    line(late.stdout, r'endpoint: 1 rail of provider tcp$')


def check_peer(program, library, empty):
    env = environment(FI_PROVIDER_PATH=empty, PIRN_PROVIDER='tcp', PIRN_NICS='127.0.0.1')
    with Listener(library, env) as address:
        for _ in range(2):  # the first one has left
            reached = run(program, '--explain', address, env=env)
            assert reached.returncode == 0 and not reached.stderr, reached.stderr
            line(reached.stdout, r'rail 0: tcp/\S+ \(127\.0\.0\.1, .*\): open, ')
            line(reached.stdout, rf'peer {re.escape(address)}: up$')
            line(reached.stdout, r'path fabric: rail 0 tcp/\S+ \(127\.0\.0\.1\) to remote rail 0 \(.*\): in use, ')
            line(reached.stdout, r'path ipc: no window of the peer that it shares is in use')
        other = run(program, '--explain', address, env={**env, 'PIRN_PROVIDER': 'sockets'})
        assert other.returncode == 2 and 'no provider in common' in other.stderr, other.stderr


def check_distances(program, machine, simulated):
    """NICs near to the CPU that this process is bound to, and those that are not."""
    allowed = os.sched_getaffinity(0)
    cpu = min(allowed)
    os.sched_setaffinity(0, {cpu})
    try:
        text = run(program, '--explain', 'cxi', env={**simulated, 'HWLOC_XMLFILE': machine, 'HWLOC_THISSYSTEM': '1'}).stdout
    finally:
        os.sched_setaffinity(0, allowed)
    if cpu >= 8:  # in no domain of the machine described
        near, far = NICS, []
    else:
        near, far = (NICS[:2], NICS[2:]) if cpu < 4 else (NICS[2:], NICS[:2])
        line(text, rf'near to: NUMA node {cpu // 4}, to which this thread is bound$')
    for address in near:
        line(text, rf'  NIC cxi\d \(.*{re.escape(address)}, 200 Gb/s.*\): chosen: ')
    for address in far:
        line(text, rf'  NIC cxi\d \(.*{re.escape(address)}, 200 Gb/s, same machine\): chosen as a spare: of the others the next nearest ')


def check_three_nics(program, library, machine, providers):
    with tempfile.TemporaryDirectory() as directory:
        simulated = environment(FI_PROVIDER_PATH=providers, PIRN_SIM_NICS='3', PIRN_SIM_PCI=','.join(NICS),
                                PIRN_SIM_DIR=directory, PIRN_PROVIDER='cxi')
        check_distances(program, machine, simulated)
        with Listener(library, simulated) as address:
            all_rails = run(program, '--explain', address, env=simulated)
            two_rails = run(program, '--explain', address, env={**simulated, 'PIRN_NICS': 'cxi2,cxi0'})
        assert all_rails.returncode == 0, all_rails.stderr
        line(all_rails.stdout, r'endpoint: 3 rails of provider cxi$')
        for rail in range(3):
            line(all_rails.stdout, rf'path fabric: rail {rail} cxi/cxi{rail} \(.*to remote rail {rail} \(200 Gb/s\): in use')
        line(all_rails.stdout, 'path fabric: 6 other pairs of rails not made: ')
        assert two_rails.returncode == 0, two_rails.stderr
        line(two_rails.stdout, r'  NIC cxi1 \(.*: not chosen: PIRN_NICS=cxi2,cxi0 \(environment\) does not name it$')
        line(two_rails.stdout, r'path fabric: rail 0 cxi/cxi2 \(.*to remote rail 2 ')  # one of theirs more than of ours


def main():
    if sys.argv[1] == '--listen':
        return listen(sys.argv[2])
    program, library, machines, providers = sys.argv[1:]
    with tempfile.TemporaryDirectory() as empty:
        check_providers(program, empty)
        check_usage(program, empty)
        check_unreachable(program, empty)
        check_peer(program, library, empty)
    check_three_nics(program, library, machines + '/p4d.xml', providers)
    return 0


if __name__ == '__main__':
    sys.exit(main())
