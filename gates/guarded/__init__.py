"""What a commit must not change unasked, by what finds it.

tables        the files that every project has
judged_words  the words of the commands that judge
recipes       what task runners are told
reached       the files that a command comes by (links: through links)
shadows       what would be imported in the place of something else
"""
