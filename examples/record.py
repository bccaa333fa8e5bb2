#!/usr/bin/env python3
"""A client of a node's API that keeps its own key: it puts a record on the chain and fetches the receipt.

    examples/record.py TEXT [--tag TAG] [--url http://127.0.0.1:7788] [--wallet NAME] [--quipu PROGRAM]

The node prepares the transaction, `quipu wallet sign` signs it where the wallet is, and the node takes it. Then this program waits
for the block and writes `receipt-ID.json`, which `quipu verify` proves anywhere. Python's standard library is enough.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request


def ask(url, path, body=None, token=None):
    """The bytes of an answer. Errors are problem documents: their `code` is stable, their `detail` is for people."""
    request = urllib.request.Request(url + path, data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        sys.exit(f"{problem['code']}: {problem['detail']}")


def wallet(program, *arguments):
    """What `quipu wallet …` answers. QUIPU_WALLET_PASSWORD opens a wallet that has a password."""
    done = subprocess.run([program, "--json", "wallet", *arguments], stdout=subprocess.PIPE)
    answer = json.loads(done.stdout)
    return answer["result"] if answer["ok"] else sys.exit(answer["error"]["message"])


def tips(url, token):
    """Yields each time that there is a new best block, and first of all."""
    request = urllib.request.Request(url + "/api/v1/events")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    # The node sends a line at least every 15 s.
    with urllib.request.urlopen(request, timeout=60) as stream:
        for line in stream:
            # `hello` comes first; `reset` says that some events were lost, so the state is to be asked for anew.
            if line.strip() in (b"event: hello", b"event: tip", b"event: reset"):
                yield


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--tag", action="append", default=[])
    parser.add_argument("--url", default="http://127.0.0.1:7788")
    parser.add_argument("--wallet", default="default")
    parser.add_argument("--quipu", default="quipu", help="the program")
    parser.add_argument("--token", default=os.environ.get("QUIPU_HTTP_TOKEN"), help="for a node on another machine")
    given = parser.parse_args()

    key = wallet(given.quipu, "show", given.wallet)["public_key"]
    wanted = {"public_key": key, "record": {"text": given.text, "tags": given.tag}}
    prepared = json.loads(ask(given.url, "/api/v1/transactions/prepare", wanted, given.token))
    with tempfile.NamedTemporaryFile("w", suffix=".hex") as file:
        file.write(prepared["signing_bytes"])
        file.flush()
        signature = wallet(given.quipu, "sign", given.wallet, file.name)["signature"]
    signed = {"transaction": prepared["transaction"], "signature": signature}
    sent = json.loads(ask(given.url, "/api/v1/transactions", signed, given.token))["id"]
    print(f"sent {sent}")

    for _ in tips(given.url, given.token):
        found = json.loads(ask(given.url, f"/api/v1/transactions/{sent}", token=given.token))
        if found["state"] == "in_block":
            break
    receipt = ask(given.url, f"/api/v1/transactions/{sent}/receipt", token=given.token)
    name = f"receipt-{sent[:8]}.json"
    # As it came: a receipt has exactly one text.
    with open(name, "wb") as file:
        file.write(receipt)
    print(f"in block {found['height']}: {name}")


if __name__ == "__main__":
    main()
