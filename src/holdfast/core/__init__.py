"""The vocabulary and the tools of all packages. Imports no other package of Holdfast."""
