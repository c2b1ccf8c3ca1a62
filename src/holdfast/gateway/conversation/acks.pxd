cdef class AckPacer:
    cdef public long long asked
    cdef public double at
    cdef public double due
    cdef public long long newest
    cdef public bint refused
    cdef public long long told

    cpdef bint note(self, long long cin, double now) except -1
