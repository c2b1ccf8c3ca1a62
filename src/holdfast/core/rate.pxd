cimport cython


cdef class Rate:
    cdef public double interval
    cdef public double tolerance


cdef class Flow:
    cdef double _bytes_due
    cdef double _messages_due
    cdef object _rates

    @cython.locals(message_rate=Rate, byte_rate=Rate, messages_due=double, bytes_due=double)
    cpdef bint admit(self, long long messages, long long size, double now) except -1
