cpdef Py_ssize_t cost_of(event, limits) except -1
