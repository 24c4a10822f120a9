#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/dev/check-layers must find every kind of breach, and nothing in what is allowed."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

SPDX = '// SPDX-License-Identifier: Apache-2.0\n'
ALLOWED = {
    'lib/core/good.cpp': '#include "core/op.h"\n#include "fabric/rail.h"\n#include <pirn/status.h>\n',
    'lib/fabric/good.cpp': '#include <rdma/fabric.h>\n// the default relationship of verb and noun\n',
    'providers/fabric/cxi.cpp': '#include "fabric/profile.h"\n// cxi\n',
    'tests/conformance/good.c': '#include <pirn/pirn.h>\n#include "pair.h"\n',
}
BREACHES = {
    'lib/base/bad.cpp': ('#include "wire/frame.h"\n', 2, 'base may not include wire'),
    'lib/wire/bad.cpp': ('#include "fabric/rail.h"\n', 2, 'wire may not include fabric'),
    'lib/core/bad.h': ('\n#include <rdma/fabric.h>\n', 3, 'only lib/fabric talks to libfabric'),
    'lib/core/vendor.cpp': ('int x;\nint use_cuda_path;\n', 3, '"cuda" is named outside providers/'),
    'providers/fabric/bad.cpp': ('#include "fabric/rail.h"\n', 2, 'a provider sees only the type that it fills in'),
    'tools/bad.cpp': ('#include "base/text.h"\n', 2, 'see only include/pirn'),
    'tests/conformance/bad.c': ('#include "core/op.h"\n', 2, 'see only include/pirn'),
    'lib/base/long.cpp': ('\n' * 600, 601, '601 lines, at most 600'),
}


def main():
    source = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        script = root / 'tools/dev/check-layers'
        for name, text in [*ALLOWED.items(), *((name, breach[0]) for name, breach in BREACHES.items())]:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SPDX + text)
        (root / 'lib/base/unmarked.c').write_text('int x;\n')
        expected = {f'{name}:{line}: ': text for name, (_, line, text) in BREACHES.items()}
        expected['lib/base/unmarked.c:1: '] = 'no SPDX line'
        if shutil.which('ctags'):
            body = 'x += 1;\n' * 60
            (root / 'lib/base/function.cpp').write_text(SPDX + f'int function(int x) {{\n{body}return x;\n}}\n')
            expected['lib/base/function.cpp:2: '] = 'function has 63 lines, at most 60'
        script.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, script)
        result = subprocess.run([script], capture_output=True, text=True, check=False)

    lines = [line for line in result.stderr.splitlines() if not line.startswith('NOT CHECKED')]
    complaints = [f'missed: {place}{text}' for place, text in expected.items()
                  if not any(line.startswith(place) and text in line for line in lines)]
    complaints += [f'wrong: {line}' for line in lines if not any(line.startswith(place) for place in expected)]
    print('\n'.join(complaints) or f'{len(expected)} breaches found')
    return 1 if complaints or result.returncode != 1 else 0


if __name__ == '__main__':
    sys.exit(main())
