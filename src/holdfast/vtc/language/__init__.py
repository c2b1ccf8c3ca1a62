"""The language: syntax, commands, macros, expressions, and what checks and explains them."""
