"""Pristine copies of a commit.

slot          a folder that holds one commit after the other
index_file    git's index, written by us
filling       what stands there for submodules and files in LFS (placeholders, submodules, lfs)
"""
