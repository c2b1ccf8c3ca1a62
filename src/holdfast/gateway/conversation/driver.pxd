from holdfast.gateway.conversation.intake cimport Intake
from holdfast.gateway.conversation.output cimport Attachment


cdef class Driver:
    cdef public object adapter
    cdef public Attachment attachment
    cdef public object capabilities
    cdef public object connection
    cdef public object context
    cdef public Intake intake
    cdef public object listener
    cdef public long long login_attempts
    cdef public object phase
    cdef public object proof
    cdef public long long waiting
    cdef public double wake
    cdef public bint wrong_code

    cpdef object received(self, data)
    cpdef object _handle(self, list events, double now)
    cpdef object send(self)
