#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs into an empty directory, then builds and runs a C program with nothing but pkg-config and cc."""
import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile


def run(command, **options):
    print('$', shlex.join(map(str, command)), flush=True)
    result = subprocess.run(command, check=False, text=True, capture_output=True, **options)
    if result.returncode != 0:
        sys.exit(f'{result.stdout}{result.stderr}\nended with {result.returncode}')
    return result.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--program', required=True)
    parser.add_argument('--meson', required=True)
    parser.add_argument('--version', required=True)
    parser.add_argument('--sanitizer', required=True)
    args = parser.parse_args()

    if args.sanitizer != 'none':
        print(f'SKIPPED: a plain C program cannot load a library built with the {args.sanitizer} sanitizer',
              file=sys.stderr)
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / 'root'
        run([args.meson, 'install', '-C', args.build, '--no-rebuild', '--destdir', root])
        [description] = root.rglob('pirn.pc')
        installed = sorted(path.relative_to(root).as_posix() for path in root.rglob('*') if not path.is_dir())
        print('\n'.join(installed))

        environment = {**os.environ, 'PKG_CONFIG_PATH': str(description.parent), 'PKG_CONFIG_SYSROOT_DIR': str(root)}
        flags = shlex.split(run(['pkg-config', '--cflags', '--libs', 'pirn'], env=environment))
        program = pathlib.Path(folder) / 'program'
        run(['gcc', '-std=c99', '-pedantic', '-Wall', '-Wextra', '-Werror', args.program, '-o', program, *flags])
        library_folder = next(flag[2:] for flag in flags if flag.startswith('-L') and flag[2:].startswith(str(root)))
        # The loader must find the library by its soname in what was installed, not in the build.
        environment = {**os.environ, 'LD_LIBRARY_PATH': library_folder}
        loaded = run(['ldd', program], env=environment)
        if not re.search(rf'libpirn\.so\.0 => {re.escape(library_folder)}/', loaded):
            sys.exit(f'the program does not load the installed library:\n{loaded}')
        output = run([program], env=environment)
        print(output, end='')
        if output != f'pirn {args.version}\n':
            sys.exit(f'expected "pirn {args.version}"')


if __name__ == '__main__':
    main()
