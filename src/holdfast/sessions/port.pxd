cimport cython

from holdfast.sessions.session cimport Session as TypedSession


cdef class Caller:
    cdef public long long accepted
    cdef public object caller_key
    cdef public long long maybe_delivered


cdef class SessionPort:
    cdef public object _backend
    cdef public object _clock
    cdef public object _host
    cdef public object _journal
    cdef public object _manager
    cdef public object by_sid
    cdef public object life
    cdef public object limits

    @cython.locals(session=TypedSession, bseq=cython.longlong)
    cpdef object emit_numbered(self, Caller caller, list outputs)
