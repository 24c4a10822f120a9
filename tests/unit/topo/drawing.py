#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pirn-info --topology on a described machine: what is drawn, and that the graph is one."""
import os
import re
import subprocess
import sys

GCDS = [f'0000:{bus}:00.0' for bus in ('c1', 'ca', 'd1', 'da', 'e1', 'ea', 'f1', 'fa')]
NICS = [f'0000:{bus}:00.0' for bus in ('c9', 'd9', 'e9', 'f9')]


def run(program, machine, *arguments):
    return subprocess.run([program, *arguments], env={**os.environ, 'HWLOC_XMLFILE': machine}, capture_output=True,
                          text=True, check=False)


def check_tree(text):
    for address in GCDS:
        assert text.count(f'accelerator {address}') == 1, address
    for address in NICS:
        assert text.count(f'network device {address} [17db:0501]') == 1, address
    lines = text.splitlines()
    depth = {address: next(line.index('accelerator') for line in lines if f'accelerator {address}' in line)
             for address in GCDS}
    # Every second one hangs on the host bridge of the NIC, the others on the memory node.
    assert all(depth[far] < depth[near] for far, near in zip(GCDS[::2], GCDS[1::2])), depth
    assert [line for line in lines if 'NUMA node' in line and line.startswith('     |- ')], text
    assert 'rails of an endpoint opened here' in text


def check_graph(text):
    assert text.startswith('graph pirn {') and text.endswith('}\n'), text
    name = r'(?:n\d+|"[^"]*")'
    nodes = set(re.findall(rf'^  ({name}) \[label="', text, flags=re.M))
    edges = re.findall(rf'^  ({name}) -- ({name});$', text, flags=re.M)
    assert {f'"{address}"' for address in GCDS + NICS} <= nodes, nodes
    assert {end for edge in edges for end in edge} <= nodes
    assert len(edges) == len(nodes) - 1, 'a tree has one edge less than nodes'


def main():
    program, machines = sys.argv[1:]
    machine = machines + '/frontier.xml'
    tree, graph = run(program, machine, '--topology'), run(program, machine, '--topology=dot')
    assert tree.returncode == 0, tree.stderr
    check_tree(tree.stdout)
    assert graph.returncode == 0, graph.stderr
    check_graph(graph.stdout)
    wrong = run(program, machine, '--topology=svg')
    assert wrong.returncode != 0 and 'svg' in wrong.stderr, wrong.stderr


if __name__ == '__main__':
    main()
