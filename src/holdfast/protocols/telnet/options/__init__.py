"""The options, one file each. A role's table says which it performs and asks for."""
