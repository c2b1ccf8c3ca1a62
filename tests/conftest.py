"""What all tests need of the machine."""

from holdfast.net.loop import allow_files

allow_files()  # a thousand clients stand in one process
