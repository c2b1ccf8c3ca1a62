cdef class Held:
    cdef public long long cost
    cdef public bint eof
    cdef public list events
    cdef public bint full
    cdef public double tell_at
    cdef public double turn
    cdef public object unread


cdef class Intake:
    cdef public double bytes_due
    cdef public double commands_due
    cdef public Held held
    cdef public object network
    cdef public long long owed
    cdef public object reservation
    cdef public long long shared
    cdef public bint told
