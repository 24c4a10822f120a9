#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pirn-info --topology on a described machine, without and with simulated NICs: what is drawn, and that the graph is
one."""
import os
import re
import subprocess
import sys
import tempfile

GCDS = [f'0000:{bus}:00.0' for bus in ('c1', 'ca', 'd1', 'da', 'e1', 'ea', 'f1', 'fa')]
NICS = [f'0000:{bus}:00.0' for bus in ('c9', 'd9', 'e9', 'f9')]


def run(program, machine, *arguments, **variables):
    environment = {**os.environ, 'HWLOC_XMLFILE': machine, **variables}
    return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)


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


def check_distances(text):
    """Rows of the table by NIC: what it has in common with each accelerator, node, and this process."""
    rows = {match[1]: match[2].split() for match in re.finditer(r'^  cxi cxi\d +(\S+) +(.*)$', text, flags=re.M)
            if ':' in match[1] and 'Gb/s' not in match[2]}
    assert sorted(rows) == NICS, rows
    for number, address in enumerate(NICS):
        expected = ['package'] * 12 + ['machine*']
        expected[2 * number:2 * number + 2] = ['numa*', 'bridge*']
        expected[8 + number] = 'numa*'
        # Spare of the two places before it.
        for other in ((number - 1) % 4, (number - 2) % 4):
            for column in (2 * other, 2 * other + 1, 8 + other):
                expected[column] += '+'
        assert rows[address] == expected, (address, rows[address])
    rails = text.split('rails of an endpoint opened here')[1]
    assert re.findall(r'cxi cxi\d (\S+) 200 Gb/s', rails) == NICS, rails


def check_simulated(program, machine, providers):
    with tempfile.TemporaryDirectory() as directory:
        simulated = {'FI_PROVIDER_PATH': providers, 'PIRN_SIM_NICS': '4', 'PIRN_SIM_PCI': ','.join(NICS),
                     'PIRN_SIM_DIR': directory}
        tree = run(program, machine, '--topology', **simulated)
        assert tree.returncode == 0, tree.stderr
        check_distances(tree.stdout)
        graph = run(program, machine, '--topology=dot', **simulated)
        assert graph.returncode == 0, graph.stderr
        preferred = re.findall(r'^  "([^"]*)" -- "([^"]*)" \[color=blue', graph.stdout, flags=re.M)
        assert set(preferred) == set(zip(GCDS, [nic for nic in NICS for _ in range(2)])), preferred


def check_plain(program, machine):
    # libfabric finds some providers beside libraries on the loader's path, unless it is told of a directory.
    with tempfile.TemporaryDirectory() as empty:
        tree = run(program, machine, '--topology', FI_PROVIDER_PATH=empty)
        assert tree.returncode == 0, tree.stderr
        check_tree(tree.stdout)
        graph = run(program, machine, '--topology=dot', FI_PROVIDER_PATH=empty)
        assert graph.returncode == 0, graph.stderr
        check_graph(graph.stdout)
        wrong = run(program, machine, '--topology=svg', FI_PROVIDER_PATH=empty)
        assert wrong.returncode != 0 and 'svg' in wrong.stderr, wrong.stderr


def main():
    program, machines, providers = sys.argv[1:]
    machine = machines + '/frontier.xml'
    check_plain(program, machine)
    check_simulated(program, machine, providers)


if __name__ == '__main__':
    main()
