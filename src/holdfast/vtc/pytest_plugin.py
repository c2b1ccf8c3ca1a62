"""A pytest plug-in: `.vtc` files are collected as tests."""
