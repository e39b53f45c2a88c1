"""The store of artifacts, room by room.

objects   ids, entries, what is wrong with an artifact
transfer  between the user's repository and the store (copying: what an agent's commit adds, every object checked)
history   who descends from whom
walk      through trees, with budgets (trees: their entries)
writing   blobs, trees, commits
"""
