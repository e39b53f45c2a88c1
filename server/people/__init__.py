"""Who a person is: by a secret that only they know, or by a signature of their key. See docs/people.md.

register     the registered people in the store, and how wrong guesses are slowed down
hashing      a secret as it is kept
known        how the server knows a person who acts
signatures   what a person signs, and how OpenSSH verifies it
"""
