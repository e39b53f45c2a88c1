"""Checkouts that people and agents work in.

worktree     one of git's worktrees
bring_along  a checkout of the target follows it
problems     what stands in the way of that
populating   a workspace before its agent comes (included: untracked files that it is given)
snapshot     what lies in a workspace -> a commit
here         the person's own checkout as a workspace (occupation: whose it is; laying: what a stage builds on;
             uncommitted, untouched: what the person had; changed_here: what was changed since)
moved        workspaces of a repository that was moved
tips         where branches stand
excluded     what git is to ignore in all of them
"""
