"""A round with the client that openapi-python-client makes of the node's description: mine, record, find, receipt, verify.

    round.py URL TOKEN QUIPU

mypy checks this file against the client. Each answer is checked against the client's types as well, with all that is in it,
so that nothing is described otherwise than it is, and nothing is left out.
"""

import subprocess
import sys
import types
import typing
from pathlib import Path

import attrs
from quipu_client import AuthenticatedClient, models
from quipu_client.api.accounts import account, history
from quipu_client.api.chain import block, blocks, brief_blocks, headers
from quipu_client.api.node import mine, parameters, set_mining, status, wallets
from quipu_client.api.records import record, records, search
from quipu_client.api.transactions import one, pending, receipt
from quipu_client.types import UNSET, Response, Unset

NAMES = vars(models) | {"Unset": Unset}


def fits(value: typing.Any, hint: typing.Any, where: str) -> None:
    """Whether a value has the type that it is declared to have."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        kinds = [typing.get_origin(one) or one for one in typing.get_args(hint)]
        hint = next((one for one, kind in zip(typing.get_args(hint), kinds) if isinstance(value, kind)), None)
        assert hint, f"{where} is {value!r}, which is none of {kinds}"
        return fits(value, hint, where)
    if origin is list:
        assert isinstance(value, list), f"{where} is {value!r}, not a list"
        for at, element in enumerate(value):
            fits(element, typing.get_args(hint)[0], f"{where}[{at}]")
        return None
    assert origin is None and type(value) is hint, f"{where} is {value!r}, not {hint}"
    if not attrs.has(hint):
        return None
    beside = getattr(value, "additional_properties", {})
    assert not beside, f"{where} has fields that are not described: {beside}"
    hints = typing.get_type_hints(hint, localns=NAMES)
    for field in attrs.fields(hint):
        if field.name != "additional_properties":
            fits(getattr(value, field.name), hints[field.name], f"{where}.{field.name}")


T = typing.TypeVar("T")


def good(answer: Response[typing.Any], wanted: type[T]) -> T:
    """The content of an answer that must be of this type, and all of it as described."""
    content = answer.parsed
    assert isinstance(content, wanted), f"{answer.status_code}: {content}"
    fits(content, wanted, wanted.__name__)
    return content


def rows(answer: Response[typing.Any], wanted: type[T]) -> list[T]:
    """The same of a list."""
    assert isinstance(answer.parsed, list), f"{answer.status_code}: {answer.parsed}"
    fits(answer.parsed, types.GenericAlias(list, wanted), wanted.__name__)
    return answer.parsed


def main(url: str, token: str, quipu: str) -> None:
    client = AuthenticatedClient(base_url=url, token=token)
    before = good(status.sync_detailed(client=client), models.Status)
    assert before.network == "dev" and before.mining.mode is models.MiningMode.OFF
    network = good(parameters.sync_detailed(client=client), models.Network)
    assert network.genesis == before.genesis

    mined = good(mine.sync_detailed(client=client, body=models.Mine(count=2)), models.Mined)
    assert [place.height for place in mined.blocks] == [before.height + 1, before.height + 2]
    wanted = models.NewRecords(text="from Python", tags=["python"])
    made = good(record.sync_detailed(client=client, body=wanted), models.RecordMade)
    waiting = good(pending.sync_detailed(client=client, limit=5), models.PendingPage)
    assert [(row.id, row.type_) for row in waiting.transactions] == [(made.id, models.Kind.RECORD)]
    setting = models.SetMining(mode=models.MiningMode.OFF)
    assert good(set_mining.sync_detailed(client=client, body=setting), models.Mining).mode is models.MiningMode.OFF
    good(mine.sync_detailed(client=client, body=models.Mine(count=1)), models.Mined)

    found = good(records.sync_detailed(client=client, tag="python", limit=1), models.RecordPage)
    assert [(row.id, row.text) for row in found.records] == [(made.id, "from Python")]
    transaction = good(one.sync_detailed(made.id, client=client), models.OneTransaction)
    assert transaction.state is models.TransactionState.IN_BLOCK and transaction.confirmations == 1
    owner = good(account.sync_detailed(before.address, client=client), models.AccountRow)
    assert made.sender == owner.address == before.address
    page = good(history.sync_detailed(owner.address, client=client), models.HistoryPage)
    assert models.Role.RECORDED in [role for row in page.entries for role in row.roles]
    standing = good(block.sync_detailed(str(transaction.height), client=client), models.StandingBlock)
    assert standing.id == transaction.block and standing.best_chain
    assert good(blocks.sync_detailed(client=client), models.BlockPage).length == before.height + 4
    assert good(brief_blocks.sync_detailed(client=client), models.BriefPage).blocks[0].id == standing.id
    assert rows(headers.sync_detailed(client=client), models.HeaderRow)[-1].id == standing.id
    assert any(wallet.current for wallet in rows(wallets.sync_detailed(client=client), models.WalletRow))
    hits = good(search.sync_detailed(client=client, q="python"), models.SearchPage).hits
    assert models.HitKind.TAG in [hit.kind for hit in hits]

    proof = receipt.sync_detailed(made.id, client=client)
    typed = good(proof, models.Receipt)
    assert typed.genesis == before.genesis and typed.tip == standing.id and typed.form == models.ReceiptForm.FULL
    # Byte for byte as it came.
    Path("receipt.json").write_bytes(proof.content)
    subprocess.run([quipu, "verify", "receipt.json"], check=True)

    problem = good(one.sync_detailed("0" * 64, client=client), models.Problem)
    assert problem.code == "not_found" and problem.status == 404
    print(f"clients: Python mined, recorded and verified {made.id}")


if __name__ == "__main__":
    main(*sys.argv[1:])
