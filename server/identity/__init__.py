"""Who calls over HTTP, and what they may do. See docs/team.md.

scopes     what a caller may do: work, review, approve, admin
caller     who calls, as authenticated, and as which person (principals: how that is written)
tokens     tokens that people issue: what is kept of them, how one is found
jwks       the public keys of an OAuth issuer, from a file or a URL
oauth      the access tokens that such an issuer signs
verifier   one question for both, in the terms of the SDK
problems   what can be wrong with knowing that
"""
