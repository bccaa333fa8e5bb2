"""Receipts, section 17 of ../README.md. A part of check.py, and as slow and simple."""

import base64
import bisect
import json
import re

from check import (
    HEADER, SIGNED, Broken, address_text, amount_text, check_form, check_signature, compact, decode, demand, expand,
    history_leaf, leaf, load, make_network, parse_address, parse_amount, read_record, refuse, same, sender_of, sha256,
    signing_bytes, tagged, target_after, unique, work,
)

TEXT_BYTES_MAX = 8388608
TRANSACTION_BYTES_MAX = 4228
HEADERS_MAX = OPENED_MAX = 65536
FIELDS = ["quipu_receipt", "network", "genesis", "transaction", "form", "proof", "tip"]
PARAMETERS = ["name", "genesis_time", "target_spacing", "half_life", "grace", "easiest_target", "future_time_max", "subsidy",
              "fee_min", "block_bytes_max", "opening_balances", "contracts"]
GAS_LIMITS = ["block_gas", "transaction_gas", "chain_id"]
STRING_OR_SPACE = r'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+'
NO_OUTCOME = bytes(32)
SAMPLES = 24  # in each octave


class Unreadable(Exception):
    """The text is no receipt; the argument is a word for why."""


def form(condition):
    if not condition:
        raise Unreadable("form")


# The text

def read_receipt(text):
    """The fields, with bytes in place of Base64, and the proof's parts in place of its bytes."""
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise Unreadable("too_long")
    try:
        value = json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise Unreadable("form") from None
    form(isinstance(value, dict))
    version = value.get("quipu_receipt")
    form(type(version) is int and 0 <= version < 2**64)
    if version != 2:
        raise Unreadable("version")
    form(set(value) == set(FIELDS))
    parameters = value["network"]
    read_parameters(parameters)
    for name in ("genesis", "tip"):
        form(isinstance(value[name], str) and re.fullmatch("[0-9a-fA-F]{64}", value[name], re.ASCII))
    form(value["form"] in ("full", "sampled", "witnessed"))
    transaction, proof = from_base64(value["transaction"]), from_base64(value["proof"])
    form(len(transaction) <= TRANSACTION_BYTES_MAX)
    receipt = {**value, "transaction": transaction, "proof": read_proof(value["form"], proof)}
    # One text for each receipt: fields in order, digits in lower case, numbers and amounts as they are written.
    amounts = {name: amount_text(parse_amount(parameters[name])) for name in ("subsidy", "fee_min")}
    again = {name: value[name] for name in FIELDS}
    again["network"] = {name: amounts.get(name, parameters[name]) for name in PARAMETERS}
    again["network"]["opening_balances"] = [
        {"address": address_text(parse_address(one["address"])), "amount": amount_text(parse_amount(one["amount"]))}
        for one in parameters["opening_balances"]
    ]
    if parameters["contracts"] is not None:
        again["network"]["contracts"] = {name: parameters["contracts"][name] for name in GAS_LIMITS}
    again["genesis"], again["tip"] = value["genesis"].lower(), value["tip"].lower()
    if re.sub(STRING_OR_SPACE, r"\1", text) != compact(again):
        raise Unreadable("not_canonical")
    return receipt


def read_parameters(parameters):
    form(isinstance(parameters, dict) and set(parameters) == set(PARAMETERS))
    for name in PARAMETERS:
        if name in ("name", "subsidy", "fee_min"):
            form(isinstance(parameters[name], str))
        elif name == "opening_balances":
            form(isinstance(parameters[name], list))
            for one in parameters[name]:
                form(isinstance(one, dict) and set(one) == {"address", "amount"})
                form(all(isinstance(part, str) for part in one.values()))
                form(parse_address(one["address"]) is not None and parse_amount(one["amount"]) is not None)
        elif name == "contracts":
            limits = parameters[name]
            form(limits is None or isinstance(limits, dict) and set(limits) == set(GAS_LIMITS))
            form(limits is None or all(type(limit) is int and 0 <= limit < 2**64 for limit in limits.values()))
        else:
            bits = 32 if name in ("easiest_target", "block_bytes_max") else 64
            form(type(parameters[name]) is int and 0 <= parameters[name] < 2**bits)
    form(all(parse_amount(parameters[name]) is not None for name in ("subsidy", "fee_min")))
    form(not any(0xD800 <= ord(character) < 0xE000 for character in parameters["name"]))  # half a character is no text


def from_base64(text):
    form(isinstance(text, str))
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Unreadable("form") from None
    form(base64.b64encode(data).decode() == text)
    return data


# 17.1 The proof

class Reader:
    """Takes the parts of a proof off its bytes, one after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        form(self.at + count <= len(self.data))
        self.at += count
        return self.data[self.at - count:self.at]

    def hash(self):
        return self.take(32)

    def varint(self, limit=2**64):
        number, shift = 0, 0
        while True:
            byte, = self.take(1)
            number |= (byte & 127) << shift
            form(number < limit)
            if byte < 128:
                form(byte or not shift)
                return number
            shift += 7
            form(shift < 128)

    def inclusion(self):
        """The place of the leaf, and each sibling on the way up with the side on which it stands."""
        position, count = self.varint(), self.varint()
        form(1 <= position < count <= 2**32)
        path, last = [], count - 1
        while last:
            if position % 2:
                path.append(("left", self.hash()))
            elif position < last:
                path.append(("right", self.hash()))
            # Otherwise it is the last of an odd number, and goes up as it is.
            position, last = position // 2, last // 2
        return path

    def outcome(self):
        tag, = self.take(1)
        form(tag < 2)
        if tag == 0:
            return NO_OUTCOME
        outcome = self.hash()
        form(outcome != NO_OUTCOME)
        return outcome

    def run(self, first, count):
        """Headers in their encoding, the first one at this height."""
        headers = []
        for height in range(first, first + count):
            if headers:
                parent, root, timestamp = sha256(headers[-1]), self.hash(), timestamp + self.varint()
            else:
                parent, root, timestamp = self.hash(), self.hash(), int.from_bytes(self.take(8), "little")
            form(timestamp < 2**64)
            head = (2).to_bytes(4, "little") + height.to_bytes(8, "little") + parent + root + timestamp.to_bytes(8, "little")
            headers.append(head + self.take(12))
        return headers

    def nodes(self, first, count, opened):
        """The nodes over `count` blocks from the height `first` on, by these two numbers; `opened` are heights in order."""
        at = bisect.bisect_left(opened, first)
        if at == len(opened) or opened[at] >= first + count:
            return {(first, count): (self.hash(), self.varint(count * (2**96 - 1) + 1))}
        if count == 1:
            return {}
        split = largest_power_below(count)
        return {**self.nodes(first, split, opened), **self.nodes(first + split, count - split, opened)}


def largest_power_below(count):
    return 1 << (count - 1).bit_length() - 1


def read_proof(kind, data):
    reader = Reader(data)
    proof = {"inclusion": reader.inclusion(), "height": reader.varint()}
    height = proof["height"]
    form(1 <= height)
    last = proof["last"] = height + reader.varint() - (kind == "full")
    form(height <= last < 2**32)
    proof.update(outcomes={}, bodies={}, nodes={}, opened=[height])
    if kind == "full":
        proof["context"] = reader.hash()
        first = max(0, height - 2)
        form(last - first + 1 <= HEADERS_MAX)
        proof["runs"] = [reader.run(first, last - first + 1)]
    elif kind == "witnessed" and height == last:
        proof["context"] = reader.hash()
        proof["runs"] = [reader.run(height, 1)]
    elif kind == "witnessed":
        proof["outcomes"][height] = reader.outcome()
        block = reader.run(height, 1)
        proof["outcomes"][last], proof["bodies"][last] = reader.outcome(), reader.hash()
        proof["runs"] = [block, reader.run(last, 1)]
        proof["nodes"] = reader.nodes(0, last, [height])
    else:
        read_samples(reader, proof)
    form(reader.at == len(data))
    return proof


def read_samples(reader, proof):
    height, last, opened = proof["height"], proof["last"], proof["opened"]
    tail = proof["tail"] = height + reader.varint()
    form(height < tail <= last)
    count = reader.varint()
    form(count <= OPENED_MAX)
    for _ in range(count):
        opened.append(opened[-1] + 1 + reader.varint())
        form(opened[-1] < tail)
    form(last - tail < HEADERS_MAX)
    needed = {max(0, x - back) for x in [*opened, tail] for back in range(3)} | set(range(tail, last + 1))
    form(len(needed) <= HEADERS_MAX)
    proof["runs"] = [reader.run(first, count) for first, count in runs_of(sorted(needed))]
    proof["outcomes"][height] = reader.outcome()
    for x in [*opened[1:], tail] + [last] * (tail < last):
        proof["outcomes"][x], proof["bodies"][x] = reader.outcome(), reader.hash()
    proof["nodes"] = reader.nodes(0, last, [*opened, *range(tail, last)])


def runs_of(heights):
    runs = []
    for height in heights:
        if runs and sum(runs[-1]) == height:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((height, 1))
    return runs


# 17.2 Verifying

def network_of_receipt(parameters):
    amounts = {name: str(parse_amount(parameters[name])) for name in ("subsidy", "fee_min")}
    spacing, block_bytes = parameters["target_spacing"], parameters["block_bytes_max"]
    demand(re.fullmatch("[a-z0-9-]{1,32}", parameters["name"], re.ASCII), "parameters")
    demand(expand(parameters["easiest_target"]) is not None and spacing > 0, "parameters")
    demand(16384 <= block_bytes <= 4194304, "parameters")
    openings, contracts = parameters["opening_balances"], parameters["contracts"]
    owners = [parse_address(one["address"]) for one in openings]
    demand(len(owners) <= 1024 and owners == sorted(set(owners)), "parameters")
    demand(all(parse_amount(one["amount"]) > 0 for one in openings), "parameters")
    if contracts is not None:
        demand(0 < contracts["transaction_gas"] <= contracts["block_gas"], "parameters")
        demand(contracts["chain_id"] <= 4503599627370476, "parameters")
    return make_network({**parameters, **amounts, "easiest_target": f"{parameters['easiest_target']:#010x}"})


def transaction_of_receipt(network, data):
    try:
        signed = decode(SIGNED, data, TRANSACTION_BYTES_MAX)
    except Broken:
        raise Broken("transaction") from None
    try:
        check_form(network, signed)
    except Broken:
        raise Broken("transaction_rule") from None
    try:
        check_signature(network, signed)
    except Broken:
        raise Broken("signature") from None
    return signed


def header_of(encoded):
    header = decode(HEADER, encoded)
    return {
        "id": sha256(encoded), "height": int(header["height"]), "root": bytes.fromhex(header["root"]),
        "timestamp": int(header["timestamp"]), "target": int(header["target"], 16),
    }


def check_run(network, run, retargets):
    for at, header in enumerate(run):
        if retargets and (at >= 2 or at == 1 and run[0]["height"] == 0):
            before = run[at - 1]["timestamp"] - run[at - 2]["timestamp"] if at >= 2 else network["spacing"]
            since = header["timestamp"] - run[at - 1]["timestamp"]
            demand(header["target"] == target_after(network, run[at - 1]["target"], before, since), "target")
        if header["height"] == 0:
            demand(header["id"] == network["genesis_id"], "not_genesis")
            continue
        bound = expand(header["target"])
        demand(bound is not None and bound <= expand(network["easiest"]), "target")
        demand(int.from_bytes(header["id"], "big") <= bound, "work")


class History:
    """What a proof shows of the tree over the chain: its nodes, and the headers of the blocks that are opened."""

    def __init__(self, nodes, headers):
        self.known, self.headers = dict(nodes), headers

    def below(self, height):
        """The root over all blocks below an opened one, or below the tip: its hash and its work."""
        return self.over(0, height)

    def over(self, first, count):
        if (first, count) not in self.known:
            self.known[first, count] = self.leaf(first) if count == 1 else self.above(first, count)
        return self.known[first, count]

    def leaf(self, height):
        header = self.headers[height]
        return history_leaf(header["id"], work(header["target"]))

    def above(self, first, count):
        split = largest_power_below(count)
        parts = [self.over(first, split), self.over(first + split, count - split)]
        data = b"".join(hash + work.to_bytes(16, "little") for hash, work in parts)
        return sha256(b"\x03" + data), sum(work for _, work in parts)


def root_of_inclusion(data, path):
    root = leaf(data)
    for side, sibling in path:
        root = sha256(b"\x01" + (sibling + root if side == "left" else root + sibling))
    return root


def check_samples(tip, total, below, tail, spans):
    """`below` and `tail` are the works below B and below the tail; `spans` those below and up to each opened block."""
    octaves = 0
    while total >> octaves > total - tail:
        octaves += 1
    for j in range(octaves):
        left, width = total - (total >> j), (total >> j) - (total >> j + 1)
        for i in range(SAMPLES):
            r = tagged("quipu sample 2", tip + j.to_bytes(4, "little") + i.to_bytes(4, "little"))
            point = left + (int.from_bytes(r[:16], "little") * width >> 128)
            demand(point < below or tail <= point or any(low <= point < high for low, high in spans), "samples")


def verify_receipt(receipt):
    network = network_of_receipt(receipt["network"])
    demand(network["genesis_id"].hex() == receipt["genesis"], "genesis")
    signed, proof, kind = transaction_of_receipt(network, receipt["transaction"]), receipt["proof"], receipt["form"]
    runs = [[header_of(encoded) for encoded in run] for run in proof["runs"]]
    headers = {header["height"]: header for run in runs for header in run}
    block, tip = headers[proof["height"]], headers[proof["last"]]
    body = root_of_inclusion(receipt["transaction"], proof["inclusion"])
    if not proof["nodes"]:
        demand(sha256(b"\x01" + proof["context"] + body) == block["root"], "path")
    for run in runs:
        check_run(network, run, kind != "witnessed")
    if proof["nodes"]:
        work_on_block = check_history(proof, headers, body, kind)
    else:
        work_on_block = sum(work(header["target"]) for height, header in headers.items() if height >= block["height"])
    demand(tip["id"].hex() == receipt["tip"], "tip")
    # Ancestors that stand there for a target alone are not proven to be above B.
    above = [height for height in headers if height >= proof.get("tail", 0) or height in proof["opened"]]
    above = [height for height in above if height > block["height"]]
    record = signed["action"].get("record")
    return {
        "network": receipt["network"]["name"], "genesis": receipt["genesis"],
        "id": sha256(signing_bytes(network, signed)).hex(), "sender": address_text(sender_of(signed)),
        "record": read_record(bytes.fromhex(record["data"])) if record else None, "form": kind,
        "height": str(block["height"]), "block": block["id"].hex(), "timestamp": str(block["timestamp"]),
        "parent_timestamp": None if kind == "witnessed" else str(headers[block["height"] - 1]["timestamp"]),
        "earliest": str(max(0, block["timestamp"] - network["future_time_max"])),
        "latest": str(headers[min(above)]["timestamp"]) if above else None,
        "confirmations": str(tip["height"] - block["height"] + 1), "work": str(work_on_block),
        "tip": receipt["tip"], "tip_height": str(tip["height"]), "tip_timestamp": str(tip["timestamp"]),
    }


def check_history(proof, headers, body, kind):
    """Whether each block that says so stands on the blocks of one tree; the work from B on."""
    history, bodies = History(proof["nodes"], headers), {proof["height"]: body, **proof["bodies"]}
    for height, outcome in sorted(proof["outcomes"].items()):
        context = leaf(history.below(height)[0] + outcome)
        reason = "path" if height == proof["height"] else "history"
        demand(sha256(b"\x01" + context + bodies[height]) == headers[height]["root"], reason)
    tip = headers[proof["last"]]
    total = history.below(proof["last"])[1] + work(tip["target"])
    below = {height: history.below(height)[1] for height in proof["outcomes"]}
    if kind == "sampled":
        spans = [(below[height], below[height] + work(headers[height]["target"])) for height in proof["opened"]]
        check_samples(tip["id"], total, below[proof["height"]], below[proof["tail"]], spans)
    return total - below[proof["height"]]


def outcome_of(text):
    """What the vectors say of a receipt."""
    try:
        return {"accept": verify_receipt(read_receipt(text))}
    except Unreadable as unreadable:
        return {"reject": {"unreadable": True, "reason": unreadable.args[0]}}
    except Broken as broken:
        return {"reject": {"unreadable": False, "reason": broken.args[0]}}


def check_receipts():
    for case in load("receipts.json")["cases"]:
        same(outcome_of(case["receipt"]), {name: case[name] for name in ("accept", "reject") if name in case}, case["name"])
