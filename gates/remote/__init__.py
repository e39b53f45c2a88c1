"""The repository that a team shares: agents push to it, servers fetch from it and move its target branch.

remote      ask it for refs, fetch from it, push to it
address     where it lies, checked, and shown without what opens it
exchange    the settings and the environment that git talks to it with
probing     whether this account may do there what servers and workers do
pauses      do not ask again at once what has just failed
mirror      a bare repository of our own that follows it, in the place of the user's
quarantine  a commit of it, on this machine and in none of our repositories yet
problems    what can be wrong with it
"""
