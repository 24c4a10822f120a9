#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs an example as a newcomer would, and then against the C example in both roles: languages must mix."""
import argparse
import subprocess
import sys

SECONDS = 60


def lines_of(output):
    return [line for line in output.splitlines() if 'example ok: ' in line]


def run_alone(command):
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    good = ['client: example ok: 1000003 bytes', 'server: example ok: 1000003 bytes']
    return result.returncode == 0 and lines_of(result.stdout) == good, result.stdout + result.stderr


def run_pair(server_command, client_command):
    with subprocess.Popen([*server_command, 'server'], stdout=subprocess.PIPE, text=True) as server:
        try:
            where = server.stdout.readline().split()
            client = subprocess.run([*client_command, 'client', *where], capture_output=True, text=True,
                                    timeout=SECONDS, check=False)
            rest = server.communicate(timeout=SECONDS)[0]
        finally:
            server.kill()  # does nothing to one that has ended
    good = (server.returncode == 0 and client.returncode == 0
            and lines_of(client.stdout) == ['client: example ok: 1000003 bytes']
            and lines_of(rest) == ['server: example ok: 1000003 bytes'])
    return good, rest + client.stdout + client.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--c', required=True, help='the C example')
    parser.add_argument('--sanitizer', required=True)
    parser.add_argument('command', nargs='+')
    args = parser.parse_args()

    own_runtime = args.command[0] != args.c and not args.command[0].endswith('example-cpp')
    if args.sanitizer != 'none' and own_runtime:
        print(f'SKIPPED: only C and C++ programs can load a library built with the {args.sanitizer} sanitizer')
        return 77
    runs = {'alone': lambda: run_alone(args.command)}
    if args.command != [args.c]:
        runs['as server of the C client'] = lambda: run_pair(args.command, [args.c])
        runs['as client of the C server'] = lambda: run_pair([args.c], args.command)
    failed = 0
    for name, run in runs.items():
        good, output = run()
        print(f'{name}: {"ok" if good else "FAILED"}\n{"" if good else output}', end='', flush=True)
        failed += not good
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
