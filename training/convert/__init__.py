"""Published data sets to the trainer's format: python -m training.convert FORMAT SRC OUT.

A format is a file in configs/convert/: which module here reads it, what its files and columns are called, and which of
its labels become which of ours. form.py reads such a file; examples.py splits and writes.
"""
