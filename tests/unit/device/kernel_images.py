#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether a bundle of AMD kernels has, for each architecture, machine code with the entries that the library launches.
usage: kernel_images.py BUNDLE ARCHITECTURE...   |   kernel_images.py --missing WHY (skipped: exit status 77)"""
import struct
import sys

ENTRIES = (b'pirn_copy_blocks', b'pirn_copy_selected')
MAGIC = b'__CLANG_OFFLOAD_BUNDLE__'
AMD_GPU = 224  # e_machine, elf.h


def images(bundle):
    """{architecture: bytes}, of clang-offload-bundler's format: count, then offset, size and name of each."""
    if not bundle.startswith(MAGIC):
        sys.exit(f'no bundle: it begins with {bundle[:24]!r}')
    at = len(MAGIC)
    count, = struct.unpack_from('<Q', bundle, at)
    at += 8
    found = {}
    for _ in range(count):
        offset, size, length = struct.unpack_from('<QQQ', bundle, at)
        at += 24
        name = bundle[at:at + length].decode()
        at += length
        if name.startswith('hip') and '--' in name:
            found[name.split('--', 1)[1]] = bundle[offset:offset + size]
    return found


def main():
    if sys.argv[1] == '--missing':
        print(f'skipped: {sys.argv[2]}')
        return 77
    with open(sys.argv[1], 'rb') as file:
        found = images(file.read())
    wrong = [f'{each}: not in the bundle' for each in sys.argv[2:] if each not in found]
    for architecture, image in found.items():
        if image[:4] != b'\x7fELF' or struct.unpack_from('<H', image, 18)[0] != AMD_GPU:
            wrong.append(f'{architecture}: no machine code of an AMD GPU, but {image[:20]!r}')
        # An entry, and the descriptor that a launch begins with.
        wrong += [f'{architecture}: {entry.decode()} is missing' for entry in ENTRIES
                  if entry + b'\0' not in image or entry + b'.kd\0' not in image]
    print('\n'.join(wrong) or f'{", ".join(sorted(found))}: all entries are there')
    return 1 if wrong or not found else 0


sys.exit(main())
