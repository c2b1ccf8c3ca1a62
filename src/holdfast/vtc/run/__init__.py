"""Runs of scripts: one script, many in a row, side by side, and in VTest2's words."""
