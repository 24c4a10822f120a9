#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What PyTorch's NCCL and its runtime's copies reach on the devices of this machine, to set beside pirn-perf and mesh.

CSV rows on standard output: test,size,from,to,iterations,p50_us,gb_per_s. Needs PyTorch with CUDA and NCCL.

    sendrecv  rank 0 sends, rank 1 receives: one at a time, each waited for on the host by both (p50 of the slower rank;
              a small send may end before it is received), then in a row
    alltoall  all_to_all_single, --pair-size bytes a pair, in a row for --seconds: bytes between different ranks, all together
    copy      tensor.copy_ from device 0 to device 1 in one process, the runtime's copy: one at a time, then in a row"""
import argparse
import datetime
import socket
import statistics
import sys
import time

try:
    import torch
    import torch.distributed as dist
    import torch.multiprocessing as mp
except ImportError as error:
    print(f'nccl.py: skipped: it needs PyTorch: {error}')
    sys.exit(77)

TIMEOUT = datetime.timedelta(seconds=60)
PARTS = ('sendrecv', 'alltoall', 'copy')
GIBI = 1 << 30
MAX_ITERATIONS, MAX_ALLTOALL, WARM_UP = 200, 5000, 5


def size_of(text):
    units = {'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
    digits = text[:-1] if text[-1:] in units else text
    if not digits.isdecimal() or not 1 <= int(digits) * units.get(text[-1:], 1) <= 4 * GIBI:
        raise argparse.ArgumentTypeError(f'{text!r}: 1..4G bytes, with K, M or G')
    return int(digits) * units.get(text[-1:], 1)


def sizes_of(text):
    return [size_of(part) for part in text.split(',')]


def parts_of(text):
    parts = text.split(',')
    if not set(parts) <= set(PARTS):
        raise argparse.ArgumentTypeError(f'{text!r}: some of {",".join(PARTS)}')
    return parts


def between(low, high, kind):
    def parse(text):
        if not low <= kind(text) <= high:
            raise argparse.ArgumentTypeError(f'{text}: {low}..{high}')
        return kind(text)
    return parse


def iterations_for(size):
    """About 20 GiB a size at most: a few seconds even over PCIe."""
    return max(10, min(MAX_ITERATIONS, 20 * GIBI // size))


def row(test, size, source, target, iterations, p50_us=None, gb_per_s=None):
    cells = [test, size, source, target, iterations, '' if p50_us is None else f'{p50_us:.2f}',
             '' if gb_per_s is None else f'{gb_per_s:.3f}']
    print(','.join(map(str, cells)), flush=True)


def one_at_a_time(step, synchronize, iterations):
    """p50 in us of a step and the wait for it."""
    samples = []
    for _ in range(iterations):
        start = time.perf_counter_ns()
        step()
        synchronize()
        samples.append(time.perf_counter_ns() - start)
    return statistics.median(samples) * 1e-3


def in_a_row(step, synchronize, iterations):
    """Seconds for all of them, waited for at the end."""
    start = time.perf_counter_ns()
    for _ in range(iterations):
        step()
    synchronize()
    return (time.perf_counter_ns() - start) * 1e-9


class Group:
    """This process in a group over NCCL, with its device."""

    def __init__(self, rank, ranks, port):
        self.rank, self.ranks, self.device = rank, ranks, torch.device('cuda', rank)
        torch.cuda.set_device(self.device)
        dist.init_process_group('nccl', init_method=f'tcp://127.0.0.1:{port}', world_size=ranks, rank=rank, timeout=TIMEOUT)

    def synchronize(self):
        torch.cuda.synchronize(self.device)

    def barrier(self):
        self.slowest(0)

    def slowest(self, value):
        """The greatest value of all ranks; returns when all have come."""
        shared = torch.tensor([float(value)], dtype=torch.float64, device=self.device)
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return shared.item()

    def space(self, size, value):
        return torch.full((size,), value, dtype=torch.uint8, device=self.device)


def check(tensor, value, what):
    if not bool((tensor == value).all()):
        raise RuntimeError(f'{what}: wrong bytes arrived')


def sendrecv(rank, ranks, port, options):
    group = Group(rank, ranks, port)
    for size in options.sizes:
        data = group.space(size, 1 if rank == 0 else 2)

        def step(data=data):
            if rank == 0:
                dist.send(data, 1)
            else:
                dist.recv(data, 0)

        iterations = iterations_for(size)
        in_a_row(step, group.synchronize, WARM_UP)
        group.barrier()
        p50 = group.slowest(one_at_a_time(step, group.synchronize, iterations))
        group.barrier()
        seconds = group.slowest(in_a_row(step, group.synchronize, iterations))
        check(data, 1, 'sendrecv')
        if rank == 0:
            row('sendrecv', size, 0, 1, iterations, p50, size * iterations / seconds * 1e-9)
        del data, step
    dist.destroy_process_group()


def alltoall(rank, ranks, port, options):
    group = Group(rank, ranks, port)
    size = options.pair_size
    outgoing, incoming = group.space(size * ranks, 0), group.space(size * ranks, 0)
    for peer in range(ranks):
        outgoing[peer * size:(peer + 1) * size] = rank * ranks + peer

    def step():
        dist.all_to_all_single(incoming, outgoing)

    in_a_row(step, group.synchronize, WARM_UP)
    group.barrier()
    # All ranks must agree on a number, so it follows from what the slowest of them took.
    each = group.slowest(in_a_row(step, group.synchronize, WARM_UP)) / WARM_UP
    iterations = max(WARM_UP, min(MAX_ALLTOALL, int(options.seconds / each)))
    incoming.zero_()
    group.barrier()
    seconds = group.slowest(in_a_row(step, group.synchronize, iterations))
    for peer in range(ranks):
        check(incoming[peer * size:(peer + 1) * size], peer * ranks + rank, 'alltoall')
    if rank == 0:
        row('alltoall', size, 'all', 'all', iterations, None, ranks * (ranks - 1) * size * iterations / seconds * 1e-9)
    dist.destroy_process_group()


def copy(options):
    def synchronize():
        torch.cuda.synchronize(0)
        torch.cuda.synchronize(1)

    for size in options.sizes:
        source = torch.full((size,), 1, dtype=torch.uint8, device='cuda:0')
        target = torch.full((size,), 2, dtype=torch.uint8, device='cuda:1')

        def step(source=source, target=target):
            target.copy_(source, non_blocking=True)

        iterations = iterations_for(size)
        in_a_row(step, synchronize, WARM_UP)
        p50 = one_at_a_time(step, synchronize, iterations)
        seconds = in_a_row(step, synchronize, iterations)
        check(target, 1, 'copy')
        row('copy', size, 0, 1, iterations, p50, size * iterations / seconds * 1e-9)
        del source, target, step


def free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--gpus', type=between(2, 16, int), default=2, help='ranks of alltoall, 2..16')
    parser.add_argument('--sizes', type=sizes_of, default=sizes_of('4K,64K,1M,16M,64M,256M,1G'), help='of sendrecv and copy')
    parser.add_argument('--pair-size', type=size_of, default=size_of('64M'), help='of alltoall, for each pair')
    parser.add_argument('--seconds', type=between(0.1, 60, float), default=2, help='of alltoall, 0.1..60')
    parser.add_argument('--only', type=parts_of, default=list(PARTS), help=','.join(PARTS))
    options = parser.parse_args()
    if torch.cuda.device_count() < options.gpus:
        parser.error(f'--gpus {options.gpus}: PyTorch sees {torch.cuda.device_count()}')
    print('test,size,from,to,iterations,p50_us,gb_per_s', flush=True)
    if 'sendrecv' in options.only:
        mp.spawn(sendrecv, args=(2, free_port(), options), nprocs=2)
    if 'alltoall' in options.only:
        mp.spawn(alltoall, args=(options.gpus, free_port(), options), nprocs=options.gpus)
    if 'copy' in options.only:
        copy(options)


if __name__ == '__main__':
    main()
