"""What all tests need of the machine."""

from holdfast.net.runtime.loop import allow_files
from tests.programs import look_everywhere

allow_files()  # a thousand clients stand in one process
look_everywhere()
