"""Decides: what may happen to a change, and what the gates find about a commit. Imports only `schemas`.

A name is a door; the folder behind it holds its rooms.

The machine, pure: no clock, no files, no processes
    lifecycle    decide: command -> events or refusal (machine/)
    verdict      outcomes of gates -> outcome of a stage
    graph        stages and their needs
    paths        globs: what a stage may write
    patterns     regular expressions of the policy, none that could run for ever

The policy: `gatewright.yaml` of a trusted commit
    policy       load, digest, plan (policies/)
    protection   what a commit must not change unasked (guarded/)

The user's repository
    repository   open, resolve, move the target
    workspaces   one worktree per lease (worktrees/)
    remote/      or the repository that a team shares, and our mirror of it

Artifacts: commits in a store of our own
    artifacts    fetch, read, compare, merge (artifact_store/; git: the program)
    checkout     pristine and private copies of a commit (checkouts/)

Running programs
    process      one program, bounded, with nothing left behind (programs/)
    sandbox      what a program may touch: the best way that works here (isolation/)
    environment  what `setup` makes (preparation/)
    files        written whole or not at all
    text         what programs and people wrote, made fit to show
    reports/     what programs report, one reader a format (report_file: the file)

Judging
    contract     the job, the messages, what a kind is
    runner       judge one job: all its gates (judging/; runner_child: in its own process, forked by runner_nursery)
    regime       the rules that a commit is judged by, put back
    findings     problems -> findings -> evidence
    kinds/       one file a kind
    testing/     the `test` kind: runs, comparison with the base, judgement
"""
