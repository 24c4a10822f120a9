#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Blocks of one tensor go to chosen blocks of a tensor in another process, in the order of PyTorch's stream.

    example.py [MEMORY]      starts its own server (on the last GPU) and plays the client (on the first)

MEMORY: default       PyTorch's own allocator as it is
        expandable    its expandable segments
        pool          a pool of memory of pirn_memory_alloc: EXAMPLE_ALLOCATOR names the library made of allocator.c

Needs PyTorch with CUDA. The library is libpirn.so.0, or what EXAMPLE_LIBRARY names."""
import ctypes
import os
import random
import subprocess
import sys
import time
from ctypes import POINTER, byref, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'python'))
import example as base  # noqa: E402  the calls that every program needs

BLOCK, BLOCKS, CHOSEN, ROUNDS = 4096, 16384, 4000, 5
WRITE = 1


class Segment(ctypes.Structure):
    _fields_ = [('region', c_void_p), ('local_offset', c_uint64), ('window', c_void_p), ('remote_offset', c_uint64),
                ('length', c_uint64)]


for name, types in {
        'pirn_transfer_prepare': [c_uint32, POINTER(Segment), c_uint64, POINTER(c_void_p)],
        'pirn_prepared_post_select': [c_void_p, POINTER(c_uint32), POINTER(c_uint32), c_uint64, c_void_p, POINTER(c_uint64)],
        'pirn_trigger_create': [c_void_p, c_void_p, POINTER(c_void_p)],
        'pirn_stream_post': [c_void_p, c_void_p],
        'pirn_stream_wait': [c_void_p, c_void_p],
        'pirn_trigger_release': [c_void_p]}.items():
    function = getattr(base.pirn, name)
    function.argtypes, function.restype = types, c_int32


def make_tensor(torch, kind, device):
    if kind != 'pool':
        return torch.zeros(BLOCKS * BLOCK, dtype=torch.uint8, device=device)
    allocator = torch.cuda.memory.CUDAPluggableAllocator(os.environ['EXAMPLE_ALLOCATOR'], 'pirn_torch_alloc',
                                                         'pirn_torch_free')
    make_tensor.pool = torch.cuda.MemPool(allocator.allocator())  # has to live as long as its tensors
    with torch.cuda.use_mem_pool(make_tensor.pool, device):
        return torch.zeros(BLOCKS * BLOCK, dtype=torch.uint8, device=device)


def register(endpoint, tensor):
    return base.create('pirn_region_register', endpoint, tensor.data_ptr(), tensor.numel(), None)


def pairs(step):
    """Which block goes where, as both sides know it."""
    dice = random.Random(step)
    return dice.sample(range(BLOCKS), CHOSEN), dice.sample(range(BLOCKS), CHOSEN)


def fill(torch, tensor, step):
    tensor.copy_(torch.randint(256, tensor.shape, dtype=torch.uint8, device=tensor.device,
                               generator=torch.Generator(tensor.device).manual_seed(step)))


def serve(torch, kind, device):
    tensor = make_tensor(torch, kind, device)
    expected = torch.zeros_like(tensor).view(BLOCKS, BLOCK)
    sent = torch.empty_like(tensor)
    torch.cuda.synchronize()
    endpoint = open_endpoint(device)
    region = register(endpoint, tensor)
    blob, blob_length, window_id = ctypes.create_string_buffer(16384), c_size_t(16384), c_uint64()
    base.call('pirn_region_advertise', region, 0, tensor.numel(), base.ACCESS_READ_WRITE, blob, byref(blob_length),
              byref(window_id))
    window = ctypes.create_string_buffer(16384)
    base.call('pirn_blob_to_text', blob, blob_length, window, byref(c_size_t(16384)))
    base.call('pirn_endpoint_listen', endpoint, b'127.0.0.1:0')
    address = ctypes.create_string_buffer(256)
    base.call('pirn_endpoint_address', endpoint, address, byref(c_size_t(256)))
    print(address.value.decode(), window.value.decode(), flush=True)
    peer = base.create('pirn_endpoint_accept', endpoint, 0)
    for step in range(ROUNDS):
        base.expect_notification(endpoint, b'written %d' % step)
        fill(torch, sent, step)
        here, there = pairs(step)
        expected[there] = sent.view(BLOCKS, BLOCK)[here]
        if not torch.equal(tensor.view(BLOCKS, BLOCK), expected):
            raise RuntimeError(f'round {step}: wrong bytes')
        base.call('pirn_notify', peer, b'checked', 7, None, None)
    base.expect_notification(endpoint, b'whole')
    if not torch.equal(tensor, sent):
        raise RuntimeError('the whole tensor: wrong bytes')
    print(f'server: example ok: {ROUNDS} rounds, {kind}', flush=True)
    base.call('pirn_notify', peer, b'checked', 7, None, None)
    base.call('pirn_endpoint_close', endpoint)


def play_client(torch, kind, device, address, window_text):
    tensor = make_tensor(torch, kind, device)
    endpoint = open_endpoint(device)
    peer = base.create('pirn_peer_connect', endpoint, address.encode(), 0)
    window = base.create('pirn_window_import', peer, window_text.encode(), len(window_text))
    region = register(endpoint, tensor)
    list_ = (Segment * BLOCKS)(*[(region, i * BLOCK, window, i * BLOCK, BLOCK) for i in range(BLOCKS)])
    prepared = base.create('pirn_transfer_prepare', WRITE, list_, BLOCKS)
    for step in range(ROUNDS):
        fill(torch, tensor, step)
        torch.cuda.synchronize()  # the host posts: what the stream writes has to be there
        here, there = ((c_uint32 * CHOSEN)(*part) for part in pairs(step))
        message = b'written %d' % step
        params = base.TransferParams(ctypes.sizeof(base.TransferParams), message, len(message))
        started = time.perf_counter()
        base.call('pirn_prepared_post_select', prepared, here, there, CHOSEN, byref(params), None)
        print(f'client: {CHOSEN} blocks, notified: {(time.perf_counter() - started) * 1e6:.0f} us', flush=True)
        base.expect_notification(endpoint, b'checked')
    # In the order of the stream: no synchronize, the host only says what comes after what.
    whole = base.create('pirn_transfer_prepare', WRITE, (Segment * 1)((region, 0, window, 0, BLOCK * BLOCKS)), 1)
    params = base.TransferParams(ctypes.sizeof(base.TransferParams), b'whole', 5)
    trigger = base.create('pirn_trigger_create', whole, byref(params))
    fill(torch, tensor, ROUNDS - 1)
    stream = torch.cuda.current_stream(device).cuda_stream
    base.call('pirn_stream_post', trigger, stream)
    base.call('pirn_stream_wait', trigger, stream)
    tensor.zero_()  # runs when the bytes have left
    base.expect_notification(endpoint, b'checked')
    torch.cuda.synchronize()
    base.call('pirn_trigger_release', trigger)
    base.call('pirn_endpoint_close', endpoint)
    print('client: example ok', flush=True)


def open_endpoint(device):
    class Params(ctypes.Structure):
        _fields_ = [('struct_size', c_size_t), ('device', c_char_p), ('provider', c_char_p), ('nics', c_char_p),
                    ('progress', c_uint32), ('reserved', c_uint32)]
    context = base.create('pirn_context_open', None)
    return base.create('pirn_endpoint_open', context, byref(Params(ctypes.sizeof(Params), str(device).encode())))


def main(arguments):
    kind = arguments[0] if arguments else 'default'
    if kind == 'expandable':
        os.environ['PYTORCH_CUDA_ALLOC_CONF'] = 'expandable_segments:True'
    import torch
    if arguments[1:] == ['server']:
        device = torch.device('cuda', torch.cuda.device_count() - 1)
        torch.cuda.set_device(device)
        serve(torch, kind, device)
        return 0
    torch.cuda.set_device(0)
    with subprocess.Popen([sys.executable, __file__, kind, 'server'], stdout=subprocess.PIPE, text=True) as server:
        address, window = server.stdout.readline().split()
        play_client(torch, kind, torch.device('cuda', 0), address, window)
        print(server.stdout.read(), end='')
    return server.returncode


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
