"""Decides: what may happen to a change, and what the gates find about a commit. Imports only `schemas`.

The machine, pure: no clock, no files, no processes
    transitions  the table of stage states
    commands     what may be asked of a change
    lifecycle    decide: command -> events or refusal (precedence, decision, resubmission, settlement, questions,
                 reviewing, landing: its rooms)
    reasons      why something does not move, and what would unlock it
    evolve       event -> next record (stage_steps: what it makes of one stage)
    approvals    what people are still to approve
    invariants   what always holds of a record (step_invariants: between two)
    verdict      outcomes of gates -> outcome of a stage
    graph        stages and their needs
    paths        globs: what a stage may write
    patterns     regular expressions of the policy, none that could run for ever

The policy: `gatewright.yaml` of a trusted commit
    policy           load, digest, plan (policy_source: of a commit of the artifact store)
    pipeline_file    from text to models (yaml_source, pipeline_shapes, pipeline_gates, pipeline_rules, pipeline_traces,
                     shell_text)
    protection       what a commit must not change unasked (tables; found by judged_words, recipes, reached,
                 links, shadows)

The user's repository
    repository   open, resolve, move the target (bring_along, worktree, problems; tips: where branches stand)
    workspaces   one worktree per lease (snapshot, included, populating, files)
    here         the person's own checkout as a workspace (occupation: whose it is; laying: what a stage builds on;
                 uncommitted, untouched: what the person had; changed_here: what was changed since)

Artifacts: commits in a store of our own
    artifacts    fetch, read, compare, merge (objects, transfer, history, walk, trees, writing, git)
    checkout     pristine and private copies of a commit (slot, index_file)
    filling      what stands there for submodules and files in LFS (placeholders, submodules, lfs)

Running programs
    process      one program, bounded, with nothing left behind (launcher, launching, request, supervisor,
                 descendants, disk, capture, endings)
    sandbox      what a program may touch: the best way that works here (reach: the value; installations: by default;
                 bubblewrap, landlock with fence, seatbelt: the ways)
    environment  what `setup` makes; installing: what `install` does (environment_cache, layer, stand_ins,
                 server_settings, setup_secrets, progress, locks)
    reports/     what programs report, one reader a format (report_file: the file; text)

Judging
    contract     the job, the messages, what a kind is
    specimens    trees on which gates are proved (planting: what is put there so that a gate objects)
    runner       judge one job: all its gates (runner_child: in a process of its own, forked by runner_nursery)
    making       run the command of a `run:` stage and commit what it wrote (written: what a program wrote into a tree)
    submission   what the gates of one job share: programs in places (place_maker) of commits (commit_reader);
                 scratch: its folders
    regime       the rules that a commit is judged by, put back
    findings     problems -> findings -> evidence
    objections   what a review says of a commit -> problems
    looking_away what makes checkers look away (suppressions)
    schema_child documents against a JSON Schema, in a process of its own (data_documents: reads them,
                 schema_sample: makes one up)
    kinds/       one file a kind
    testing/     the `test` kind: runs, comparison with the base, judgement
"""
