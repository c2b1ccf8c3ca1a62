"""Mutation testing: does a test of the mirrored folder fail when a line is changed?

The mutations are those of mutmut. Its own runner mutates whole files, picks tests by coverage and
knows no seed; here a sample is drawn by a seed, and each mutant meets the tests that mirror its
module and no others.
"""
