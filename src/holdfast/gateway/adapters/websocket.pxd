from holdfast.core.rate cimport Flow


cdef class WebSocketAdapter:
    cdef public bint _accepted
    cdef public object _core
    cdef public object _dialect
    cdef public Flow _flow
    cdef public long long _maybe_delivered
    cdef public long long _message
    cdef public object _message_due
    cdef public object _settings
    cdef public object _spans
    cdef public object credential
    cdef public object facts
    cdef public object forwarded
    cdef public bint handshake_failed
    cdef public long long slice_bytes
    cdef public long long tokens
    cdef public bint unread

    cpdef list receive_data(self, bytes data, double now)
    cpdef list _translate(self, list received)
    cpdef bytes data_to_send(self)
    cpdef bytes encode(self, long long first, items)
