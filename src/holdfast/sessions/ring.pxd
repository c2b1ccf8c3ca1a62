from holdfast.sessions.outbox cimport Outbox


cdef class Ring(Outbox):
    cdef public object _chunks
    cdef public object _modes
