#!/usr/bin/env python3
"""Checks the vectors in this folder with an implementation that follows ../README.md and shares no code with the crate.

Needs nothing but Python's standard library. Run it from anywhere: it exits with status 1 at the first
disagreement. It is slow and simple on purpose: read it beside the specification. Section 17 is in check_receipts.py.
"""

import hashlib
import json
import pathlib
import re
import sys
import unicodedata

FOLDER = pathlib.Path(__file__).parent


class Broken(Exception):
    """A rule is broken; the argument is its name."""


def demand(condition, rule):
    if not condition:
        raise Broken(rule)


# 2. Hashes

def sha256(data):
    return hashlib.sha256(data).digest()


def tagged(tag, data):
    prefix = sha256(tag.encode())
    return sha256(prefix + prefix + data)


def keccak256(data):
    def rotate(lane, by):
        return (lane << by | lane >> (64 - by)) & (2**64 - 1) if by else lane

    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            constant |= (register & 1) << (2**j - 1)
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    rate = 136
    data += b"\x01" + bytes(-(len(data) + 2) % rate) + b"\x80" if (len(data) + 1) % rate else b"\x81"
    lanes = [[0] * 5 for _ in range(5)]
    for at in range(0, len(data), rate):
        for i in range(rate // 8):
            lanes[i % 5][i // 5] ^= int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little")
        for constant in constants:
            parity = [lanes[x][0] ^ lanes[x][1] ^ lanes[x][2] ^ lanes[x][3] ^ lanes[x][4] for x in range(5)]
            for x in range(5):
                mixed = parity[x - 1] ^ rotate(parity[(x + 1) % 5], 1)
                lanes[x] = [lane ^ mixed for lane in lanes[x]]
            x, y, current = 1, 0, lanes[1][0]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                current, lanes[x][y] = lanes[x][y], rotate(current, (t + 1) * (t + 2) // 2 % 64)
            for y in range(5):
                row = [lanes[x][y] for x in range(5)]
                for x in range(5):
                    lanes[x][y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5])
            lanes[0][0] ^= constant
    return b"".join(lanes[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


# 3. Keys, signatures, addresses

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def decode_point(data):
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, (number & (2**255 - 1)) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return ((-x if x & 1 != sign else x) % P, y)


def add(one, other):
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P)


def multiply(scalar, point):
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


BASE = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def verifies(key, message, signature):
    point, commitment = decode_point(key), decode_point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or commitment is None or scalar >= L:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return multiply(8 * scalar, BASE) == multiply(8, add(commitment, multiply(challenge, point)))


def address_text(address):
    digits = address.hex()
    case = keccak256(digits.encode()).hex()
    return "0x" + "".join(d.upper() if int(c, 16) >= 8 else d for d, c in zip(digits, case))


def parse_address(text):
    digits = text[2:]
    if text[:2] != "0x" or len(digits) != 40 or any(d not in "0123456789abcdefABCDEF" for d in digits):
        return None
    address = bytes.fromhex(digits)
    uniform = digits in (digits.lower(), digits.upper())
    return address if uniform or address_text(address) == text else None


# 4. Amounts

WEI = 10**10  # in a unit


def amount_text(units):
    return f"{units // 10**8}.{units % 10**8:08}".rstrip("0").rstrip(".")


def parse_amount(text):
    whole, _, fraction = text.partition(".")
    if not whole + fraction or any(d not in "0123456789" for d in whole + fraction):
        return None
    fraction = fraction.rstrip("0")
    if len(fraction) > 8:
        return None
    units = int(whole + fraction.ljust(8, "0"))
    return units if units < 2**64 else None


# 5. Targets and work, 6. Retargeting

HARDEST = 2**160


def compress(bound):
    length = (bound.bit_length() + 7) // 8
    mantissa = bound >> 8 * (length - 3)
    if mantissa & 0x800000:
        mantissa, length = mantissa >> 8, length + 1
    return length << 24 | mantissa


def expand(compact):
    exponent, mantissa = compact >> 24, compact & 0x7FFFFF
    if compact & 0x800000 or not 3 <= exponent <= 33:
        return None
    bound = mantissa << 8 * (exponent - 3)
    return bound if HARDEST <= bound < 2**256 and compress(bound) == compact else None


def work(compact):
    return 2**256 // (expand(compact) + 1)


def target_after(rule, parent_target, before, since):
    if rule["half_life"] == 0:
        return rule["easiest"]
    late = min(before, rule["grace"]) - rule["spacing"] + max(0, since - rule["grace"])
    x = late * 65536 // rule["half_life"]
    shift, f = x // 65536, x % 65536
    factor = 65536 + ((195766423245049 * f + 971821376 * f**2 + 5127 * f**3 + 2**47) >> 48)
    shift = max(-1000, min(1000, shift - 16))  # saturates: bounds have 256 bits
    product = expand(parent_target) * factor
    bound = product << shift if shift >= 0 else product >> -shift
    return compress(min(max(bound, HARDEST), expand(rule["easiest"])))


# 7. Merkle trees

def leaf(data):
    return sha256(b"\x00" + data)


def merkle_root(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while 2 * split < len(leaves):
        split *= 2
    return sha256(b"\x01" + merkle_root(leaves[:split]) + merkle_root(leaves[split:]))


def root_of(context, leaves):
    return sha256(b"\x01" + leaf(encode(CONTEXT, context)) + merkle_root(leaves))


def history_leaf(block_id, work):
    return sha256(b"\x02" + block_id + work.to_bytes(16, "little")), work


def history_node(leaves):
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    parts = [history_node(leaves[:split]), history_node(leaves[split:])]
    data = b"".join(hash + work.to_bytes(16, "little") for hash, work in parts)
    return sha256(b"\x03" + data), sum(work for _, work in parts)


def history_root(leaves):
    return history_node(leaves)[0] if leaves else sha256(b"")


# 1. Encoding: types as data, values as the JSON of encodings.json

HASH, ADDRESS = ("bytes", 32), ("bytes", 20)
DATA = ("data",)
KEY = ("enum", [("ed25519", ("bytes", 32))])
SIGNATURE = ("enum", [("ed25519", ("bytes", 64))])
ACTION = ("enum", [
    ("transfer", ("struct", [("to", ADDRESS), ("amount", "u64")])),
    ("record", ("struct", [("data", DATA)])),
])
TRANSACTION = [("sender", KEY), ("nonce", "u64"), ("fee", "u64"), ("action", ACTION)]
SIGNED = ("struct", TRANSACTION + [("signature", SIGNATURE)])
HEADER = ("struct", [
    ("version", "u32"), ("height", "u64"), ("parent", HASH), ("root", HASH), ("timestamp", "u64"),
    ("target", "target"), ("nonce", "u64"),
])
CONTEXT = ("struct", [("history", HASH), ("outcome", HASH)])
REWARD = ("struct", [("to", ADDRESS), ("amount", "u64")])
BLOCK = ("struct", [("header", HEADER), ("context", CONTEXT), ("reward", REWARD), ("transactions", ("list", SIGNED))])
STATUS = ("struct", [
    ("tip", HASH), ("height", "u64"), ("work", "u128"), ("clock", "u64"), ("pending", "u64"), ("nickname", DATA),
])
REQUEST = ("enum", [
    ("status", STATUS), ("headers", ("list", HASH)), ("blocks", ("list", HASH)), ("pending", None),
    ("transactions", ("list", HASH)),
    ("block_transactions", ("struct", [("block", HASH), ("places", ("list", "u32"))])),
])
RESPONSE = ("enum", [
    ("status", STATUS), ("headers", ("list", HEADER)), ("blocks", ("list", BLOCK)), ("pending", ("list", HASH)),
    ("transactions", ("list", SIGNED)), ("block_transactions", ("list", SIGNED)),
])
HINT = ("struct", [("position", "u32"), ("bits", "u32")])
COMPACT = ("struct", [
    ("header", HEADER), ("context", CONTEXT), ("reward", REWARD), ("id_bits", "u8"), ("ids", DATA), ("hints", ("list", HINT)),
])
ANNOUNCEMENT = ("enum", [("whole", BLOCK), ("compact", COMPACT)])
BUNDLE = ("list", SIGNED, range(1, 257))
TYPES = {
    "header": HEADER, "context": CONTEXT, "reward": REWARD, "signed_transaction": SIGNED, "bundle": BUNDLE, "block": BLOCK,
    "status": STATUS, "announcement": ANNOUNCEMENT, "request": REQUEST, "response": RESPONSE,
}
LIMITS = {"bundle": 65536}
LONGEST = 6291520
WIDTHS = {"u8": 1, "u32": 4, "u64": 8, "u128": 16, "target": 4}


def encode(kind, value):
    if kind is None:
        return b""
    if isinstance(kind, str):
        number = int(value, 16) if kind == "target" else int(value)
        return number.to_bytes(WIDTHS[kind], "little")
    if kind[0] == "bytes":
        data = bytes.fromhex(value)
        assert len(data) == kind[1]
        return data
    if kind[0] == "data":
        data = bytes.fromhex(value)
        return len(data).to_bytes(8, "little") + data
    if kind[0] == "struct":
        assert set(value) == {name for name, _ in kind[1]}
        return b"".join(encode(field, value[name]) for name, field in kind[1])
    if kind[0] == "list":
        return len(value).to_bytes(8, "little") + b"".join(encode(kind[1], element) for element in value)
    name, fields = (value, None) if isinstance(value, str) else next(iter(value.items()))
    tag = [variant for variant, _ in kind[1]].index(name)
    return tag.to_bytes(4, "little") + encode(kind[1][tag][1], fields)


def decode(kind, data, limit=LONGEST):
    demand(len(data) <= limit, "R1")
    value, rest = decode_part(kind, data)
    demand(not rest, "R1")
    return value


def decode_part(kind, data):
    def take(count):
        demand(count <= len(data), "R1")
        return data[:count], data[count:]

    if kind is None:
        return None, data
    if isinstance(kind, str):
        head, rest = take(WIDTHS[kind])
        number = int.from_bytes(head, "little")
        return (f"{number:#010x}" if kind == "target" else number if WIDTHS[kind] <= 4 else str(number)), rest
    if kind[0] == "bytes":
        head, rest = take(kind[1])
        return head.hex(), rest
    if kind[0] == "struct":
        value = {}
        for name, field in kind[1]:
            value[name], data = decode_part(field, data)
        if kind is COMPACT:
            check_compact(value)
        return value, data
    if kind[0] == "enum":
        head, rest = take(4)
        tag = int.from_bytes(head, "little")
        demand(tag < len(kind[1]), "R1")
        name, fields = kind[1][tag]
        value, rest = decode_part(fields, rest)
        return (name if fields is None else {name: value}), rest
    head, data = take(8)
    count = int.from_bytes(head, "little")
    demand(count <= len(data), "R1")  # no element is shorter than a byte
    if kind[0] == "data":
        head, rest = take(count)
        return head.hex(), rest
    demand(len(kind) == 2 or count in kind[2], "R1")
    elements = []
    for _ in range(count):
        element, data = decode_part(kind[1], data)
        elements.append(element)
    return elements, data


# 8. Transactions

def signing_bytes(network, signed):
    content = {name: signed[name] for name, _ in TRANSACTION}
    return b"\x13quipu transaction 2" + network["genesis_id"] + encode(("struct", TRANSACTION), content)


def sender_of(signed):
    return sha256(encode(KEY, signed["sender"]))[:20]


def check_form(network, signed):
    demand(int(signed["fee"]) >= network["fee_min"], "R8")
    transfer, record = signed["action"].get("transfer"), signed["action"].get("record")
    demand(transfer is None or int(transfer["amount"]) > 0, "R9")
    demand(record is None or len(record["data"]) <= 2 * 4096, "R3")


def check_signature(network, signed):
    key, signature = (bytes.fromhex(signed[name]["ed25519"]) for name in ("sender", "signature"))
    demand(verifies(key, signing_bytes(network, signed), signature), "R10")


# 10. Networks and genesis

def make_network(case):
    numbers = [int(case[name]) for name in ("genesis_time", "target_spacing", "half_life", "grace")]
    target = int(case["easiest_target"], 16)
    more = [int(case[name]) for name in ("future_time_max", "subsidy", "fee_min")]
    name = case["name"].encode()
    encoding = len(name).to_bytes(8, "little") + name
    encoding += b"".join(n.to_bytes(8, "little") for n in numbers) + target.to_bytes(4, "little")
    encoding += b"".join(n.to_bytes(8, "little") for n in more) + case["block_bytes_max"].to_bytes(4, "little")
    openings, contracts = case["opening_balances"], [case["contracts"]] if case["contracts"] else []
    encoding += len(openings).to_bytes(8, "little")
    for opening in openings:
        encoding += parse_address(opening["address"]) + parse_amount(opening["amount"]).to_bytes(8, "little")
    encoding += len(contracts).to_bytes(8, "little")
    for limits in contracts:
        for field in ("block_gas", "transaction_gas", "chain_id"):
            encoding += limits[field].to_bytes(8, "little")
    reward = {"to": "00" * 20, "amount": "0"}
    context = {"history": history_root([]).hex(), "outcome": "00" * 32}
    header = {
        "version": 2, "height": "0", "parent": tagged("quipu network 2", encoding).hex(),
        "root": root_of(context, [leaf(encode(REWARD, reward))]).hex(), "timestamp": case["genesis_time"],
        "target": case["easiest_target"], "nonce": "0",
    }
    accounts = {parse_address(one["address"]): (WEI * parse_amount(one["amount"]), 0) for one in openings}
    return {
        "accounts": accounts, "encoding": encoding, "hash": header["parent"], "easiest": target, "genesis_header": header,
        "genesis": encode(BLOCK, {"header": header, "context": context, "reward": reward, "transactions": []}),
        "genesis_id": sha256(encode(HEADER, header)), "spacing": numbers[1], "half_life": numbers[2],
        "grace": numbers[3],
        "future_time_max": more[0], "subsidy": more[1], "fee_min": more[2], "block_bytes_max": case["block_bytes_max"],
    }


# 11. Rules, 12. Fork choice

def check_block(network, nodes, now, data):
    """The new node of the tree, or None for a block that is known."""
    block = decode(BLOCK, data, 4194304)
    header = block["header"]
    encoded = encode(HEADER, header)
    block_id = sha256(encoded)
    height, timestamp, target = int(header["height"]), int(header["timestamp"]), int(header["target"], 16)
    if height == 0:
        demand(block_id == network["genesis_id"], "R19")
    if block_id in nodes:
        return None
    demand(header["version"] == 2, "R4")
    bound = expand(target)
    demand(bound is not None and bound <= expand(network["easiest"]), "R5")
    demand(int.from_bytes(block_id, "big") <= bound, "R6")
    parent = nodes[bytes.fromhex(header["parent"])]
    demand(height == parent["height"] + 1, "R11")
    demand(timestamp >= parent["timestamp"], "R12")
    due = target_after(network, parent["target"], parent["interval"], timestamp - parent["timestamp"])
    demand(target == due, "R13")
    demand(timestamp <= now + network["future_time_max"], "R14")
    leaves = [leaf(encode(REWARD, block["reward"]))] + [leaf(encode(SIGNED, s)) for s in block["transactions"]]
    demand(root_of(block["context"], leaves).hex() == header["root"], "R7")
    demand(len(data) <= network["block_bytes_max"], "R2")
    for signed in block["transactions"]:
        check_form(network, signed)
    for signed in block["transactions"]:
        check_signature(network, signed)
    demand(block["context"]["history"] == history_root(parent["blocks"]).hex(), "R20")
    demand(block["context"]["outcome"] == "00" * 32, "R21")
    accounts = connect(network, parent["accounts"], block)
    return block_id, {
        "height": height, "timestamp": timestamp, "target": target, "work": parent["work"] + work(target),
        "accounts": accounts, "interval": timestamp - parent["timestamp"],
        "blocks": parent["blocks"] + [history_leaf(block_id, work(target))],
    }


def connect(network, accounts, block):
    accounts = dict(accounts)

    def fits(number, bits=64):
        demand(number < 2**bits, "R18")
        return number

    def credit(to, amount):
        balance, nonce = accounts.get(to, (0, 0))
        if amount:
            accounts[to] = (fits(balance + WEI * amount, 128), nonce)

    reward = network["subsidy"]
    for signed in block["transactions"]:
        sender, fee, transfer = sender_of(signed), int(signed["fee"]), signed["action"].get("transfer")
        balance, nonce = accounts.get(sender, (0, 0))
        demand(int(signed["nonce"]) == nonce, "R15")
        spent = fits(fee + (int(transfer["amount"]) if transfer else 0))
        demand(balance >= WEI * spent, "R16")
        accounts[sender] = (balance - WEI * spent, fits(nonce + 1))
        if transfer:
            credit(bytes.fromhex(transfer["to"]), int(transfer["amount"]))
        reward = fits(reward + fee)
    demand(int(block["reward"]["amount"]) == reward, "R17")
    credit(bytes.fromhex(block["reward"]["to"]), reward)
    return accounts


BLAME = {"R1": "bytes", "R7": "bytes", "R14": "nobody"}


def replay(network, now, blocks):
    header = network["genesis_header"]
    tip = network["genesis_id"]
    nodes = {tip: {
        "height": 0, "timestamp": int(header["timestamp"]), "target": network["easiest"], "work": 0,
        "accounts": network["accounts"], "interval": network["spacing"], "blocks": [history_leaf(tip, 0)],
    }}
    for at, data in enumerate(blocks):
        try:
            found = check_block(network, nodes, now, data)
        except Broken as broken:
            rule = broken.args[0]
            return {"reject": {"block": at, "rule": rule, "blame": BLAME.get(rule, "block")}}
        if found is None:
            continue
        nodes[found[0]] = found[1]
        if found[1]["work"] > nodes[tip]["work"]:
            tip = found[0]
    best = nodes[tip]
    accounts = [
        {"address": address_text(address), "balance": str(balance), "nonce": str(nonce)}
        for address, (balance, nonce) in sorted(best["accounts"].items())
    ]
    return {"accept": {"tip": tip.hex(), "height": str(best["height"]), "work": str(best["work"]), "accounts": accounts}}


# 13.6 Compact blocks

def check_compact(compact):
    bits, ids = compact["id_bits"], bytes.fromhex(compact["ids"])
    demand(16 <= bits <= 32, "R1")
    count = 8 * len(ids) // bits
    demand(count <= 31773 and len(ids) == (count * bits + 7) // 8, "R1")
    demand(int.from_bytes(ids, "little") < 1 << count * bits, "R1")
    positions = [hint["position"] for hint in compact["hints"]]
    demand(all(a < b for a, b in zip(positions, positions[1:] + [count])), "R1")


def siphash_2_4(key, data):
    """Aumasson and Bernstein, SipHash, 2012."""
    mask = (1 << 64) - 1
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573]

    def rotated(x, by):
        return (x << by | x >> 64 - by) & mask

    def rounds(count):
        for _ in range(count):
            v[0], v[2] = (v[0] + v[1]) & mask, (v[2] + v[3]) & mask
            v[1], v[3] = rotated(v[1], 13) ^ v[0], rotated(v[3], 16) ^ v[2]
            v[0] = rotated(v[0], 32)
            v[2], v[0] = (v[2] + v[1]) & mask, (v[0] + v[3]) & mask
            v[1], v[3] = rotated(v[1], 17) ^ v[2], rotated(v[3], 21) ^ v[0]
            v[2] = rotated(v[2], 32)

    tail = len(data) % 8
    words = data[:len(data) - tail] + data[len(data) - tail:].ljust(7, b"\0") + bytes([len(data) % 256])
    for at in range(0, len(words), 8):
        word = int.from_bytes(words[at:at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xff
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def leaf_hash(header, leaf):
    return siphash_2_4(tagged("quipu short id 1", header)[:16], leaf)


# 16. What records say

class NotJson(ValueError):
    """Text that is not JSON, or JSON that stands for two things."""


def refuse(text):
    raise NotJson(text)


def unique(pairs):
    value = dict(pairs)
    return value if len(value) == len(pairs) else refuse("a key is repeated")


def depth(text):
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.DOTALL)
    levels = deepest = 0
    for character in bare:
        levels += (character in "[{") - (character in "]}")
        deepest = max(deepest, levels)
    return deepest


def is_json(text):
    if text != text.strip(" \t\r\n") or depth(text) > 64:
        return False
    try:
        # Numbers stay text: no reader has to hold them. Repeated keys are the user's affair.
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
        return True
    except ValueError:
        return False


def is_tag(text):
    one_word = not any(c.isspace() or c == "," or unicodedata.category(c) == "Cc" for c in text)
    return 1 <= len(text.encode()) <= 32 and one_word


def is_file_name(text):
    plain = not any(c in "/\\" or unicodedata.category(c) == "Cc" for c in text)
    return 1 <= len(text.encode()) <= 255 and plain and text not in (".", "..")


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def envelope(tags, content):
    """What is written for tags and one of text, file and json; None for what no record says."""
    (kind, value), = content.items()
    if len(tags) > 8 or len(set(tags)) < len(tags) or not all(isinstance(t, str) and is_tag(t) for t in tags):
        return None
    head = '{"quipu":1,' + (f'"tags":{compact(tags)},' if tags else "")
    if kind == "json":
        return f'{head}"json":{value}}}' if is_json(value) else None
    if kind == "file":
        if not is_file_name(value["name"]) or not re.fullmatch("[0-9a-f]{64}", value["sha256"], re.ASCII):
            return None
        size = value["size"]
        if not re.fullmatch("0|[1-9][0-9]{0,19}", size, re.ASCII) or int(size) >= 2**64:
            return None
        file = f'{{"sha256":"{value["sha256"]}","name":{compact(value["name"])},"size":{size}}}'
        return f'{head}"file":{file}}}'
    return f'{head}"text":{compact(value)}}}' if isinstance(value, str) else None


def open_envelope(text):
    """Tags and content, or None: found with a pattern, then written again and compared."""
    found = re.fullmatch(r'\{"quipu":1,(?:"tags":(\[[^\[\]]*\]|\["(?:[^"\\]|\\.)*"(?:,"(?:[^"\\]|\\.)*")*\]),)?'
                         r'"(text|file|json)":(.*)\}', text, re.DOTALL)
    if not found:
        return None
    try:
        tags = json.loads(found[1]) if found[1] else []
        kind, value = found[2], found[3]
        if kind == "text":
            value = json.loads(value)
        elif kind == "file":
            value = json.loads(value, parse_int=str, object_pairs_hook=unique)
            if not isinstance(value, dict) or set(value) != {"sha256", "name", "size"}:
                return None
        if any(not isinstance(v, str) for v in (value.values() if kind == "file" else [value])):
            return None
        return (tags, {kind: value}) if envelope(tags, {kind: value}) == text else None
    except ValueError:
        return None


def read_record(data):
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"tags": [], "content": {"bytes": data.hex()}, "content_hash": sha256(data).hex()}
    tags, content = open_envelope(text) or ([], {"text": text})
    (kind, value), = content.items()
    content_hash = value["sha256"] if kind == "file" else sha256(value.encode()).hex()
    return {"tags": tags, "content": content, "content_hash": content_hash}


def write_record(tags, content):
    """The data, or a word for why there is none."""
    (kind, value), = content.items()
    if len(tags) > 8:
        return "too_many_tags"
    if len(set(tags)) < len(tags):
        return "repeated_tag"
    if kind == "bytes":
        data = bytes.fromhex(value)
        return "tagged_bytes" if tags else data if len(data) <= 4096 else "too_long"
    if kind == "file" and not is_file_name(value["name"]):
        return "file_name"
    if kind == "json" and not is_json(value):
        return "json_too_deep" if depth(value) > 64 else "json"
    plain = kind == "text" and not tags and open_envelope(value) is None
    data = (value if plain else envelope(tags, content)).encode()
    return data if len(data) <= 4096 else "too_long"


# 18. Vectors

def plain(data):
    """Bytes from hex or from a list of parts."""
    if isinstance(data, str):
        return bytes.fromhex(data)
    parts = [bytes.fromhex(p) if isinstance(p, str) else bytes.fromhex(p["repeat"]) * p["times"] for p in data]
    return b"".join(parts)


def load(name):
    return json.loads((FOLDER / name).read_text())


COUNT = 0


def same(got, want, what):
    global COUNT
    COUNT += 1
    if got != want:
        sys.exit(f"{what}:\n  computed {got}\n  expected {want}")


def check_values():
    hashes = load("hashes.json")
    for case in hashes["tagged"]:
        same(tagged(case["tag"], plain(case["message"])).hex(), case["hash"], "tagged hash")
    for case in hashes["block_ids"]:
        same(sha256(plain(case["header"])).hex(), case["id"], "block id")
    for case in hashes["reward_ids"]:
        reward = plain(case["reward"])
        same(tagged("quipu reward 1", bytes.fromhex(case["parent"]) + reward).hex(), case["id"], "reward id")
        same(leaf(reward).hex(), case["leaf"], "reward leaf")
    for case in hashes["short_ids"]:
        got = leaf_hash(plain(case["header"]), bytes.fromhex(case["leaf"]))
        same(str(got), case["hash"], "hash for a short id")
    addresses = load("addresses.json")
    for case in addresses["of_keys"]:
        same(address_text(sender_of({"sender": {"ed25519": case["public_key"]}})), case["address"], "address of key")
    for case in addresses["accepted"]:
        same(parse_address(case["text"]), plain(case["bytes"]), case["text"])
    for text in addresses["refused"]:
        same(parse_address(text), None, text)
    amounts = load("amounts.json")
    for case in amounts["shown"]:
        same(amount_text(int(case["units"])), case["text"], "amount shown")
    for case in amounts["shown"] + amounts["accepted"]:
        same(parse_amount(case["text"]), int(case["units"]), case["text"])
    for text in amounts["refused"]:
        same(parse_amount(text), None, text)


def check_targets():
    targets = load("targets.json")
    for case in targets["compact"]:
        compact = int(case["compact"], 16)
        same(expand(compact), int(case["bound"], 16), case["compact"])
        same(work(compact), int(case["work"]), case["compact"])
    for text in targets["refused"]:
        same(expand(int(text, 16)), None, text)
    for case in targets["compress"]:
        same(compress(int(case["bound"], 16)), int(case["compact"], 16), case["bound"])
    for case in targets["retarget"]:
        rule = {name: int(case[name], 16 if name == "easiest" else 10)
                for name in ("spacing", "half_life", "grace", "easiest")}
        got = target_after(rule, int(case["parent_target"], 16), int(case["before"]), int(case["since"]))
        same(got, int(case["target"], 16), case["name"])
    for case in load("merkle.json")["cases"]:
        same(merkle_root([leaf(plain(data)) for data in case["leaves"]]).hex(), case["root"], "Merkle root")


def check_encodings():
    file = load("encodings.json")
    for case in file["accepted"]:
        kind, data = TYPES[case["type"]], plain(case["bytes"])
        same(encode(kind, case["value"]).hex(), data.hex(), case["type"])
        same(decode(kind, data), case["value"], case["type"])
    for case in file["refused"]:
        try:
            got = decode(TYPES[case["type"]], plain(case["bytes"]), LIMITS.get(case["type"], LONGEST))
        except Broken as broken:
            got = broken.args[0]
        same(got, "R1", case["name"])


def check_networks():
    networks = {}
    for case in load("networks.json")["cases"]:
        network = networks[case["name"]] = make_network(case)
        same(network["encoding"], plain(case["encoding"]), case["name"])
        same(network["hash"], case["hash"], case["name"])
        same(network["genesis"], plain(case["genesis"]), case["name"])
        same(network["genesis_id"].hex(), case["genesis_id"], case["name"])
        same(network["genesis_id"][:8].hex(), case["tag"], case["name"])
    return networks


def check_transactions(networks):
    for case in load("transactions.json")["cases"]:
        network = networks[case["network"]]
        try:
            signed = decode(SIGNED, plain(case["bytes"]), 4228)
            check_form(network, signed)
            check_signature(network, signed)
            got = {"accept": {
                "id": sha256(signing_bytes(network, signed)).hex(), "leaf": leaf(encode(SIGNED, signed)).hex(),
                "sender": address_text(sender_of(signed)),
            }}
        except Broken as broken:
            got = {"reject": broken.args[0]}
        same(got, {name: case[name] for name in ("accept", "reject") if name in case}, case["name"])


def check_chains(networks):
    for case in load("chains.json")["cases"]:
        got = replay(networks[case["network"]], int(case["now"]), [plain(data) for data in case["blocks"]])
        same(got, {name: case[name] for name in ("accept", "reject") if name in case}, case["name"])


def check_records():
    file = load("records.json")
    for case in file["read"]:
        data = plain(case["data"])
        same(read_record(data), case["says"], case["name"])
        written = plain(case["written"]) if "written" in case else data
        same(write_record(case["says"]["tags"], case["says"]["content"]), written, case["name"])
    for case in file["refused"]:
        same(write_record(case["tags"], case["content"]), case["reason"], case["name"])


def main():
    from check_receipts import check_receipts  # which imports this file

    check_values()
    check_targets()
    check_encodings()
    networks = check_networks()
    check_transactions(networks)
    check_chains(networks)
    check_records()
    check_receipts()
    print(f"{COUNT} comparisons, no difference")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    import check  # this file by its name, so that check_receipts.py gets the same functions and classes

    check.main()
