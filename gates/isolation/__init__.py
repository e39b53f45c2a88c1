"""The ways to keep a program to what it may touch.

reach          what it may touch, as a value (installations: what is there by default)
bubblewrap     namespaces, by bwrap
landlock       rules of the kernel, without it
seatbelt       macOS
"""
