"""What things are: no I/O, no clock, no randomness.

ids        names and numbers: change, stage, commit, lease
pipeline   what should hold: `gatewright.yaml` as models
records    what happened: the change record, attempts, evidence, findings (plan: what it keeps of the policy)
events     each single thing that can happen to a change (change_events: as a whole; stage_events: to one stage)
counted    numbers of things in sentences
refusals   every refusal code with all of its wording (access: of those whom a token does not let)
arguments  what the eleven tools take
decisions  what people decide: what their commands take, are shown and answer
replies    what they answer (fitting: within what clients show; prose: as text)
views      what resources tell besides
"""
