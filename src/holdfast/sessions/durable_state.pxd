from holdfast.sessions.inbox cimport Inbox
from holdfast.sessions.outbox cimport Outbox


cdef class DurableState:
    cdef public bint _clean
    cdef public bint _extended
    cdef public long long _n
    cdef public object _owner
    cdef public bint _row_saved
    cdef public long long _saved_cseq
    cdef public long long _saved_top
    cdef public bint durable
    cdef public Inbox inbox
    cdef public object journal_key
    cdef public Outbox out
    cdef public bint persistent
    cdef public object row
    cdef public object state
    cdef public bint unkept

    cpdef object mark_dirty(self)
    cpdef object mark_row_dirty(self)
    cpdef tuple record(self)
    cpdef object _record(self, outs, ins)
