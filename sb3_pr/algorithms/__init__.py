"""The algorithms, a module for each, named as on the command line; what is particular to one stands in its record."""
