#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shared library needs only what every user has agreed to: libfabric, libsodium, hwloc and the runtimes."""
import re
import subprocess
import sys

ALLOWED = re.compile(r'^(lib(fabric|sodium|hwloc|c|m|stdc\+\+|gcc_s|pthread|asan|ubsan|tsan)\.so(\.\d+)*'
                     r'|ld-linux[-\w]*\.so\.\d+)$')


def main():
    dynamic = subprocess.run(['readelf', '-d', sys.argv[1]], check=True, capture_output=True, text=True).stdout
    needed = re.findall(r'\(NEEDED\).*\[(.*)\]', dynamic)
    soname = re.findall(r'\(SONAME\).*\[(.*)\]', dynamic)
    complaints = [f'needs {name}' for name in needed if not ALLOWED.match(name)]
    if not any(name.startswith('libfabric.so') for name in needed):
        complaints.append('does not need libfabric')
    if soname != ['libpirn.so.0']:
        complaints.append(f'soname is {soname}')
    if '(TEXTREL)' in dynamic:
        complaints.append('has text relocations')
    print('needed:', ' '.join(needed))
    for complaint in complaints:
        print('libpirn.so', complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
