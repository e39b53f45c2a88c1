"""Chaos over several hosts: `make team-chaos MINUTES=1 SEED=word`. See docs/team.md, Proof.

__main__  the arguments, the enclosure, what is printed
enclosure a run's own namespaces: whatever ends it, the system takes its processes, mounts and networks away
network   hosts, each a network of its own, behind a router that cuts links between any two
site      what stands on them: PostgreSQL, the git remote, servers, workers; and who restarts what was killed
agent     one life of one agent: `tests/chaos/worker.py` over HTTP and with a clone (caller: its connection)
saboteur  kills, stops, cuts, restarts, fills and declines, drawn from the seed
person    what people decide
campaign  the whole run: chaos, healing, until everything has ended, then the audit of store and remote
"""
