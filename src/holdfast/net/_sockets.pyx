# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Sockets of our own, compiled: `Poller` and `SocketTransport`. Hot path.

An event loop costs more for each socket that is ready than the socket's bytes
do. Here all sockets stand in one epoll set, which is one file to the loop:
for one event of the loop's all that is ready is read and handled, straight from
the kernel to the protocol and back. `_sockets.pyi` documents the interface.
"""

import os
import socket
from asyncio.trsock import TransportSocket
from collections import deque

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from libc.errno cimport EAGAIN, EINTR, errno as c_errno
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from posix.unistd cimport close as c_close

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        int fd
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL
    uint32_t EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, EPOLLHUP, EPOLLERR, EPOLLET

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void* iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    cdef struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t recv(int fd, void* buffer, size_t size, int flags)
    ssize_t send(int fd, const void* buffer, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)
    int AF_UNIX, MSG_NOSIGNAL

cdef extern from "<string.h>" nogil:
    void* memset(void* to, int value, size_t size)

cdef enum:
    _EVENTS_PER_PASS = 512
    _READS_PER_PASS = 4
    _PIECES_PER_SEND = 64
    _READ_BYTES = 256 * 1024

cdef Py_ssize_t _HIGH_BYTES = 64 * 1024


cdef class Poller:
    cdef object __weakref__
    cdef object _loop
    cdef list _transports  # by file number
    cdef list _again
    cdef char* _buffer
    cdef int _epoll

    def __cinit__(self, loop):
        self._epoll = -1
        self._buffer = <char*>malloc(_READ_BYTES)
        if self._buffer == NULL:
            raise MemoryError
        self._epoll = epoll_create1(EPOLL_CLOEXEC)
        if self._epoll < 0:
            raise OSError(c_errno, os.strerror(c_errno))

    def __init__(self, loop):
        self._loop = loop
        self._transports = []
        self._again = []
        loop.add_reader(self._epoll, self._run)

    def __dealloc__(self):
        if self._epoll >= 0:
            c_close(self._epoll)
        free(self._buffer)

    def close(self):
        if self._epoll >= 0:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._epoll)
            c_close(self._epoll)
            self._epoll = -1

    def _run(self):
        cdef epoll_event events[_EVENTS_PER_PASS]
        cdef int count = epoll_wait(self._epoll, events, _EVENTS_PER_PASS, 0)
        cdef int i
        cdef SocketTransport transport
        # No file is closed in here, so no number can have become another's.
        for i in range(count):
            transport = self._transports[events[i].data.fd]
            if transport is not None:
                transport._ready(events[i].events)

    cdef int _watch(self, SocketTransport transport, bint writing) except -1:
        # Every event is told once (EPOLLET): who does not read all of it must come back.
        cdef epoll_event event
        cdef int fd = transport._fd
        cdef bint known = fd < len(self._transports) and self._transports[fd] is transport
        event.events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET
        if writing:
            event.events |= EPOLLOUT
        event.data.fd = fd
        if epoll_ctl(self._epoll, EPOLL_CTL_MOD if known else EPOLL_CTL_ADD, fd, &event):
            raise OSError(c_errno, os.strerror(c_errno))
        while fd >= len(self._transports):
            self._transports.append(None)
        self._transports[fd] = transport
        return 0

    cdef int _forget(self, SocketTransport transport) except -1:
        cdef epoll_event event
        cdef int fd = transport._fd
        if fd < len(self._transports) and self._transports[fd] is transport:
            self._transports[fd] = None
            epoll_ctl(self._epoll, EPOLL_CTL_DEL, fd, &event)
        return 0

    cdef int _read_on(self, SocketTransport transport) except -1:
        # What is left to read makes no new event.
        if not transport._again:
            transport._again = True
            if not self._again:
                self._loop.call_soon(self._go_on)
            self._again.append(transport)
        return 0

    def _go_on(self):
        cdef list again = self._again
        cdef SocketTransport transport
        self._again = []
        for transport in again:
            transport._again = False
            transport._ready(EPOLLIN)


cdef class SocketTransport:
    cdef object __weakref__
    cdef Poller _poller
    cdef object _socket
    cdef object _protocol
    cdef object _data_received
    cdef object _queue  # a deque of bytes, while the kernel takes no more
    cdef Py_ssize_t _offset  # how much of the queue's first has been sent
    cdef Py_ssize_t _queued, _high, _low
    cdef int _fd
    cdef bint _reading, _unread, _again
    cdef bint _to_the_end  # a short read does not mean that there is no more
    cdef bint _eof_received, _eof_due
    cdef bint _full, _waiting, _closing, _finished

    def __init__(self, Poller poller, sock, protocol):
        self._poller = poller
        self._socket = sock
        self._fd = sock.fileno()
        # A stream of a Unix socket is read up to each message that carries files.
        self._to_the_end = sock.family == AF_UNIX
        self._high = _HIGH_BYTES
        self._low = _HIGH_BYTES // 4
        self._reading = True
        self.set_protocol(protocol)
        poller._watch(self, False)

    def start(self):
        try:
            self._protocol.connection_made(self)
        except Exception as error:
            self._defect(error)

    # --- reading

    cdef int _ready(self, uint32_t events) except -1:
        try:
            if events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI):
                # The end may stand right behind the bytes; and a read stops at urgent data.
                self._to_the_end = True
            if events & ~EPOLLOUT:
                self._read()
            if events & EPOLLOUT and self._queue is not None:
                self._send_queued()
        except Exception as error:
            self._defect(error)
        return 0

    cdef int _read(self) except -1:
        cdef Py_ssize_t size
        cdef int _
        for _ in range(_READS_PER_PASS):
            if not self._reading:
                self._unread = True
                return 0
            size = recv(self._fd, self._poller._buffer, _READ_BYTES, 0)
            if size > 0:
                self._data_received(PyBytes_FromStringAndSize(self._poller._buffer, size))
                if size < _READ_BYTES and not self._to_the_end:
                    return 0
            elif size == 0:
                self._reading = False
                self._eof_received = True
                if not self._protocol.eof_received():
                    self.close()
                return 0
            elif c_errno == EAGAIN:
                return 0
            elif c_errno != EINTR:
                self._fail(OSError(c_errno, os.strerror(c_errno)))
                return 0
        self._poller._read_on(self)
        return 0

    def pause_reading(self):
        self._reading = False

    def resume_reading(self):
        if self._reading or self._closing or self._eof_received:
            return
        self._reading = True
        if self._unread:
            self._unread = False
            self._poller._read_on(self)

    def is_reading(self):
        return self._reading

    # --- writing

    def write(self, data):
        if not PyBytes_CheckExact(data):
            data = bytes(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef ssize_t sent
        self._check_open()
        if self._closing or not size:
            return
        if self._queue is None:
            sent = send(self._fd, PyBytes_AS_STRING(data), size, MSG_NOSIGNAL)
            if sent == size:
                return
            self._queue = deque()
            self._offset = max(sent, 0)
            self._queued = -self._offset
            if sent < 0 and not self._may_send_later():
                return
        self._queue.append(data)
        self._queued += size
        self._send_later()

    def writelines(self, pieces):
        self._check_open()
        if self._closing:
            return
        cdef bint idle = self._queue is None
        if idle:
            self._queue = deque()
            self._offset = self._queued = 0
        for piece in pieces:
            data = piece if PyBytes_CheckExact(piece) else bytes(piece)
            if data:
                self._queue.append(data)
                self._queued += PyBytes_GET_SIZE(data)
        if idle:
            self._send_queued()
        if self._queue is not None:
            self._send_later()

    cdef int _check_open(self) except -1:
        if self._eof_due:
            raise RuntimeError("expected no more to be written after write_eof()")
        return 0

    cdef int _send_later(self) except -1:
        # The kernel takes no more for now.
        if not self._waiting:
            self._waiting = True
            self._poller._watch(self, True)
        if not self._full and self._queued > self._high:
            self._full = True
            self._protocol.pause_writing()
        return 0

    cdef bint _may_send_later(self) except -1:
        if c_errno == EAGAIN or c_errno == EINTR:
            return True
        self._fail(OSError(c_errno, os.strerror(c_errno)))
        return False

    cdef int _send_queued(self) except -1:
        cdef iovec pieces[_PIECES_PER_SEND]
        cdef msghdr message
        cdef ssize_t sent
        memset(&message, 0, sizeof(message))
        message.msg_iov = pieces
        while self._queued:
            message.msg_iovlen = self._gather(pieces)
            sent = sendmsg(self._fd, &message, MSG_NOSIGNAL)
            if sent < 0:
                self._may_send_later()
                return 0
            self._take_off(sent)
            if self._full and self._queued <= self._low:
                self._full = False
                self._protocol.resume_writing()
        if self._queue is None:
            return 0  # it was aborted meanwhile
        self._queue = None
        if self._waiting:
            self._waiting = False
            self._poller._watch(self, False)
        if self._eof_due:
            self._shut_down()
        if self._closing:
            self._end(None)
        return 0

    cdef int _gather(self, iovec* pieces) except -1:
        cdef Py_ssize_t offset = self._offset
        cdef int count = 0
        for data in self._queue:
            pieces[count].iov_base = PyBytes_AS_STRING(data) + offset
            pieces[count].iov_len = PyBytes_GET_SIZE(data) - offset
            offset = 0
            count += 1
            if count == _PIECES_PER_SEND:
                break
        return count

    cdef int _take_off(self, Py_ssize_t sent) except -1:
        cdef Py_ssize_t size
        self._queued -= sent
        sent += self._offset
        while sent:
            size = PyBytes_GET_SIZE(self._queue[0])
            if sent < size:
                break
            self._queue.popleft()
            sent -= size
        self._offset = sent
        return 0

    def can_write_eof(self):
        return True

    def write_eof(self):
        if self._eof_due or self._closing:
            return
        self._eof_due = True
        if self._queue is None:
            self._shut_down()

    cdef int _shut_down(self) except -1:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the peer is gone; reading will tell
        return 0

    def set_write_buffer_limits(self, high=None, low=None):
        if high is None:
            high = _HIGH_BYTES if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"expected high >= low >= 0, found {high} and {low}")
        self._high, self._low = high, low

    def get_write_buffer_limits(self):
        return self._low, self._high

    def get_write_buffer_size(self):
        return self._queued if self._queue is not None else 0

    # --- the end

    def is_closing(self):
        return self._closing

    def close(self):
        if self._closing:
            return
        self._closing = True
        self._reading = False
        if self._queue is None:
            self._end(None)

    def abort(self):
        self._drop(None)

    cdef int _fail(self, error) except -1:
        self._drop(error)
        return 0

    cdef int _defect(self, error) except -1:
        self._poller._loop.call_exception_handler(
            {
                "message": "a protocol failed",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self._drop(error)
        return 0

    cdef int _drop(self, error) except -1:
        self._closing = True
        self._reading = False
        self._queue = None
        self._queued = 0
        self._end(error)
        return 0

    cdef int _end(self, error) except -1:
        if not self._finished:
            self._finished = True
            self._poller._forget(self)
            self._poller._loop.call_soon(self._lose, error)
        return 0

    def _lose(self, error):
        try:
            self._protocol.connection_lost(error)
        finally:
            self._socket.close()
            self._protocol = self._data_received = None

    # --- what it is

    def set_protocol(self, protocol):
        self._protocol = protocol
        self._data_received = protocol.data_received

    def get_protocol(self):
        return self._protocol

    def get_extra_info(self, name, default=None):
        try:
            if name == "socket":
                return TransportSocket(self._socket)
            if name == "peername":
                return self._socket.getpeername()
            if name == "sockname":
                return self._socket.getsockname()
        except OSError:
            pass  # it is gone
        return default
