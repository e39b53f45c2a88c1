"""Programs that run under the project's own Python, started as files with `-I`; nothing here is imported by gatewright.

They use the standard library alone, in a syntax that Python 3.8 reads, and report on standard output or into a file.
"""
