#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pirn-info on devices of the fake driver (found by LD_LIBRARY_PATH) in a described machine with two simulated NICs.
Arguments: pirn-info, directory of machines.py, directory of NICs, directory of the fake driver."""
import json
import os
import re
import subprocess
import sys
import tempfile

GPUS = ['0000:18:00.0', '0000:1c:00.0']
NICS = ['0000:19:00.0', '0000:1d:00.0']
LANE = 26562 * 8_000_000


def describe(directory, machines):
    """A package with a GPU and a NIC behind its host bridge, twice."""
    sys.path.insert(0, machines)
    import machines as m  # pylint: disable=import-outside-toplevel,import-error
    bridges = [m.HostBridge(0, bus, [[m.GPU], [m.CASSINI]]) for bus in (0x17, 0x1b)]
    path = os.path.join(directory, 'machine.xml')
    with open(path, 'w', encoding='ascii') as file:
        file.write(m.machine(m.two_packages(bridges)))
    return path


class Tool:
    def __init__(self, program, directory, machines, nics, driver):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(('PIRN_', 'FI_', 'HWLOC_', 'CUDA_'))}
        self.program = program
        self.variables = {**kept, 'FI_PROVIDER_PATH': nics, 'PIRN_SIM_NICS': '2', 'PIRN_SIM_PCI': ','.join(NICS),
                          'PIRN_SIM_DIR': directory, 'HWLOC_XMLFILE': describe(directory, machines),
                          'LD_LIBRARY_PATH': driver, 'PIRN_FAKE_GPUS': '2', 'PIRN_FAKE_GPU_MEMORY_MB': '3072'}

    def run(self, *arguments, **variables):
        result = subprocess.run([self.program, *arguments], env={**self.variables, **variables}, capture_output=True,
                                text=True, check=False, timeout=60)
        assert result.returncode == 0, result.stderr
        assert 'misuse' not in result.stderr and 'leak' not in result.stderr, result.stderr
        return result.stdout

    def facts(self, *arguments, **variables):
        return json.loads(self.run('--json', *arguments, **variables))


def kind(facts, name):
    return next(each for each in facts['device_kinds'] if each['name'] == name)


def check_devices(tool):
    facts = tool.facts()
    assert [each['name'] for each in facts['device_kinds']] == ['cuda', 'hip'], facts['device_kinds']
    assert kind(facts, 'cuda') == {'name': 'cuda', 'version': 'driver for CUDA 13.0', 'reason': '', 'loaded': True,
                                   'device_count': 2}, facts['device_kinds']
    devices = [each for each in facts['devices'] if each['name'].startswith('cuda')]
    for number, device in enumerate(devices):
        assert device['name'] == f'cuda:{number}' and device['pci_address'] == GPUS[number], device
        assert device['uuid'] == f'facec000-513a-4f0d-9b11-7069726e000{number}', device
        assert device['description'] == 'pirn fake GPU (CUDA)' and device['memory_bytes'] == 3 << 30, device
        nearest = {'provider': 'cxi', 'name': f'cxi{number}', 'distance': 'bridge', 'preferred': True}
        assert nearest in device['nearest_nics'], device
        assert 'shares memory by file descriptor' in device['features'], device
        lacks = {each['feature']: each['reason'] for each in device['lacks']}
        assert len(lacks) + len(device['features']) == 6 and not set(lacks) & set(device['features']), device
        assert 'Linux 5.12' in lacks['dma-buf'], lacks
        assert all(lacks.values()), lacks
    assert len(devices) == 2, facts['devices']


def check_order(tool):
    """Ordinals are those of this process."""
    facts = tool.facts(CUDA_VISIBLE_DEVICES='1,0')
    assert [each['pci_address'] for each in facts['devices']][:2] == GPUS[::-1], facts['devices']
    text = tool.run('--topology', CUDA_VISIBLE_DEVICES='1,0')
    assert re.search(r'accelerator 0000:1c:00.0 \[10de:2330\]: cuda:0 pirn fake GPU', text), text
    assert re.search(r'^  A0 accelerator 0000:18:00.0: cuda:1 pirn', text, re.M), text


def link(facts):
    links = [each for each in facts['device_links'] if each['from'] == 'cuda:0' and each['to'].startswith('cuda')]
    assert len(links) == 1 and links[0]['to'] == 'cuda:1', facts['device_links']
    return links[0]


def check_links(tool, driver):
    linked = {'from': 'cuda:0', 'to': 'cuda:1', 'kind': 'NVLink', 'lanes': 18, 'speed_bits_per_s': 18 * LANE,
              'peer_access': True, 'atomics': True, 'distance': 'machine', 'reason': ''}
    assert link(tool.facts()) == linked, link(tool.facts())
    assert link(tool.facts(PIRN_FAKE_GPU_NVLINKS='0')) == {**linked, 'kind': 'PCIe', 'lanes': 0, 'speed_bits_per_s': 0}
    apart = link(tool.facts(PIRN_FAKE_GPU_NOPEER='0-1'))
    assert (apart['kind'], apart['peer_access'], apart['atomics'], apart['lanes']) == ('PCIe', False, False, 0), apart
    assert apart['reason'] == 'the driver allows no direct access between them', apart
    with tempfile.TemporaryDirectory() as alone:  # the driver without the library that knows of links
        os.symlink(os.path.join(driver, 'libcuda.so.1'), os.path.join(alone, 'libcuda.so.1'))
        unknown = link(tool.facts(LD_LIBRARY_PATH=alone))
    assert (unknown['kind'], unknown['peer_access'], unknown['speed_bits_per_s']) == ('', True, 0), unknown
    assert unknown['reason'].startswith('the link is unknown: libnvidia-ml.so.1'), unknown


def check_text(tool):
    text = tool.run()
    assert 'cuda: driver for CUDA 13.0, 2 usable' in text, text
    assert re.search(r'^  cuda:1  pirn fake GPU \(CUDA\), 3.0 GiB$', text, re.M), text
    assert re.search(r'^    nearest NICs: .*cxi cxi1 \(bridge, preferred\)', text, re.M), text
    assert re.search(r'^    lacks: dma-buf: the driver exports none', text, re.M), text
    assert re.search(r'^  cuda:0 cuda:1 +NVLink x18 +3824\.93 Gb/s +yes, with atomics +machine', text, re.M), text


def check_absent(tool):
    facts = tool.facts(PIRN_FAKE_GPUS='0')
    assert 'CUDA_ERROR_NO_DEVICE' in kind(facts, 'cuda')['reason'], facts['device_kinds']
    assert kind(facts, 'cuda')['device_count'] == 0 and link_count(facts) == 0, facts
    assert 'cuda: not usable: ' in tool.run(PIRN_FAKE_GPUS='0')
    without = tool.facts('--no-devices')
    assert not {'devices', 'device_kinds', 'device_links'} & set(without), without.keys()


def link_count(facts):
    return sum(each['from'].startswith('cuda') for each in facts['device_links'])


def main():
    program, machines, nics, driver = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        tool = Tool(program, directory, machines, nics, driver)
        check_devices(tool)
        check_order(tool)
        check_links(tool, driver)
        check_text(tool)
        check_absent(tool)


if __name__ == '__main__':
    main()
