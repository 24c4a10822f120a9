#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes descriptions of machines as hwloc's XML, one file each, into the directory given.

The shapes are those of published or documented machines; addresses and sizes are this script's own."""
import collections
import pathlib
import sys

CPUS_PER_DOMAIN = 4
BRIDGE = '0604 [1b36:000c] [0000:0000] 00'

# A PCI function by class and ids, link in GB/s. A list of things is a bridge with them behind it.
Pci = collections.namedtuple('Pci', 'code ids link')
HostBridge = collections.namedtuple('HostBridge', 'domain bus children')
# A set of CPUs with NUMA nodes and host bridges.
Part = collections.namedtuple('Part', 'nodes bridges')

GPU = Pci(0x0302, '10de:2330', 63.0)
GCD = Pci(0x0380, '1002:7408', 31.5)
CONSOLE = Pci(0x0300, '1a03:2000', 0.25)
EFA1, EFA2, EFA3 = (Pci(0x0200, f'1d0f:efa{n}', 31.5) for n in (1, 2, 3))
ETHERNET = Pci(0x0200, '1d0f:ec20', 15.75)
CONNECTX = Pci(0x0207, '15b3:1021', 63.0)
CASSINI = Pci(0x0200, '17db:0501', 31.5)
DISK = Pci(0x0108, '1e0f:0014', 7.9)


class Writer:
    """Numbers the objects and keeps the indentation."""

    def __init__(self):
        self.lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<!DOCTYPE topology SYSTEM "hwloc2.dtd">',
                      '<topology version="2.0">']
        self.objects = 0
        self.depth = 1

    def open(self, kind, /, **attributes):
        self.objects += 1
        words = ' '.join(f'{key}="{value}"' for key, value in attributes.items())
        self.lines.append('  ' * self.depth + f'<object type="{kind}" gp_index="{self.objects}" {words}>')
        self.depth += 1

    def close(self):
        self.depth -= 1
        self.lines.append('  ' * self.depth + '</object>')

    def leaf(self, kind, /, **attributes):
        self.open(kind, **attributes)
        self.close()

    def text(self):
        return '\n'.join(self.lines + ['</topology>', ''])


def mask(bits):
    value = sum(1 << bit for bit in bits)
    words = []
    while value or not words:
        words.append(f'0x{value & 0xffffffff:08x}')
        value >>= 32
    return ','.join(reversed(words))


def sets(cpus, nodes):
    return {'cpuset': mask(cpus), 'complete_cpuset': mask(cpus), 'nodeset': mask(nodes), 'complete_nodeset': mask(nodes)}


def buses(thing):
    """How many bus numbers a thing takes."""
    return 0 if isinstance(thing, Pci) else 1 + sum(map(buses, thing))


def write_bus(out, domain, bus, free, things, depth):
    """Writes what is on a bus; the buses behind it are numbered from `free` on."""
    for slot, thing in enumerate(things):
        address = f'{domain:04x}:{bus:02x}:{slot:02x}.0'
        if isinstance(thing, Pci):
            out.leaf('PCIDev', pci_busid=address, pci_type=f'{thing.code:04x} [{thing.ids}] [0000:0000] 00',
                     pci_link_speed=f'{thing.link:.6f}')
            continue
        last = free + buses(thing) - 1
        out.open('Bridge', bridge_type='1-1', depth=depth, bridge_pci=f'{domain:04x}:[{free:02x}-{last:02x}]',
                 pci_busid=address, pci_type=BRIDGE, pci_link_speed='31.500000')
        write_bus(out, domain, free, free + 1, thing, depth + 1)
        out.close()
        free = last + 1


def write_host_bridges(out, bridges):
    for bridge in bridges:
        last = bridge.bus + sum(map(buses, bridge.children))
        out.open('Bridge', bridge_type='0-1', depth=0, bridge_pci=f'{bridge.domain:04x}:[{bridge.bus:02x}-{last:02x}]')
        write_bus(out, bridge.domain, bridge.bus, bridge.bus + 1, bridge.children, 1)
        out.close()


def write_nodes(out, cpus, nodes):
    for node in nodes:
        out.leaf('NUMANode', os_index=node, local_memory=1 << 34, **sets(cpus, [node]))


def machine(packages, bridges=(), nodes=(), allowed=None):
    """`packages` are lists of parts; `bridges` and `nodes` belong to no part of the machine; `allowed`: parts in use."""
    out = Writer()
    count = sum(map(len, packages))
    all_cpus = range(count * CPUS_PER_DOMAIN)
    all_nodes = [node for package in packages for part in package for node in part.nodes] + list(nodes)
    may_use = all_cpus if allowed is None else range(allowed * CPUS_PER_DOMAIN)
    out.open('Machine', os_index=0, **sets(all_cpus, all_nodes), allowed_cpuset=mask(may_use),
             allowed_nodeset=mask(all_nodes if allowed is None else all_nodes[:allowed]))
    write_nodes(out, all_cpus, nodes)
    first = 0
    for number, package in enumerate(packages):
        cpus = range(first, first + len(package) * CPUS_PER_DOMAIN)
        out.open('Package', os_index=number, **sets(cpus, [node for part in package for node in part.nodes]))
        for part in package:
            cpus = range(first, first + CPUS_PER_DOMAIN)
            first += CPUS_PER_DOMAIN
            if len(package) > 1:
                out.open('Group', kind=1001, subkind=0, **sets(cpus, part.nodes))
            write_nodes(out, cpus, part.nodes)
            for cpu in cpus:
                out.leaf('PU', os_index=cpu, **sets([cpu], part.nodes))
            write_host_bridges(out, part.bridges)
            if len(package) > 1:
                out.close()
        out.close()
    write_host_bridges(out, bridges)
    out.close()
    return out.text()


def behind_switch(*things):
    """Root port, upstream port, and a downstream port for each thing."""
    return [[[thing] for thing in things]]


def two_packages(bridges):
    half = len(bridges) // 2
    return [[Part([0], bridges[:half])], [Part([1], bridges[half:])]]


def switches(count, *things):
    return [HostBridge(0, 0x10 + 0x1a * n, [behind_switch(*things)]) for n in range(count)]


def dgx_h100():
    own = [HostBridge(0, 0x18 + 0x10 * n, [behind_switch(GPU, CONNECTX)]) for n in range(8)]
    storage = [HostBridge(0, bus, [[CONNECTX, CONNECTX]]) for bus in (0xa0, 0xb0)]
    console = HostBridge(0, 0, [[CONSOLE], [DISK], [ETHERNET]])
    return machine([[Part([0], [console] + own[:4] + storage[:1])], [Part([1], own[4:] + storage[1:])]])


def gh200_quad():
    # The GPU's memory is a NUMA node of the package; GPU and NIC are in PCI domains of their own.
    return machine([[Part([n, 4 + 8 * n], [HostBridge(16 * n + 1, 0, [[CASSINI]]), HostBridge(16 * n + 9, 0, [[GPU]])])]
                    for n in range(4)])


def frontier():
    return machine([[Part([n], [HostBridge(0, 0xc0 + 16 * n, [[GCD]]), HostBridge(0, 0xc8 + 16 * n, [[CASSINI], [GCD]])])
                     for n in range(4)]])


def machines():
    flat = [HostBridge(0, bus, [ETHERNET, EFA1, GPU, GPU, DISK]) for bus in (0x10, 0x20, 0x90, 0xa0)]
    fabric4 = switches(8, ETHERNET, EFA1, EFA1, EFA1, EFA1, GPU, DISK)
    return {
        'p4d': machine(two_packages(flat)),
        'p5': machine(two_packages(fabric4)),
        'p5-restricted': machine(two_packages(fabric4), allowed=1),
        'p5en': machine(two_packages(switches(4, ETHERNET, EFA2, EFA2, EFA2, EFA2, GPU, GPU, DISK))),
        'p6-b200': machine(two_packages(switches(4, ETHERNET, EFA3, EFA3, CONNECTX, GPU, GPU, DISK))),
        'dgx-h100': dgx_h100(),
        'gh200-quad': gh200_quad(),
        'frontier': frontier(),
        'flat-vm': machine([[Part([0], [])], [Part([1], [])]],
                           bridges=[HostBridge(0, 0, [CONSOLE._replace(link=0.0), EFA1, EFA1, GPU, GPU])]),
        'unknown-numa': machine([[Part([0], [])], [Part([1], [])]],
                                bridges=[HostBridge(0, bus, [[thing]])
                                         for bus, thing in ((0x10, GPU), (0x20, GPU), (0x30, EFA1), (0x40, EFA1))]),
        'one-node': machine([[Part([0], [HostBridge(0, 0x10, [[GPU], [EFA1]]), HostBridge(0, 0x20, [[EFA1]])])]]),
        'memory-only-node': machine(two_packages([HostBridge(0, bus, [[EFA1]]) for bus in (0x10, 0x20)]), nodes=[7]),
        'pair': machine(two_packages([HostBridge(0, 0x10, [behind_switch(EFA1, EFA1, GPU, GPU)]),
                                      HostBridge(0, 0x40, [behind_switch(EFA1, EFA1, GPU, GPU, GPU)])])),
        'nested-switches': machine(two_packages([
            HostBridge(0, 0x10, [[[*([[x]] for x in behind_switch(GPU, EFA1)), [EFA1]]]]),
            HostBridge(0, 0x40, [[EFA1]])])),
    }


def main():
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for name, text in machines().items():
        (target / f'{name}.xml').write_text(text)


if __name__ == '__main__':
    main()
