#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every public header alone, twice over, in every promised language standard."""
import argparse
import pathlib
import subprocess
import sys
import tempfile

WARNINGS = ['-pedantic', '-Wall', '-Wextra', '-Wshadow', '-Wconversion', '-Werror']


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--include', type=pathlib.Path, required=True)
    parser.add_argument('--standards', required=True)
    parser.add_argument('--compiler', nargs='+', required=True)
    args = parser.parse_args()

    is_cpp = args.standards.startswith('c++')
    headers = sorted(path for path in (args.include / 'pirn').iterdir()
                     if path.suffix == '.h' or (is_cpp and path.suffix == '.hpp'))
    compiled = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for standard in args.standards.split(','):
            for header in headers:
                # The second include proves the guard; the declaration keeps ISO C from seeing an empty unit.
                source = pathlib.Path(folder) / ('unit.cpp' if is_cpp else 'unit.c')
                line = f'#include <pirn/{header.name}>\n'
                source.write_text(line + line + 'extern int not_empty;\n')
                command = [*args.compiler, f'-std={standard}', *WARNINGS, '-I', str(args.include),
                           '-c', str(source), '-o', str(source) + '.o']
                result = subprocess.run(command, capture_output=True, text=True, check=False)
                compiled += 1
                if result.returncode != 0:
                    failed += 1
                    print(f'{header.name} as {standard}:\n{result.stderr}', file=sys.stderr)
    print(f'{compiled} compilations of {len(headers)} headers, {failed} failed')
    return 1 if failed or len(headers) < 9 else 0


if __name__ == '__main__':
    sys.exit(main())
