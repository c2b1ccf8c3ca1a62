cpdef Py_ssize_t check_output(item, long long bytes_max) except -1
