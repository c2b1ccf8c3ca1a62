from holdfast.sessions.port cimport Caller
from holdfast.sessions.session cimport Session


cdef class Reservation:
    cdef public object instance


cdef class Instance(Caller):
    cdef public list _events
    cdef public object _port
    cdef public list _resynced
    cdef public object _traces
    cdef public long long _unapplied
    cdef public long long _window
    cdef public object app
    cdef public long long durable
    cdef public bint everywhere
    cdef public bint lasted
    cdef public bint leaving
    cdef public set lost
    cdef public object name
    cdef public object peer
    cdef public object reservation
    cdef public dict reserved
    cdef public bint serves
    cdef public dict sessions

    cpdef object forward(self, Session session)
    cpdef object applied(self, Session session, long long cseq)
    cpdef object _send(self, Session session, commands)
