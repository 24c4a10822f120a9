#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two processes share memory: the client writes into the server's memory, tells it, and reads the bytes back.

    example.py                         starts its own server and plays the client
    example.py server                  prints "ADDRESS WINDOW" and serves one client
    example.py client ADDRESS WINDOW

Nothing but Python: ctypes loads libpirn.so.0, or the file that EXAMPLE_LIBRARY names."""
import ctypes
import os
import subprocess
import sys
from ctypes import POINTER, byref, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

BYTES = 1000003
IN_PROGRESS = 1
ACCESS_READ_WRITE = 3


class TransferParams(ctypes.Structure):
    _fields_ = [('struct_size', c_size_t), ('notify', c_char_p), ('notify_length', c_uint64),
                ('timeout_ns', c_uint64), ('user_data', c_uint64), ('flags', c_uint64)]


class Notification(ctypes.Structure):
    _fields_ = [('struct_size', c_size_t), ('peer', c_void_p), ('length', c_uint64)]


# Handles are c_void_p: without argument types, ctypes would cut them to 32 bits.
FUNCTIONS = {
    'pirn_context_open': [c_void_p, POINTER(c_void_p)],
    'pirn_context_close': [c_void_p],
    'pirn_endpoint_open': [c_void_p, c_void_p, POINTER(c_void_p)],
    'pirn_endpoint_close': [c_void_p],
    'pirn_endpoint_listen': [c_void_p, c_char_p],
    'pirn_endpoint_address': [c_void_p, c_char_p, POINTER(c_size_t)],
    'pirn_endpoint_accept': [c_void_p, c_uint64, POINTER(c_void_p)],
    'pirn_peer_connect': [c_void_p, c_char_p, c_uint64, POINTER(c_void_p)],
    'pirn_region_register': [c_void_p, c_void_p, c_uint64, c_void_p, POINTER(c_void_p)],
    'pirn_region_advertise': [c_void_p, c_uint64, c_uint64, c_uint32, c_char_p, POINTER(c_size_t), POINTER(c_uint64)],
    'pirn_blob_to_text': [c_char_p, c_size_t, c_char_p, POINTER(c_size_t)],
    'pirn_window_import': [c_void_p, c_char_p, c_size_t, POINTER(c_void_p)],
    'pirn_write': [c_void_p, c_uint64, c_void_p, c_uint64, c_uint64, POINTER(TransferParams), POINTER(c_uint64)],
    'pirn_read': [c_void_p, c_uint64, c_void_p, c_uint64, c_uint64, POINTER(TransferParams), POINTER(c_uint64)],
    'pirn_transfer_wait': [c_void_p, c_uint64, c_uint64, c_void_p],
    'pirn_transfer_release': [c_void_p, c_uint64],
    'pirn_notify': [c_void_p, c_char_p, c_uint64, POINTER(TransferParams), POINTER(c_uint64)],
    'pirn_notification_take': [c_void_p, c_uint64, POINTER(Notification), c_char_p, POINTER(c_size_t)],
}


def load():
    library = ctypes.CDLL(os.environ.get('EXAMPLE_LIBRARY', 'libpirn.so.0'))
    library.pirn_last_error.restype = c_char_p
    for name, types in FUNCTIONS.items():
        function = getattr(library, name)
        function.argtypes = types
        function.restype = c_int32
    return library


pirn = load()

# Registered memory must outlive its registration, so it belongs to the module and not to a function.
memory = (ctypes.c_ubyte * BYTES)()  # the server's shared bytes; the client's source
copy = (ctypes.c_ubyte * BYTES)()    # what the client read back


def call(name, *arguments):
    status = getattr(pirn, name)(*arguments)
    if status < 0:
        raise RuntimeError(f'{name}: {pirn.pirn_last_error().decode()}')
    return status


def create(name, *arguments):
    """Calls a function whose last argument receives a handle."""
    handle = c_void_p()
    call(name, *arguments, byref(handle))
    return handle


def pattern():
    return bytes((i * 31 + i // 251 + 7) % 256 for i in range(BYTES))


def check_bytes(found, whose):
    if bytes(found) != pattern():
        raise RuntimeError(f'{whose}: wrong bytes')
    print(f'{whose}: example ok: {BYTES} bytes', flush=True)


def expect_notification(endpoint, expected):
    """A notification arrives when the bytes of its transfer are in place. Timeout 0: the default."""
    message, length = ctypes.create_string_buffer(64), c_size_t(64)
    notification = Notification(ctypes.sizeof(Notification))
    status = call('pirn_notification_take', endpoint, 0, byref(notification), message, byref(length))
    if status == IN_PROGRESS or message.raw[:length.value] != expected:
        raise RuntimeError(f'no notification: {expected}')


def serve(endpoint):
    region = create('pirn_region_register', endpoint, memory, BYTES, None)
    blob, blob_length, window_id = ctypes.create_string_buffer(16384), c_size_t(16384), c_uint64()
    call('pirn_region_advertise', region, 0, BYTES, ACCESS_READ_WRITE, blob, byref(blob_length), byref(window_id))
    window = ctypes.create_string_buffer(16384)
    call('pirn_blob_to_text', blob, blob_length, window, byref(c_size_t(16384)))
    call('pirn_endpoint_listen', endpoint, b'127.0.0.1:0')
    address = ctypes.create_string_buffer(256)
    call('pirn_endpoint_address', endpoint, address, byref(c_size_t(256)))
    print(address.value.decode(), window.value.decode(), flush=True)

    create('pirn_endpoint_accept', endpoint, 0)
    expect_notification(endpoint, b'written')
    check_bytes(memory, 'server')
    expect_notification(endpoint, b'done')


def play_client(endpoint, address, window_text):
    memory[:] = pattern()
    peer = create('pirn_peer_connect', endpoint, address.encode(), 0)
    window = create('pirn_window_import', peer, window_text.encode(), len(window_text))
    source = create('pirn_region_register', endpoint, memory, BYTES, None)
    target = create('pirn_region_register', endpoint, copy, BYTES, None)

    # Blocking: no transfer id is asked for.
    params = TransferParams(ctypes.sizeof(TransferParams), b'written', 7)
    call('pirn_write', source, 0, window, 0, BYTES, byref(params), None)

    # And in the background: start, wait, give the id back.
    transfer = c_uint64()
    call('pirn_read', target, 0, window, 0, BYTES, None, byref(transfer))
    while call('pirn_transfer_wait', endpoint, transfer, 0, None) == IN_PROGRESS:
        print('still reading', flush=True)
    call('pirn_transfer_release', endpoint, transfer)
    check_bytes(copy, 'client')
    call('pirn_notify', peer, b'done', 4, None, None)


def play_both(endpoint):
    """The server is a new program, not a fork: a fork would share the network devices of its parent."""
    with subprocess.Popen([sys.executable, __file__, 'server'], stdout=subprocess.PIPE, text=True) as server:
        address, window = server.stdout.readline().split()
        play_client(endpoint, address, window)
        print(server.stdout.read(), end='')
    return server.returncode


def main(arguments):
    context = create('pirn_context_open', None)
    endpoint = create('pirn_endpoint_open', context, None)
    try:
        if arguments == ['server']:
            return serve(endpoint)
        if len(arguments) == 3 and arguments[0] == 'client':
            return play_client(endpoint, *arguments[1:])
        return play_both(endpoint)
    finally:
        call('pirn_endpoint_close', endpoint)  # closes all that was made from it, too
        call('pirn_context_close', context)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
