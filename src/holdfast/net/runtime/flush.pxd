cdef class WriteCoalescer:
    cdef public list _due
    cdef public list _flushing
    cdef public object _loop
    cdef public object _may_flush
    cdef public bint _scheduled
    cdef public object _turns

    cpdef object add(self, action)
    cpdef object flush_later(self, connection)
