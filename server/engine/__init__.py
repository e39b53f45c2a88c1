"""Who runs gates: a port, and who stands behind it on one machine and in a team.

port       work, is_busy: what any engine offers
jobs       from a record to the job that a runner judges, and what of it is known already
runners    runner processes, forked by a nursery
execution  one start of an evaluation: under a token, with a heartbeat, finished by conditional write
judging    an evaluation of a stage, from its job to what is decided by it
landing    merge, judge the merged tree, move the target, recover
embedded   the server's own engine: slots for all agents of the repository

distributed   a worker's engine: evaluations that a queue delivers to any number of machines
queue         the queue: Procrastinate's jobs in the same PostgreSQL
redelivery    evaluations that nobody runs, though their rows say so or their jobs are gone
serving       what a team's server does itself: it moves the target

Enqueueing and cancelling are rows in the deciding transaction (`Tx.enqueue`, `Tx.cancel_evaluation`), so an
evaluation exists exactly when the decision does.
"""
