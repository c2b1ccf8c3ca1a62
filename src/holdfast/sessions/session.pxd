from holdfast.sessions.durable_state cimport DurableState


cdef class Session(DurableState):
    cdef public bint _ready
    cdef public long long _unsent_bytes_max
    cdef public object backend
    cdef public long long connection
    cdef public object consumer
    cdef public object facts
    cdef public long long generation
    cdef public bint hides
    cdef public bint lagging
    cdef public object network
    cdef public double paced
    cdef public bint resumable
    cdef public object route
    cdef public object viewers

    cpdef long long deliverable(self) except -1
    cpdef object emit(self, item, str delivery, double now, long long size=*)
    cpdef object emit_shared(self, entry)
    cpdef object deliver(self)
    cpdef object relieve(self)
    cpdef object receive(self, item)
    cpdef object receive_numbered(self, long long c, item)
    cpdef long long applied(self, long long cseq) except -1
    cpdef object committed(self, record)
