"""The store of artifacts, room by room.

objects   ids, entries, what is wrong with an artifact
transfer  from the user's repository into the store, every object checked
history   who descends from whom
walk      through trees, with budgets (trees: their entries)
writing   blobs, trees, commits
"""
