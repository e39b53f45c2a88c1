"""The machine behind `lifecycle`, pure: no clock, no files, no processes.

transitions   the table of stage states
commands      what may be asked of a change
decision      what is being decided: a record, and the events so far
precedence    which refusal comes first
resubmission  what may be handed in again
settlement    what a verdict does to a stage
questions     what only people decide
reviewing     reviews (independence: what makes two reviewers two); approvals: those of people
landing       landing, and what hands it back
reasons       why something does not move, and what would unlock it
evolve        event -> next record (stage_steps: what it makes of one stage)
invariants    what always holds of a record (step_invariants: between two)
"""
