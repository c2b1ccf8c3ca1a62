"""The commands of the language: a package for each context, a module for each family."""
