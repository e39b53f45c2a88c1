"""What every store promises about tokens, whatever database it stands on."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gatewright.server.store import Store, TokenRow
from gatewright.server.store.tx import Tx

from .conftest import OpenStore
from .workbench import NOW, RULE_BROKEN

DAY = timedelta(days=1)
ROW = TokenRow("ab" * 32, "tk-abab", "ada", ("work", "review"), NOW, "person:ann", NOW + DAY)


def test_a_token_is_found_by_its_digest_and_by_its_id_as_it_was_kept(store: Store, open_again: OpenStore) -> None:
    store.run(lambda tx: tx.add_token(ROW))

    again = open_again()

    assert again.read(lambda tx: tx.find_token(ROW.digest)) == ROW
    assert again.read(lambda tx: tx.find_token_named(ROW.id)) == ROW
    assert again.read(lambda tx: tx.find_token("cd" * 32)) is None
    assert again.read(lambda tx: tx.find_token_named("tk-cdcd")) is None


def test_a_token_is_revoked_once_and_stays_to_be_told(store: Store) -> None:
    store.run(lambda tx: tx.add_token(ROW))

    first = store.run(lambda tx: tx.revoke_token(ROW.id, by="person:ann", now=NOW + DAY / 2))
    second = store.run(lambda tx: tx.revoke_token(ROW.id, by="person:bob", now=NOW + DAY))
    none = store.run(lambda tx: tx.revoke_token("tk-cdcd", by="person:bob", now=NOW))

    assert (first, second, none) == (True, False, False)
    revoked = replace(ROW, revoked_at=NOW + DAY / 2, revoked_by="person:ann")
    assert store.read(lambda tx: tx.find_token(ROW.digest)) == revoked


def test_tokens_are_listed_newest_first_and_the_live_ones_counted(store: Store) -> None:
    newer = replace(ROW, digest="cd" * 32, id="tk-cdcd", issued_at=NOW + DAY / 2, expires_at=NOW + 3 * DAY)

    def fill(tx: Tx) -> None:
        for row in (ROW, newer):
            tx.add_token(row)

    store.run(fill)

    assert [row.id for row in store.read(lambda tx: tx.tokens(limit=9))] == ["tk-cdcd", "tk-abab"]
    assert [row.id for row in store.read(lambda tx: tx.tokens(limit=1))] == ["tk-cdcd"]
    assert store.read(lambda tx: tx.count_live_tokens(NOW)) == 2
    assert store.read(lambda tx: tx.count_live_tokens(NOW + DAY)) == 1, "at its expiry a token is over"
    store.run(lambda tx: tx.revoke_token("tk-cdcd", by="person:ann", now=NOW))
    assert store.read(lambda tx: tx.count_live_tokens(NOW + DAY)) == 0


@pytest.mark.parametrize("twin", [replace(ROW, id="tk-other"), replace(ROW, digest="ef" * 32)], ids=["digest", "id"])
def test_two_tokens_never_share_a_digest_or_an_id(store: Store, twin: TokenRow) -> None:
    store.run(lambda tx: tx.add_token(ROW))

    with pytest.raises(RULE_BROKEN):
        store.run(lambda tx: tx.add_token(twin))

    assert store.read(lambda tx: tx.tokens(limit=9)) == (ROW,)
