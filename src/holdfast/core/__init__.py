"""The vocabulary and the tools that every part of the house shares. Imports nothing of ours."""
