#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program over simulated NICs or GPUs: it fails, too, if one of them saw a rule broken (a line of theirs)."""
import subprocess
import sys
import threading

broken = 0


def pass_on(stream):
    global broken
    for line in stream:
        broken += b"pirn-sim " in line or b"pirn-fake-gpu " in line
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


program = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE)
reader = threading.Thread(target=pass_on, args=(program.stderr,), daemon=True)
reader.start()
status = program.wait()
reader.join(timeout=10)  # a process that outlives the program may hold its stderr
if broken:
    print(f"{broken} times a rule of the simulated hardware was broken", file=sys.stderr)
sys.exit(1 if broken and status == 0 else status & 0xFF)
