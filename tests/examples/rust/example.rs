// SPDX-License-Identifier: Apache-2.0
//! Two processes share memory: the client writes into the server's memory, tells it, and reads the bytes back.
//!
//!   example                         starts its own server and plays the client
//!   example server                  prints "ADDRESS WINDOW" and serves one client
//!   example client ADDRESS WINDOW
//!
//! No crates: rustc example.rs -l pirn

use std::ffi::{c_void, CStr, CString};
use std::io::{BufRead, BufReader};
use std::os::raw::c_char;
use std::process::{exit, Command, Stdio};
use std::ptr::{null, null_mut};

const BYTES: usize = 1_000_003;
const IN_PROGRESS: i32 = 1;
const ACCESS_READ_WRITE: u32 = 3;

#[repr(C)]
struct TransferParams {
    struct_size: usize,
    notify: *const u8,
    notify_length: u64,
    timeout_ns: u64,
    user_data: u64,
    flags: u64,
}

#[repr(C)]
struct Notification {
    struct_size: usize,
    peer: *mut c_void,
    length: u64,
}

type Handle = *mut c_void;

extern "C" {
    fn pirn_last_error() -> *const c_char;
    fn pirn_context_open(params: *const c_void, context: *mut Handle) -> i32;
    fn pirn_context_close(context: Handle) -> i32;
    fn pirn_endpoint_open(context: Handle, params: *const c_void, endpoint: *mut Handle) -> i32;
    fn pirn_endpoint_close(endpoint: Handle) -> i32;
    fn pirn_endpoint_listen(endpoint: Handle, address: *const c_char) -> i32;
    fn pirn_endpoint_address(endpoint: Handle, buffer: *mut u8, length: *mut usize) -> i32;
    fn pirn_endpoint_accept(endpoint: Handle, timeout_ns: u64, peer: *mut Handle) -> i32;
    fn pirn_peer_connect(endpoint: Handle, address: *const c_char, timeout_ns: u64, peer: *mut Handle) -> i32;
    fn pirn_region_register(
        endpoint: Handle, address: *mut u8, length: u64, params: *const c_void, region: *mut Handle,
    ) -> i32;
    fn pirn_region_advertise(
        region: Handle, offset: u64, length: u64, access: u32, blob: *mut u8, blob_length: *mut usize,
        window_id: *mut u64,
    ) -> i32;
    fn pirn_blob_to_text(blob: *const u8, blob_length: usize, text: *mut u8, length: *mut usize) -> i32;
    fn pirn_window_import(peer: Handle, blob: *const u8, length: usize, window: *mut Handle) -> i32;
    fn pirn_write(
        region: Handle, local_offset: u64, window: Handle, remote_offset: u64, length: u64,
        params: *const TransferParams, transfer: *mut u64,
    ) -> i32;
    fn pirn_read(
        region: Handle, local_offset: u64, window: Handle, remote_offset: u64, length: u64,
        params: *const TransferParams, transfer: *mut u64,
    ) -> i32;
    fn pirn_transfer_wait(endpoint: Handle, transfer: u64, timeout_ns: u64, result: *mut c_void) -> i32;
    fn pirn_transfer_release(endpoint: Handle, transfer: u64) -> i32;
    fn pirn_notify(
        peer: Handle, message: *const u8, length: u64, params: *const TransferParams, transfer: *mut u64,
    ) -> i32;
    fn pirn_notification_take(
        endpoint: Handle, timeout_ns: u64, notification: *mut Notification, buffer: *mut u8, length: *mut usize,
    ) -> i32;
}

/// Ok holds PIRN_OK or PIRN_IN_PROGRESS.
type Outcome<T> = Result<T, String>;

fn check(status: i32, call: &str) -> Outcome<i32> {
    if status >= 0 {
        return Ok(status);
    }
    let text = unsafe { CStr::from_ptr(pirn_last_error()) };
    Err(format!("{call}: {}", text.to_string_lossy()))
}

/// Runs a call whose last argument receives a handle.
fn create(call: &str, open: impl FnOnce(*mut Handle) -> i32) -> Outcome<Handle> {
    let mut handle = null_mut();
    check(open(&mut handle), call)?;
    Ok(handle)
}

/// Runs a call that fills a buffer; `length` counts what it wrote.
fn read_bytes(call: &str, fill: impl FnOnce(*mut u8, *mut usize) -> i32) -> Outcome<Vec<u8>> {
    let mut bytes = vec![0u8; 16384];
    let mut length = bytes.len();
    check(fill(bytes.as_mut_ptr(), &mut length), call)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn as_text(bytes: Vec<u8>) -> Outcome<String> {
    let text = CString::from_vec_with_nul(bytes).map_err(|error| error.to_string())?;
    text.into_string().map_err(|error| error.to_string())
}

fn pattern() -> Vec<u8> {
    (0..BYTES).map(|i| ((i * 31 + i / 251 + 7) % 256) as u8).collect()
}

fn check_bytes(found: &[u8], whose: &str) -> Outcome<()> {
    let expected = pattern();
    if let Some(i) = (0..BYTES).find(|&i| found[i] != expected[i]) {
        return Err(format!("{whose}: byte {i} is wrong"));
    }
    println!("{whose}: example ok: {BYTES} bytes");
    Ok(())
}

/// A notification arrives when the bytes of its transfer are in place. Timeout 0: the default.
fn expect_notification(endpoint: Handle, expected: &[u8]) -> Outcome<()> {
    let struct_size = std::mem::size_of::<Notification>();
    let mut notification = Notification { struct_size, peer: null_mut(), length: 0 };
    let mut came = true;
    let message = read_bytes("pirn_notification_take", |buffer, length| unsafe {
        let status = pirn_notification_take(endpoint, 0, &mut notification, buffer, length);
        came = status != IN_PROGRESS;
        status
    })?;
    if !came || message != expected {
        return Err(format!("no notification: {}", String::from_utf8_lossy(expected)));
    }
    Ok(())
}

// Raw pointers from here on: the memory is shared with another process, which no reference of Rust may claim.

fn serve(endpoint: Handle, memory: *mut u8) -> Outcome<()> {
    let region = create("pirn_region_register", |handle| unsafe {
        pirn_region_register(endpoint, memory, BYTES as u64, null(), handle)
    })?;
    let mut window_id = 0;
    let blob = read_bytes("pirn_region_advertise", |buffer, length| unsafe {
        pirn_region_advertise(region, 0, BYTES as u64, ACCESS_READ_WRITE, buffer, length, &mut window_id)
    })?;
    let window = as_text(read_bytes("pirn_blob_to_text", |buffer, length| unsafe {
        pirn_blob_to_text(blob.as_ptr(), blob.len(), buffer, length)
    })?)?;
    check(unsafe { pirn_endpoint_listen(endpoint, b"127.0.0.1:0\0".as_ptr().cast()) }, "pirn_endpoint_listen")?;
    let address = as_text(read_bytes("pirn_endpoint_address", |buffer, length| unsafe {
        pirn_endpoint_address(endpoint, buffer, length)
    })?)?;
    println!("{address} {window}");

    create("pirn_endpoint_accept", |handle| unsafe { pirn_endpoint_accept(endpoint, 0, handle) })?;
    expect_notification(endpoint, b"written")?;
    // The client has announced that it is done writing: now the bytes are ours alone.
    check_bytes(unsafe { std::slice::from_raw_parts(memory, BYTES) }, "server")?;
    expect_notification(endpoint, b"done")
}

fn play_client(endpoint: Handle, memory: *mut u8, copy: *mut u8, address: &str, window_text: &str) -> Outcome<()> {
    unsafe { memory.copy_from_nonoverlapping(pattern().as_ptr(), BYTES) };
    let address = CString::new(address).map_err(|error| error.to_string())?;
    let peer = create("pirn_peer_connect", |handle| unsafe {
        pirn_peer_connect(endpoint, address.as_ptr(), 0, handle)
    })?;
    let window = create("pirn_window_import", |handle| unsafe {
        pirn_window_import(peer, window_text.as_ptr(), window_text.len(), handle)
    })?;
    let register = |address: *mut u8| {
        create("pirn_region_register", |handle| unsafe {
            pirn_region_register(endpoint, address, BYTES as u64, null(), handle)
        })
    };
    let (source, target) = (register(memory)?, register(copy)?);

    // Blocking: no transfer id is asked for.
    let params = TransferParams {
        struct_size: std::mem::size_of::<TransferParams>(),
        notify: b"written".as_ptr(),
        notify_length: 7,
        timeout_ns: 0,
        user_data: 0,
        flags: 0,
    };
    check(unsafe { pirn_write(source, 0, window, 0, BYTES as u64, &params, null_mut()) }, "pirn_write")?;

    // And in the background: start, wait, give the id back.
    let mut transfer = 0;
    check(unsafe { pirn_read(target, 0, window, 0, BYTES as u64, null(), &mut transfer) }, "pirn_read")?;
    let wait = || check(unsafe { pirn_transfer_wait(endpoint, transfer, 0, null_mut()) }, "pirn_transfer_wait");
    while wait()? == IN_PROGRESS {
        println!("still reading");
    }
    check(unsafe { pirn_transfer_release(endpoint, transfer) }, "pirn_transfer_release")?;
    check_bytes(unsafe { std::slice::from_raw_parts(copy, BYTES) }, "client")?;
    check(unsafe { pirn_notify(peer, b"done".as_ptr(), 4, null(), null_mut()) }, "pirn_notify")?;
    Ok(())
}

/// The server is a new program, not a fork: a fork would share the network devices of its parent.
fn play_both(endpoint: Handle, memory: *mut u8, copy: *mut u8) -> Outcome<()> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut server = Command::new(program)
        .arg("server")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut lines = BufReader::new(server.stdout.take().ok_or("no pipe")?).lines().map_while(Result::ok);
    let line = lines.next().ok_or("the server did not start")?;
    let (address, window) = line.split_once(' ').ok_or("the server said something else")?;
    play_client(endpoint, memory, copy, address, window)?;
    lines.for_each(|line| println!("{line}"));
    match server.wait() {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("the server failed: {other:?}")),
    }
}

fn run(arguments: &[String]) -> Outcome<()> {
    // Declared first and so dropped last: registered memory must outlive its registration.
    let (mut memory, mut copy) = (vec![0u8; BYTES], vec![0u8; BYTES]);
    let (memory, copy) = (memory.as_mut_ptr(), copy.as_mut_ptr());
    let context = create("pirn_context_open", |handle| unsafe { pirn_context_open(null(), handle) })?;
    let endpoint = create("pirn_endpoint_open", |handle| unsafe { pirn_endpoint_open(context, null(), handle) })?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["server"] => serve(endpoint, memory),
        ["client", address, window] => play_client(endpoint, memory, copy, address, window),
        _ => play_both(endpoint, memory, copy),
    };
    // Closes all that was made from it, too.
    check(unsafe { pirn_endpoint_close(endpoint) }, "pirn_endpoint_close")?;
    check(unsafe { pirn_context_close(context) }, "pirn_context_close")?;
    outcome
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(text) = run(&arguments) {
        eprintln!("example: {text}");
        exit(1);
    }
}
