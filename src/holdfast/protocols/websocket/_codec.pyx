# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The frame codec, compiled: the twin of `_codec_pure.py`. Hot path.

One interface and one test suite with the twin, which documents each function.
Works on the bytes in place and allocates only the payloads that it returns.
"""

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject** string, Py_ssize_t size) except -1

cdef Py_ssize_t _FIRST_BYTES = 65536
# A peer that says how much will come is believed by and by: each step is a copy of what came.
cdef Py_ssize_t _GROWTH = 16


cdef void _xor(char* to, const char* data, Py_ssize_t size, const char* key, Py_ssize_t offset) noexcept nogil:
    # Eight bytes at a time: the key repeats every four, so one 64-bit pad serves all.
    cdef char pad[8]
    cdef uint64_t wide_pad, word
    cdef Py_ssize_t i
    for i in range(8):
        pad[i] = key[(offset + i) & 3]
    memcpy(&wide_pad, pad, 8)
    i = 0
    while i + 8 <= size:
        memcpy(&word, data + i, 8)
        word ^= wide_pad
        memcpy(to + i, &word, 8)
        i += 8
    while i < size:
        to[i] = data[i] ^ pad[i & 7]
        i += 1


cdef int _head(unsigned char* to, int first, Py_ssize_t size, bint masked) noexcept nogil:
    cdef int bit = 0x80 if masked else 0
    cdef int i
    to[0] = first
    if size < 126:
        to[1] = bit | size
        return 2
    if size < 65536:
        to[1] = bit | 126
        to[2] = size >> 8
        to[3] = size & 0xFF
        return 4
    to[1] = bit | 127
    for i in range(8):
        to[2 + i] = (size >> (56 - 8 * i)) & 0xFF
    return 10


def mask(bytes data not None, bytes key not None, Py_ssize_t offset):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    if PyBytes_GET_SIZE(key) != 4:
        raise ValueError("a masking key has 4 bytes")
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
    _xor(PyBytes_AS_STRING(out), PyBytes_AS_STRING(data), size, PyBytes_AS_STRING(key), offset)
    return out


def head(int first, Py_ssize_t size, bint masked):
    cdef unsigned char buffer[10]
    cdef int length = _head(buffer, first, size, masked)
    return PyBytes_FromStringAndSize(<char*>buffer, length)


def encode(int first, bytes payload not None, bytes key):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(payload)
    cdef unsigned char buffer[14]
    cdef bint masked = key is not None
    cdef int length = _head(buffer, first, size, masked)
    if masked:
        if PyBytes_GET_SIZE(key) != 4:
            raise ValueError("a masking key has 4 bytes")
        memcpy(buffer + length, PyBytes_AS_STRING(key), 4)
        length += 4
    cdef bytes out = PyBytes_FromStringAndSize(NULL, length + size)
    cdef char* to = PyBytes_AS_STRING(out)
    memcpy(to, buffer, length)
    if masked:
        _xor(to + length, PyBytes_AS_STRING(payload), size, PyBytes_AS_STRING(key), 0)
    else:
        memcpy(to + length, PyBytes_AS_STRING(payload), size)
    return out


cdef int _payload(object message, const char** data, Py_ssize_t* size) except -1:
    # The opcode, with FIN. A str keeps the UTF-8 that it is asked for.
    if PyBytes_CheckExact(message):
        data[0] = PyBytes_AS_STRING(message)
        size[0] = PyBytes_GET_SIZE(message)
        return 0x82
    data[0] = PyUnicode_AsUTF8AndSize(message, size)
    return 0x81


def encode_all(list messages not None):
    cdef const char* data
    cdef Py_ssize_t size, i, total = 0, count = len(messages)
    cdef unsigned char head[10]
    cdef int first
    for i in range(count):
        first = _payload(messages[i], &data, &size)
        total += _head(head, first, size, False) + size
    cdef bytes out = PyBytes_FromStringAndSize(NULL, total)
    cdef char* to = PyBytes_AS_STRING(out)
    for i in range(count):
        first = _payload(messages[i], &data, &size)
        to += _head(<unsigned char*>to, first, size, False)
        memcpy(to, data, size)
        to += size
    return out


def scan(bytes data not None, Py_ssize_t pos, bint masked, Py_ssize_t size_max, list out not None):
    cdef const unsigned char* p = <const unsigned char*>PyBytes_AS_STRING(data)
    cdef Py_ssize_t end = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t key_size = 4 if masked else 0
    cdef int bit = 0x80 if masked else 0
    cdef Py_ssize_t start, i
    cdef uint64_t size
    cdef int first
    cdef bytes payload
    while end - pos >= 2:
        first = p[pos]
        if first != 0x81 and first != 0x82:
            break
        size = p[pos + 1] ^ bit
        start = pos + 2
        if size >= 126:
            if size == 126:
                if end - start < 2:
                    break
                size = (p[start] << 8) | p[start + 1]
                start += 2
                if size < 126:
                    break
            elif size == 127:
                if end - start < 8:
                    break
                size = 0
                for i in range(8):
                    size = (size << 8) | p[start + i]
                start += 8
                if size < 65536:
                    break
            else:
                break
        start += key_size
        if size > <uint64_t>size_max or start > end or size > <uint64_t>(end - start):
            break
        payload = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>size)
        if masked:
            _xor(PyBytes_AS_STRING(payload), <const char*>p + start, size, <const char*>p + start - 4, 0)
        else:
            memcpy(PyBytes_AS_STRING(payload), p + start, size)
        if first == 0x81:
            try:
                out.append(PyUnicode_DecodeUTF8(PyBytes_AS_STRING(payload), <Py_ssize_t>size, NULL))
            except UnicodeDecodeError:
                break
        else:
            out.append(payload)
        pos = start + <Py_ssize_t>size
    return pos


cdef class Payload:
    # Bytes that nobody else has seen yet, so they may still be written and resized.
    cdef PyObject* _bytes
    cdef Py_ssize_t _room, _have, _size
    cdef bint _masked
    cdef char _key[4]

    def __cinit__(self, Py_ssize_t size, bytes key):
        self._size = size
        self._masked = key is not None
        if self._masked:
            if PyBytes_GET_SIZE(key) != 4:
                raise ValueError("a masking key has 4 bytes")
            memcpy(self._key, PyBytes_AS_STRING(key), 4)
        self._grow(min(size, _FIRST_BYTES))

    def __dealloc__(self):
        Py_XDECREF(self._bytes)

    cdef int _grow(self, Py_ssize_t room) except -1:
        cdef bytes made
        if self._bytes == NULL:
            made = PyBytes_FromStringAndSize(NULL, room)
            Py_INCREF(made)
            self._bytes = <PyObject*>made
        else:
            _PyBytes_Resize(&self._bytes, room)
        self._room = room
        return 0

    @property
    def left(self):
        return self._size - self._have

    def take(self, bytes data not None, Py_ssize_t pos):
        cdef Py_ssize_t part = min(PyBytes_GET_SIZE(data) - pos, self._size - self._have)
        cdef const char* source = PyBytes_AS_STRING(data) + pos
        cdef char* to
        if pos < 0 or part < 0 or self._bytes == NULL:
            raise ValueError("nothing to take")
        if self._have + part > self._room:
            self._grow(min(max(_GROWTH * self._room, self._have + part), self._size))
        to = PyBytes_AS_STRING(<object>self._bytes) + self._have
        if self._masked:
            _xor(to, source, part, self._key, self._have)
        else:
            memcpy(to, source, part)
        self._have += part
        return pos + part

    def finish(self):
        if self._have != self._size or self._bytes == NULL:
            raise ValueError("the payload is not complete")
        cdef bytes out = <bytes>self._bytes
        Py_XDECREF(self._bytes)
        self._bytes = NULL
        return out
