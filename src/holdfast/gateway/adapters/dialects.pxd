cdef class WholeMessages:
    pass


cdef class PlainDialect(WholeMessages):
    cdef public bytes _frames
    cdef public object _outputs

    cpdef list read(self, message)


cdef class HoldfastDialect(WholeMessages):
    cdef public object _decode
    cdef public object _encode
    cdef public bint _msgpack
    cdef public object _outputs
    cdef public list _parts

    cpdef list read(self, message)
    cpdef bytes write(self, core, long long first, outputs)
    cpdef bytes _write_again(self, frame, long long first)
