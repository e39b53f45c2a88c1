"""The store of artifacts, room by room.

objects   ids, the items of trees, what is wrong with an artifact (readers: of objects, by one git process)
transfer  between the user's repository and the store (copying: what an agent's commit adds, every object checked)
history   who descends from whom
walk      through trees, with budgets (trees: their entries)
writing   blobs, trees, commits
"""
