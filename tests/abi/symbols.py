#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Headers, version map and shared library must name the same functions, and public structs only fields
that every language can lay out."""
import argparse
import pathlib
import re
import subprocess
import sys

import public_headers

FIELD = re.compile(r'^(const )?(void|char|u?int(8|16|32|64)_t|size_t|pirn_\w+) '
                   r'(\*|\*const \*)?\w+(\[\d+\])?$')


def mapped_functions(path):
    """{version: names} of the version map."""
    versions = {}
    text = re.sub(r'#[^\n]*', '', path.read_text())
    for version, body in re.findall(r'(\w[\w.]*)\s*\{(.*?)\}', text, flags=re.S):
        exported = body.split('local:')[0].replace('global:', '')
        versions[version] = {name for name in re.split(r'[;\s]+', exported) if name}
    return versions


def exported_symbols(library):
    """{name: version} of every defined dynamic symbol but the version nodes themselves."""
    lines = subprocess.run(['nm', '-D', '--defined-only', '--with-symbol-versions', library], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    symbols = {}
    for line in lines:
        kind, name = line.split()[-2:]
        if kind == 'A':
            continue
        name, _, version = name.partition('@')
        symbols[name] = version.lstrip('@')
    return symbols


def compare(complaints, left_name, left, right_name, right):
    for name in sorted(left - right):
        complaints.append(f'{name}: in {left_name}, not in {right_name}')
    for name in sorted(right - left):
        complaints.append(f'{name}: in {right_name}, not in {left_name}')


def check_structs(complaints, include):
    structs = public_headers.structs(include)
    if len(structs) < 10:
        complaints.append(f'only {len(structs)} structs found: is the reader of the headers broken?')
    for name, fields in structs.items():
        for field in fields:
            if not FIELD.match(field):
                complaints.append(f'{name}: field "{field}" has no fixed layout')
        if 'size_t struct_size' in fields[1:]:
            complaints.append(f'{name}: struct_size is not the first field')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--include', type=pathlib.Path, required=True)
    parser.add_argument('--map', type=pathlib.Path, required=True)
    parser.add_argument('--library', required=True)
    args = parser.parse_args()

    complaints = [f'{name}: declared without PIRN_API' for name in
                  sorted(public_headers.unmarked_functions(args.include))]
    declared = public_headers.functions(args.include)
    versions = mapped_functions(args.map)
    mapped = set().union(*versions.values())
    exported = exported_symbols(args.library)
    compare(complaints, 'the headers', declared, 'the map', mapped)
    compare(complaints, 'the headers', declared, 'the library', set(exported))
    for name, version in sorted(exported.items()):
        if name in mapped and name not in versions.get(version, ()):
            complaints.append(f'{name}: exported as version {version or "(none)"}, mapped to another')
    check_structs(complaints, args.include)

    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(f'{len(declared)} functions declared, {len(mapped)} mapped, {len(exported)} exported')
    return 1 if complaints or not declared else 0


if __name__ == '__main__':
    sys.exit(main())
