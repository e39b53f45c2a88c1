"""What `setup` makes, once for each key.

installing         what `install` does
environment_cache  what was made, by key (layer: over what the machine has)
stand_ins          the project's own packages, in the place of what was installed
server_settings    what the person who runs the server allows
setup_secrets      what only `setup` is told
progress           how it is told while it goes on
locks              one maker at a time
"""
