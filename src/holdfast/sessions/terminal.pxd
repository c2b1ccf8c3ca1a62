from holdfast.sessions.session cimport Session


cdef class TerminalSession(Session):
    pass
