cpdef bytes encode_batch(str method, list entries, long long bytes_max)
