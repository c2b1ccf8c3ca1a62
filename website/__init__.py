"""What the site shows beside the pages of docs/: generated from the program and the files."""
