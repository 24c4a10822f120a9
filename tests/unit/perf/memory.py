#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pirn-perf with memory of devices (a fake driver, by LD_LIBRARY_PATH): contents, reports, errors, and that a wrong byte
is found. Arguments: pirn-perf, and pirn-perf over a pirn that moves a byte wrong (faulty.cpp)."""
import json
import os
import random
import re
import subprocess
import sys

DATA_TESTS = 'write,read,lat,read-lat,vector,paged'
SEED = random.SystemRandom().randrange(1, 1 << 32)


def environment(**variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(('PIRN_', 'FI_'))}
    return {**kept, 'PIRN_FAKE_GPUS': '2', **variables}


def run(program, *arguments, **variables):
    return subprocess.run([program, *arguments, '--seed', str(SEED), '--provider', 'tcp'], env=environment(**variables),
                          capture_output=True, text=True, check=False, timeout=60)


def report(program, *arguments, **variables):
    result = run(program, '--local', *arguments, '--json', '-', **variables)
    assert result.returncode == 0, (arguments, result.stderr)
    assert 'misuse' not in result.stderr, result.stderr
    return json.loads(result.stdout)


def small(tests=DATA_TESTS, size='1,4097'):
    return ['--verify', '--test', tests, '--size', size, '--iters', '8', '--window', '4', '--blocks', '16']


def check_memories(program):
    for memory, peer_memory, path in (('cuda:0', 'cuda:1', 'ipc'), ('host', 'cuda:1', 'ipc'), ('cuda:1', 'shared', 'ipc'),
                                      ('shared', 'shared', 'ipc'), ('host', 'host', 'fabric')):
        document = report(program, *small(), '--mem', memory, '--peer-mem', peer_memory)
        assert (document['memory'], document['peer_memory'], document['ok']) == (memory, peer_memory, True), document
        assert len(document['results']) == 12, document
        for row in document['results']:
            # Plain host memory is read by the kernel, where it allows that.
            kernel = path == 'fabric' and row['path'] == 'ipc' and 'write' not in row['test']
            assert (row['memory'], row['peer_memory']) == (memory, peer_memory) and (kernel or row['path'] == path), row
            assert row['verified'] and row['bytes'] == row['size'] * row['blocks'] * 8, row


def check_paths(program):
    ends = ['--mem', 'cuda:0', '--peer-mem', 'cuda:1']
    inside = report(program, *small('write,read,paged', '4097'), *ends, '--path', 'self')
    assert inside['mode'] == 'same-process' and inside['path_demanded'] == 'self', inside
    assert [row['path'] for row in inside['results']] == ['self'] * 3, inside
    threads = report(program, '--test', 'write,read,connect', '--size', '64K', '--iters', '10', '--bidir', '--threads', '2',
                     '--path', 'ipc', *ends)
    assert [row['path'] for row in threads['results']] == ['ipc'] * 3, threads
    over_fabric = report(program, *small('write', '4097'), '--mem', 'shared', '--peer-mem', 'shared', '--path', 'fabric')
    assert over_fabric['results'][0]['path'] == 'fabric', over_fabric
    staged = report(program, *small('write,read,paged', '4097'), *ends, '--path', 'fabric')
    assert [row['path'] for row in staged['results']] == ['fabric'] * 3, staged
    assert all(row['rail'].endswith(', staged') for row in staged['results']), staged


def check_texts(program):
    ends = ['--mem', 'cuda:1', '--peer-mem', 'cuda:0']
    table = run(program, '--local', *small('write', '4097'), *ends, '--path', 'ipc').stdout
    assert 'memory cuda:1 here, cuda:0 there, path ipc demanded' in table and re.search(r'^write .* ipc', table, re.M), table
    lines = run(program, '--local', *small('write', '4097'), *ends, '--csv').stdout.splitlines()
    row = dict(zip(lines[0].split(','), lines[1].split(',')))
    assert (row['memory'], row['peer_memory'], row['path']) == ('cuda:1', 'cuda:0', 'ipc'), lines


def check_errors(program):
    for option, where in (('--mem', ''), ('--peer-mem', 'the partner')):
        absent = run(program, '--local', option, 'cuda:9')
        assert absent.returncode == 1 and 'cuda:9' in absent.stderr and 'cuda:0' in absent.stderr, absent.stderr
        assert where in absent.stderr, absent.stderr
    full = run(program, '--local', '--mem', 'cuda:0', '--peer-mem', 'cuda:1', '--test', 'write', '--size', '64M',
               PIRN_FAKE_GPU_MEMORY_MB='64')
    assert full.returncode == 1 and re.search(r'MiB of memory, cuda:[01]', full.stderr), full.stderr


def check_two_programs(program):
    server = subprocess.Popen([program, '--server', '127.0.0.1:0', '--provider', 'tcp', '--mem', 'cuda:1'], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    try:
        address = server.stdout.readline().split()[-1]
        whatever = run(program, '--connect', address, *small('write,read', '4097'), '--mem', 'cuda:0', '--json', '-')
        demanded = run(program, '--connect', address, *small('write', '4097'), '--peer-mem', 'cuda:0')
    finally:
        server.terminate()
        said = server.communicate(timeout=20)[1]
    assert server.returncode == 0, said
    assert whatever.returncode == 0, whatever.stderr
    assert [row['peer_memory'] for row in json.loads(whatever.stdout)['results']] == ['cuda:1'] * 2, whatever.stdout
    assert demanded.returncode == 1 and "partner's memory is \"cuda:1\"" in demanded.stderr, demanded.stderr


def check_wrong_bytes(faulty):
    ends = ['--mem', 'cuda:0', '--peer-mem', 'cuda:1']
    sound = run(faulty, '--local', *small('write,vector', '4097'), *ends)
    assert sound.returncode == 0, sound.stderr
    for test, fault, where in (('write', 'short:3', 'at the target'), ('read', 'short:3', 'in local memory'),
                               ('vector', 'short:3', 'at the target'), ('paged', 'short:3', 'at the target'),
                               ('lat', 'short:5', 'at the target'), ('write', 'stray:3', 'at the target'),
                               ('read', 'stray:3', 'in local memory')):
        found = run(faulty, '--local', *small(test, '4097'), *ends, PIRN_PERF_FAULT=fault)
        assert found.returncode == 1, (test, fault, found.stdout)
        assert re.search(rf'WRONG BYTE .*{where},? at window offset \d+', found.stderr), (test, fault, found.stderr)


def main():
    program, faulty = sys.argv[1:]
    print('seed', SEED)
    for check in (check_memories, check_paths, check_texts, check_errors, check_two_programs):
        check(program)
        print(check.__name__, 'passed')
    check_wrong_bytes(faulty)
    return 0


if __name__ == '__main__':
    sys.exit(main())
