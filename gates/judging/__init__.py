"""What the gates of one job share.

submission     the job's artifact, and programs in places (place_maker) of commits (commit_reader)
scratch        its folders
making         run the command of a `run:` stage and commit what it wrote (written: what a program wrote into a tree)
objections     what a review says of a commit -> problems
merging        what became of a merge: conflicts that were left, and what is gone again
looking_away   what makes checkers look away (suppressions)
specimens      trees on which gates are proved (planting: what is put there so that a gate objects)
schema_child   documents against a JSON Schema, in a process of its own (data_documents: reads them,
               schema_sample: makes one up)
"""
