cdef class Room:
    cdef public double bytes_max
    cdef public object make_room
    cdef public long long used
