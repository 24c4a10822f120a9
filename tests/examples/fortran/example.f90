! SPDX-License-Identifier: Apache-2.0
! Two processes share memory: the client writes into the server's memory, tells it, and reads the bytes back.
!
!   example                         starts its own server and plays the client
!   example server                  prints "ADDRESS WINDOW" and serves one client
!   example client ADDRESS WINDOW
!
! Any Fortran 2003 compiler: gfortran example.f90 -lpirn

module pirn
  use, intrinsic :: iso_c_binding
  implicit none
  integer(c_int32_t), parameter :: ok = 0, in_progress = 1, access_read_write = 3

  type, bind(c) :: transfer_params
    integer(c_size_t) :: struct_size = 48
    type(c_ptr) :: notify = c_null_ptr
    integer(c_int64_t) :: notify_length = 0, timeout_ns = 0, user_data = 0, flags = 0
  end type

  type, bind(c) :: notification_info
    integer(c_size_t) :: struct_size = 24
    type(c_ptr) :: peer = c_null_ptr
    integer(c_int64_t) :: length = 0
  end type

  ! Handles and addresses are type(c_ptr); texts end with c_null_char.
  interface
    type(c_ptr) function pirn_last_error() bind(c)
      import
    end function
    integer(c_int32_t) function pirn_context_open(params, context) bind(c)
      import
      type(c_ptr), value :: params
      type(c_ptr) :: context
    end function
    integer(c_int32_t) function pirn_context_close(context) bind(c)
      import
      type(c_ptr), value :: context
    end function
    integer(c_int32_t) function pirn_endpoint_open(context, params, endpoint) bind(c)
      import
      type(c_ptr), value :: context, params
      type(c_ptr) :: endpoint
    end function
    integer(c_int32_t) function pirn_endpoint_close(endpoint) bind(c)
      import
      type(c_ptr), value :: endpoint
    end function
    integer(c_int32_t) function pirn_endpoint_listen(endpoint, address) bind(c)
      import
      type(c_ptr), value :: endpoint
      character(kind=c_char), intent(in) :: address(*)
    end function
    integer(c_int32_t) function pirn_endpoint_address(endpoint, buffer, length) bind(c)
      import
      type(c_ptr), value :: endpoint
      character(kind=c_char) :: buffer(*)
      integer(c_size_t) :: length
    end function
    integer(c_int32_t) function pirn_endpoint_accept(endpoint, timeout_ns, peer) bind(c)
      import
      type(c_ptr), value :: endpoint
      integer(c_int64_t), value :: timeout_ns
      type(c_ptr) :: peer
    end function
    integer(c_int32_t) function pirn_peer_connect(endpoint, address, timeout_ns, peer) bind(c)
      import
      type(c_ptr), value :: endpoint
      character(kind=c_char), intent(in) :: address(*)
      integer(c_int64_t), value :: timeout_ns
      type(c_ptr) :: peer
    end function
    integer(c_int32_t) function pirn_region_register(endpoint, address, length, params, region) bind(c)
      import
      type(c_ptr), value :: endpoint, address, params
      integer(c_int64_t), value :: length
      type(c_ptr) :: region
    end function
    integer(c_int32_t) function pirn_region_advertise(region, offset, length, access, blob, blob_length, id) bind(c)
      import
      type(c_ptr), value :: region
      integer(c_int64_t), value :: offset, length
      integer(c_int32_t), value :: access
      character(kind=c_char) :: blob(*)
      integer(c_size_t) :: blob_length
      integer(c_int64_t) :: id
    end function
    integer(c_int32_t) function pirn_blob_to_text(blob, blob_length, text, length) bind(c)
      import
      character(kind=c_char), intent(in) :: blob(*)
      integer(c_size_t), value :: blob_length
      character(kind=c_char) :: text(*)
      integer(c_size_t) :: length
    end function
    integer(c_int32_t) function pirn_window_import(peer, blob, length, window) bind(c)
      import
      type(c_ptr), value :: peer
      character(kind=c_char), intent(in) :: blob(*)
      integer(c_size_t), value :: length
      type(c_ptr) :: window
    end function
    integer(c_int32_t) function pirn_write(region, local, window, remote, length, params, transfer) bind(c)
      import
      type(c_ptr), value :: region, window, params, transfer
      integer(c_int64_t), value :: local, remote, length
    end function
    integer(c_int32_t) function pirn_read(region, local, window, remote, length, params, transfer) bind(c)
      import
      type(c_ptr), value :: region, window, params, transfer
      integer(c_int64_t), value :: local, remote, length
    end function
    integer(c_int32_t) function pirn_transfer_wait(endpoint, transfer, timeout_ns, result) bind(c)
      import
      type(c_ptr), value :: endpoint, result
      integer(c_int64_t), value :: transfer, timeout_ns
    end function
    integer(c_int32_t) function pirn_transfer_release(endpoint, transfer) bind(c)
      import
      type(c_ptr), value :: endpoint
      integer(c_int64_t), value :: transfer
    end function
    integer(c_int32_t) function pirn_notify(peer, message, length, params, transfer) bind(c)
      import
      type(c_ptr), value :: peer, params, transfer
      character(kind=c_char), intent(in) :: message(*)
      integer(c_int64_t), value :: length
    end function
    integer(c_int32_t) function pirn_notification_take(endpoint, timeout_ns, info, buffer, length) bind(c)
      import
      type(c_ptr), value :: endpoint
      integer(c_int64_t), value :: timeout_ns
      type(notification_info) :: info
      character(kind=c_char) :: buffer(*)
      integer(c_size_t) :: length
    end function

    ! From the C library: a pipe from another program.
    type(c_ptr) function popen(command, mode) bind(c)
      import
      character(kind=c_char), intent(in) :: command(*), mode(*)
    end function
    type(c_ptr) function fgets(line, room, stream) bind(c)
      import
      character(kind=c_char) :: line(*)
      integer(c_int), value :: room
      type(c_ptr), value :: stream
    end function
    integer(c_int) function pclose(stream) bind(c)
      import
      type(c_ptr), value :: stream
    end function
    integer(c_size_t) function strlen(text) bind(c)
      import
      type(c_ptr), value :: text
    end function
  end interface
end module

program example
  use pirn
  implicit none
  integer, parameter :: bytes = 1000003, room = 16384
  integer(c_int64_t), parameter :: all_bytes = bytes
  integer(c_int8_t), target, save :: memory(bytes) = 0  ! the server's shared bytes; the client's source
  integer(c_int8_t), target, save :: copy(bytes) = 0    ! what the client read back
  type(c_ptr) :: context, endpoint
  character(len=room) :: mode, address, window

  call check(pirn_context_open(c_null_ptr, context), 'pirn_context_open')
  call check(pirn_endpoint_open(context, c_null_ptr, endpoint), 'pirn_endpoint_open')
  call get_command_argument(1, mode)
  if (mode == 'server') then
    call serve()
  else if (mode == 'client') then
    call get_command_argument(2, address)
    call get_command_argument(3, window)
    call play_client(trim(address), trim(window))
  else
    call play_both()
  end if
  call check(pirn_endpoint_close(endpoint), 'pirn_endpoint_close')  ! closes all that was made from it, too
  call check(pirn_context_close(context), 'pirn_context_close')

contains

  subroutine fail(text)
    character(len=*), intent(in) :: text
    print '(a)', 'example: ' // text
    stop 1
  end subroutine

  subroutine check(status, name)
    integer(c_int32_t), intent(in) :: status
    character(len=*), intent(in) :: name
    character(kind=c_char), pointer :: text(:)
    integer :: i
    if (status == ok) return
    call c_f_pointer(pirn_last_error(), text, [strlen(pirn_last_error())])
    print '(*(a))', name, ': ', (text(i), i = 1, size(text))
    stop 1
  end subroutine

  ! Element i is byte i - 1 of the other languages; values above 127 are negative in Fortran's signed bytes.
  integer(c_int8_t) function pattern(i)
    integer, intent(in) :: i
    integer(c_int64_t) :: value, byte
    byte = i - 1
    value = mod(byte * 31 + byte / 251 + 7, 256_c_int64_t)
    pattern = int(merge(value - 256, value, value > 127), c_int8_t)
  end function

  subroutine check_bytes(found, whose)
    integer(c_int8_t), intent(in) :: found(:)
    character(len=*), intent(in) :: whose
    integer :: i
    do i = 1, bytes
      if (found(i) /= pattern(i)) call fail(whose // ': wrong bytes')
    end do
    print '(a, a, i0, a)', whose, ': example ok: ', bytes, ' bytes'
    flush (6)
  end subroutine

  ! A notification arrives when the bytes of its transfer are in place. Timeout 0: the default.
  subroutine expect_notification(expected)
    character(len=*), intent(in) :: expected
    type(notification_info) :: info
    character(len=64) :: message
    integer(c_size_t) :: length
    length = len(message)
    call check(pirn_notification_take(endpoint, 0_c_int64_t, info, message, length), 'pirn_notification_take')
    if (message(:length) /= expected) call fail('no notification: ' // expected)
  end subroutine

  subroutine serve()
    type(c_ptr) :: region, peer
    character(len=room) :: blob
    integer(c_size_t) :: blob_length, window_length, address_length
    integer(c_int64_t) :: window_id
    blob_length = room
    window_length = room
    address_length = room
    call check(pirn_region_register(endpoint, c_loc(memory), all_bytes, c_null_ptr, region), 'pirn_region_register')
    call check(pirn_region_advertise(region, 0_c_int64_t, all_bytes, access_read_write, blob, blob_length, window_id), &
               'pirn_region_advertise')
    call check(pirn_blob_to_text(blob, blob_length, window, window_length), 'pirn_blob_to_text')
    call check(pirn_endpoint_listen(endpoint, '127.0.0.1:0' // c_null_char), 'pirn_endpoint_listen')
    call check(pirn_endpoint_address(endpoint, address, address_length), 'pirn_endpoint_address')
    print '(a, " ", a)', address(:address_length - 1), window(:window_length - 1)
    flush (6)

    call check(pirn_endpoint_accept(endpoint, 0_c_int64_t, peer), 'pirn_endpoint_accept')
    call expect_notification('written')
    call check_bytes(memory, 'server')
    call expect_notification('done')
  end subroutine

  subroutine play_client(address, window_text)
    character(len=*), intent(in) :: address, window_text
    type(c_ptr) :: peer, window, source, destination
    type(transfer_params), target :: params
    character(kind=c_char), target, save :: message(7) = ['w', 'r', 'i', 't', 't', 'e', 'n']
    integer(c_int64_t), target :: transfer
    integer :: i
    do i = 1, bytes
      memory(i) = pattern(i)
    end do
    call check(pirn_peer_connect(endpoint, address // c_null_char, 0_c_int64_t, peer), 'pirn_peer_connect')
    call check(pirn_window_import(peer, window_text, len(window_text, c_size_t), window), 'pirn_window_import')
    call check(pirn_region_register(endpoint, c_loc(memory), all_bytes, c_null_ptr, source), 'pirn_region_register')
    call check(pirn_region_register(endpoint, c_loc(copy), all_bytes, c_null_ptr, destination), 'pirn_region_register')

    ! Blocking: no transfer id is asked for.
    params%notify = c_loc(message)
    params%notify_length = size(message)
    call check(pirn_write(source, 0_c_int64_t, window, 0_c_int64_t, all_bytes, c_loc(params), c_null_ptr), 'pirn_write')

    ! And in the background: start, wait, give the id back.
    call check(pirn_read(destination, 0_c_int64_t, window, 0_c_int64_t, all_bytes, c_null_ptr, c_loc(transfer)), &
               'pirn_read')
    call check(pirn_transfer_wait(endpoint, transfer, 0_c_int64_t, c_null_ptr), 'pirn_transfer_wait')
    call check(pirn_transfer_release(endpoint, transfer), 'pirn_transfer_release')
    call check_bytes(copy, 'client')
    call check(pirn_notify(peer, 'done', 4_c_int64_t, c_null_ptr, c_null_ptr), 'pirn_notify')
  end subroutine

  ! The server is a new program, not a fork: a fork would share the network devices of its parent.
  subroutine play_both()
    character(len=room) :: program
    character(len=2 * room) :: line
    type(c_ptr) :: server
    integer :: space
    call get_command_argument(0, program)
    server = popen("exec '" // trim(program) // "' server" // c_null_char, 'r' // c_null_char)
    if (.not. next_line(server, line)) call fail('the server did not start')
    space = index(line, ' ')
    call play_client(line(:space - 1), trim(line(space + 1:)))
    do while (next_line(server, line))
      print '(a)', trim(line)
    end do
    if (pclose(server) /= 0) call fail('the server failed')
  end subroutine

  logical function next_line(stream, line)
    type(c_ptr), intent(in) :: stream
    character(len=*), intent(out) :: line
    integer :: end_of_line
    line = ''
    next_line = .false.
    if (c_associated(stream)) next_line = c_associated(fgets(line, len(line), stream))
    end_of_line = index(line, new_line('a'))
    if (end_of_line > 0) line(end_of_line:) = ''
  end function
end program
