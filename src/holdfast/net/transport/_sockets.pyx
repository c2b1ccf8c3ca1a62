# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Sockets of our own, compiled: `Poller` and `SocketTransport`. Hot path.

An event loop costs more for each socket that is ready than the socket's bytes
do. Here all sockets stand in one epoll set, which is one file to the loop:
for one event of the loop's all that is ready is read and handled, straight from
the kernel to the protocol and back. What takes too long for one pass of the loop
is handled in several. `_sockets.pyi` documents the interface.
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
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
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
    _SENDS_PER_PASS = 16
    _PIECES_PER_SEND = 64
    _READ_BYTES = 256 * 1024

cdef Py_ssize_t _HIGH_BYTES = 64 * 1024
cdef double _READY_SECONDS = 0.004  # of a pass, for those that are ready
cdef double _ENDS_SECONDS = 0.002  # and for those whose peers have ended


cdef double _now() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef class Poller:
    cdef object __weakref__
    cdef object _loop
    cdef list _transports  # by file number
    cdef object _ending  # a deque of transports whose protocols do not know of their end
    cdef char* _buffer
    cdef int _epoll
    cdef epoll_event _events[_EVENTS_PER_PASS]
    cdef int _at, _count  # of the events: which is next, and how many there are
    cdef bint _scheduled  # whether the rest is handled in the next pass

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
        self._ending = deque()
        loop.add_reader(self._epoll, self._run)

    def __dealloc__(self):
        if self._epoll >= 0:
            c_close(self._epoll)
        free(self._buffer)

    def _run(self):
        if self._at >= self._count:  # else what was ready before comes first
            self._at = 0
            self._count = epoll_wait(self._epoll, self._events, _EVENTS_PER_PASS, 0)
        if not self._scheduled:
            self._go_on()

    def _go_on(self):
        # Between two passes, a number may become another connection's. That one then hears of
        # what it has not got: it reads nothing.
        cdef double began = _now()
        cdef SocketTransport transport
        self._scheduled = False
        try:
            while self._at < self._count:
                transport = self._transports[self._events[self._at].data.fd]
                if transport is not None:
                    transport._ready(self._events[self._at].events)
                self._at += 1
                if not self._at & 15 and _now() - began > _READY_SECONDS:
                    break
            if self._ending:
                self._end_some()
        finally:
            # Also if the loop is told to end: it may run again, to end in order.
            if (self._at < self._count or self._ending) and not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._go_on)

    cdef int _end_some(self) except -1:
        # Many that leave at once are in nobody's way: who stays is served in between.
        cdef double began = _now()
        while self._ending:
            (<SocketTransport>self._ending[0])._tell_end()
            self._ending.popleft()
            if _now() - began > _ENDS_SECONDS:
                break
        return 0

    cdef int _add(self, SocketTransport transport) except -1:
        self._control(transport, EPOLL_CTL_ADD)
        while transport._fd >= len(self._transports):
            self._transports.append(None)
        self._transports[transport._fd] = transport
        return 0

    cdef int _watch(self, SocketTransport transport) except -1:
        # What it is ready for now is told anew.
        if not transport._finished:
            self._control(transport, EPOLL_CTL_MOD)
        return 0

    cdef int _control(self, SocketTransport transport, int operation) except -1:
        # Every event is told once (EPOLLET): who does not read all of it must come back.
        cdef epoll_event event
        event.events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET
        if transport._waiting:
            event.events |= EPOLLOUT
        event.data.fd = transport._fd
        if epoll_ctl(self._epoll, operation, transport._fd, &event):
            raise OSError(c_errno, os.strerror(c_errno))
        return 0

    cdef int _forget(self, SocketTransport transport) except -1:
        cdef epoll_event event
        self._transports[transport._fd] = None
        epoll_ctl(self._epoll, EPOLL_CTL_DEL, transport._fd, &event)
        return 0


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
    cdef int _fault  # the error that reading has ended with
    cdef bint _reading, _unread
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
        poller._add(self)

    def start(self):
        try:
            self._protocol.connection_made(self)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
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
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
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
                self._end_reading(0)
                return 0
            elif c_errno == EAGAIN:
                return 0
            elif c_errno != EINTR:
                self._end_reading(c_errno)
                return 0
        self._poller._watch(self)  # it is others' turn; what is left makes no event by itself
        return 0

    cdef int _end_reading(self, int fault) except -1:
        # All that was sent before is read; the protocol is told when others had their turn.
        self._reading = False
        self._eof_received = True
        self._fault = fault
        self._poller._ending.append(self)
        return 0

    cdef int _tell_end(self) except -1:
        if self._finished:
            return 0
        try:
            if self._fault:
                self._fail(None)
            elif not self._protocol.eof_received():
                self.close()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._defect(error)
        return 0

    def pause_reading(self):
        self._reading = False

    def resume_reading(self):
        if self._reading or self._closing or self._eof_received:
            return
        self._reading = True
        if self._unread:
            self._unread = False
            self._poller._watch(self)

    def is_reading(self):
        return self._reading

    # --- writing

    def write(self, data):
        if not PyBytes_CheckExact(data):
            data = bytes(memoryview(data))
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef ssize_t sent
        self._check_open()
        if self._closing or not size:
            return
        if self._queue is None:
            sent = send(self._fd, PyBytes_AS_STRING(data), size, MSG_NOSIGNAL)
            if sent == size:
                return
            if sent < 0:
                if not self._may_send_later():
                    return
                sent = 0
            self._queue = deque()
            self._offset = sent
            self._queued = -sent
        self._queue.append(data)
        self._queued += size
        self._send_later()

    def writelines(self, pieces):
        cdef list whole = [
            piece if PyBytes_CheckExact(piece) else bytes(memoryview(piece)) for piece in pieces
        ]
        self._check_open()
        if self._closing:
            return
        cdef bint idle = self._queue is None
        if idle:
            self._queue = deque()
            self._offset = 0
        for data in whole:
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
            self._poller._watch(self)
        self._pause_if_full()
        return 0

    cdef int _pause_if_full(self) except -1:
        if self._full or self._queued <= self._high:
            return 0
        self._full = True
        try:
            self._protocol.pause_writing()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._defect(error)
        return 0

    cdef bint _may_send_later(self) except -1:
        # To be asked at once: anything may change errno.
        if c_errno == EAGAIN or c_errno == EINTR:
            return True
        self._fail(OSError(c_errno, os.strerror(c_errno)))
        return False

    cdef int _send_queued(self) except -1:
        cdef iovec pieces[_PIECES_PER_SEND]
        cdef msghdr message
        cdef ssize_t sent
        cdef int turns = _SENDS_PER_PASS
        memset(&message, 0, sizeof(message))
        message.msg_iov = pieces
        while self._queued:
            if not turns:
                self._poller._watch(self)  # it is others' turn
                return 0
            turns -= 1
            message.msg_iovlen = self._gather(pieces)
            sent = sendmsg(self._fd, &message, MSG_NOSIGNAL)
            if sent < 0:
                if c_errno == EINTR:
                    continue
                self._may_send_later()
                return 0
            self._take_off(sent)
            if self._full and self._queued <= self._low:
                self._full = False
                self._protocol.resume_writing()
        if self._queue is None:
            return 0  # it was aborted meanwhile
        self._queue = None
        if self._eof_due:
            self._shut_down()
        if self._closing:
            self._end(None)
        elif self._waiting:
            self._waiting = False
            self._poller._watch(self)
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
        self._pause_if_full()

    def get_write_buffer_limits(self):
        return self._low, self._high

    def get_write_buffer_size(self):
        return self._queued

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
        if self._fault:  # reading has found out why; to write tells less
            error = OSError(self._fault, os.strerror(self._fault))
        self._drop(error)
        return 0

    cdef int _defect(self, error) except -1:
        self._drop(error)
        self._poller._loop.call_exception_handler(
            {
                "message": "a protocol failed",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
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

    @property
    def _sendfile_compatible(self):
        # asyncio's sendfile() asks this, and calls by another name what it cannot do. Whoever
        # called it reads the file instead when it hears what it hears from uvloop.
        raise NotImplementedError("sendfile")
