cpdef Py_ssize_t size_of(item) except -1
cpdef list lines_of(str text)
cpdef Py_ssize_t utf8_bytes(str text) except -1
