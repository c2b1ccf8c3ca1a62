cdef class Outbox:
    cdef public dict _latest
    cdef public long long _limit
    cdef public object _limits
    cdef public object _room
    cdef public long long _shared_bytes
    cdef public long long _taken
    cdef public long long acked
    cdef public long long assumed
    cdef public long long base
    cdef public list entries
    cdef public long long maybe_delivered
    cdef public str prompt
    cdef public long long sent
    cdef public long long shared
    cdef public long long size

    cpdef bint append(self, item, str delivery, double now, long long size=*) except -1
    cpdef object add(self, entry)
    cpdef bint add_shared(self, entry) except -1
    cpdef object _share(self, entry)
    cpdef bint crowded(self) except -1
    cpdef object take(self, long long limit)
    cpdef object ack(self, long long seq)
    cpdef object prove(self, long long seq)
    cpdef object since(self, long long seq)
    cpdef object _drop(self, long long count)
