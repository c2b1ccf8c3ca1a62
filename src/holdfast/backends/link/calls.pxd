from holdfast.backends.link.instance cimport Instance
from holdfast.sessions.port cimport SessionPort


cdef class Calls:
    cdef public Instance _instance
    cdef public object _instances
    cdef public SessionPort _port
    cdef public object dispatch

    cpdef object _emit(self, list outputs)
    cpdef object _applied(self, list marks)
