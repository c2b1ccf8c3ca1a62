cdef class Inbox:
    cdef public tuple _hidden
    cdef public long long _limit
    cdef public object _limits
    cdef public Py_ssize_t _next
    cdef public object _room
    cdef public long long applied
    cdef public long long cin
    cdef public list entries
    cdef public long long forwarded_bytes
    cdef public long long offset
    cdef public long long size

    cpdef bint is_full(self) except -1
    cpdef object accept(self, item)
    cpdef object accept_numbered(self, long long c, item)
    cpdef tuple kept(self)
    cpdef object take_within(self, double bytes_max)
    cpdef long long apply(self, long long cseq) except -1
    cpdef list since(self, long long cseq)
    cpdef bint _refuses(self, item) except -1
    cpdef bint _crowded(self) except -1
    cpdef object _queue(self, item)
