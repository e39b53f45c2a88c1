"""The store of artifacts, room by room.

objects   ids, the items of trees, what is wrong with an artifact (readers: of objects, by one git process)
holdings  which commits there are, how others come in, the refs that keep them
transfer  between the user's repository and the store (copying: what an agent's commit adds, every object checked)
ranges    the commits of a range and what they change (history: who descends from whom)
walk      through trees, with budgets (trees: their entries)
writing   blobs, trees, commits
"""
