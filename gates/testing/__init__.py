"""How a test run is made and judged.

`area` says which files are tests, `pytest_run` and `report_run` run them, `outcome` is what a run said, `judgement`
compares runs, `flakes` gives a failing test its second chance, `judging` makes the runs that an artifact needs, and
`wording` says what came of it.
"""
