"""The small processes between a runner and each program that it starts; standard library only.

launching    the runner's side of all that
launcher     forks a supervisor for each program
supervisor   stands over one program until nothing of it is left
request      what it is asked, and how that ended
fence        what the program may touch, taken away from inside
descendants  the program's own children, wherever they hid
disk         how much it writes
capture      what it prints, bounded
endings      how it ended, in words
"""
