from holdfast.gateway.conversation.acks cimport AckPacer
from holdfast.sessions.session cimport Session


cdef class Attachment:
    cdef public object _context
    cdef public AckPacer acks
    cdef public object adapter
    cdef public object connection
    cdef public object driver
    cdef public object evidence
    cdef public bint greeted
    cdef public bint live
    cdef public double pinged
    cdef public object proof
    cdef public Session session

    cpdef object deliver(self)
    cpdef object acknowledge(self, long long cin)
    cpdef bint command(self, item) except -1
    cpdef object numbered(self, event)
    cpdef object acked(self, long long n)
