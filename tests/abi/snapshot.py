#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the library with the checked-in description of its ABI."""
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
INCOMPATIBLE = 8  # bit of abidiff's exit status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--describe', required=True, help='tools/dev/abi-snapshot')
    parser.add_argument('--snapshot', required=True)
    parser.add_argument('--library', required=True)
    args = parser.parse_args()

    if shutil.which('abidiff') is None or shutil.which('abidw') is None:
        print('SKIPPED: the ABI was NOT compared: abidiff is missing (Debian package abigail-tools)', file=sys.stderr)
        return SKIPPED
    sections = subprocess.run(['readelf', '-S', '-W', args.library], check=True, capture_output=True, text=True).stdout
    if '.debug_info' not in sections:
        print('The library has no debug information, so nothing can be compared.', file=sys.stderr)
        return 1

    # Both sides go through the same description: compared with the library itself, abidiff takes types
    # without a source line for private ones and stays silent about them.
    with tempfile.TemporaryDirectory() as folder:
        current = pathlib.Path(folder) / 'current.abi'
        subprocess.run([args.describe, args.library, str(current)], check=True)
        result = subprocess.run(['abidiff', args.snapshot, str(current)], capture_output=True, text=True, check=False)
    print(result.stdout, result.stderr)
    if result.returncode == 0:
        return 0
    if result.returncode & INCOMPATIBLE:
        print('The ABI changed incompatibly: callers built against the snapshot would break.', file=sys.stderr)
    else:
        print('The ABI changed. If the change is wanted and only adds, run tools/dev/abi-snapshot and commit '
              'tests/abi/libpirn.abi together with it.', file=sys.stderr)
    return 1


if __name__ == '__main__':
    sys.exit(main())
