// Receipts: section 17 of the specification. A text in, what it proves out; or the reason why it proves nothing.

import { addressOf } from './address.js';
import { bigEndian, concat, hex, unhex } from './bytes.js';
import { OpenedHistory, historyLeaf } from './history.js';
import { isNetwork, makeNetwork, parametersOf } from './network.js';
import { Refuted, readReceipt } from './receipt-text.js';
import { readRecord } from './record.js';
import { samplePoints } from './samples.js';
import { leaf, node } from './sha256.js';
import { expand, targetAfter, work } from './target.js';
import { brokenForm, decodeSigned, isSigned, transactionId } from './transaction.js';

export { RECEIPT_BYTES_MAX, Refuted } from './receipt-text.js';

/**
 * What a receipt proves, with its `form` and, as `shown`, the ids of blocks that are its own or stand on that one. Throws
 * `Refuted`.
 *
 * A `witnessed` one shows no work: it proves what is in its block, and that its tip stands on that. Only the id of one of the
 * two, from elsewhere, puts them on the chain: see `hasBlock`.
 */
export function verifyReceipt(text) {
  const receipt = readReceipt(text);
  const network = networkOf(receipt);
  const signed = transactionOf(receipt, network);
  const { proof } = receipt;
  const headers = new Map(proof.runs.flat().map((header) => [header.height, header]));
  const body = proof.path.reduce(
    (below, { isLeft, hash }) => (isLeft ? node(hash, below) : node(below, hash)),
    leaf(receipt.transaction),
  );
  const block = headers.get(proof.height);
  if (!proof.nodes) demand(hex(node(proof.context, body)) === hex(block.root), 'path');
  for (const run of proof.runs) checkRun(network, run, receipt.form !== 'witnessed');
  const confirming = proof.nodes ? checkHistory(receipt, headers, body) : workFrom(block, headers);
  demand(headers.get(proof.tipHeight).id === receipt.tip, 'tip');
  return proven(receipt, network, signed, headers, confirming);
}

/** Whether a block (hex) is the transaction's own, or shown to be on top of it. */
export function hasBlock(proven, id) {
  return proven.shown.includes(id);
}

function demand(condition, reason) {
  if (!condition) throw new Refuted(reason);
}

function networkOf({ network: given, genesis }) {
  const parameters = parametersOf(given);
  demand(isNetwork(parameters), 'parameters');
  const network = makeNetwork(parameters);
  demand(network.genesis_id === genesis, 'genesis');
  return network;
}

function transactionOf({ transaction }, network) {
  let signed;
  try {
    signed = decodeSigned(transaction);
  } catch {
    throw new Refuted('transaction');
  }
  demand(brokenForm(network, signed) === null, 'transaction_rule');
  demand(isSigned(network, signed), 'signature');
  return signed;
}

/** The rules on headers that follow one another. */
function checkRun(network, run, retargets) {
  run.forEach((header, at) => {
    const [parent, grandparent] = [run[at - 1], run[at - 2]];
    if (retargets && parent && (grandparent || parent.height === 0)) {
      const before = grandparent ? parent.timestamp - grandparent.timestamp : network.target_spacing;
      const due = targetAfter(network, parent.target, before, header.timestamp - parent.timestamp);
      demand(header.target === due, 'target');
    }
    if (header.height === 0) demand(header.id === network.genesis_id, 'not_genesis');
    else checkWork(network, header);
  });
}

function checkWork(network, { target, hash }) {
  const bound = expand(target);
  demand(bound !== null && bound <= expand(network.easiest_target), 'target');
  demand(bigEndian(hash) <= bound, 'work');
}

/** The work from a block on, of which all headers are there. */
function workFrom(block, headers) {
  let sum = 0n;
  for (const { height, target } of headers.values()) if (height >= block.height) sum += work(target);
  return sum;
}

/** The work from the block on, if all that is shown stands on the blocks of one tree, and samples are met. */
function checkHistory({ form, proof }, headers, body) {
  const { height, tipHeight, tail, opened, outcomes, bodies } = proof;
  const workOf = (at) => work(headers.get(at).target);
  const history = new OpenedHistory(proof.nodes, (at) => historyLeaf(headers.get(at).id, workOf(at)));
  for (const [at, outcome] of outcomes) {
    const context = leaf(concat(history.below(at).hash, outcome));
    const root = node(context, bodies.get(at) ?? body);
    demand(hex(root) === hex(headers.get(at).root), at === height ? 'path' : 'history');
  }
  const below = (at) => history.below(at).work;
  const total = below(tipHeight) + workOf(tipHeight);
  if (form === 'sampled') {
    const spans = opened.map((at) => ({ from: below(at), to: below(at) + workOf(at) }));
    spans.push({ from: below(tail), to: total });
    for (const point of samplePoints(headers.get(tipHeight).hash, total, total - below(tail))) {
      demand(isMet(spans, point), 'samples');
    }
  }
  return total - below(height);
}

/** Whether a point lies below all of these spans of work, which ascend, or in one of them. */
function isMet(spans, point) {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (spans[middle].from <= point) low = middle + 1;
    else high = middle;
  }
  return low === 0 || point < spans[low - 1].to;
}

/** The block and those that stand on it. Ancestors whose headers are there for a target alone are not proven to. */
function blocksShown({ height, tail, opened }, headers) {
  const above = [...headers.values()].filter((header) => header.height > Math.max(height, (tail ?? 0) - 1));
  return [...opened.map((at) => headers.get(at)), ...above];
}

function proven(receipt, network, signed, headers, confirming) {
  const { form, proof } = receipt;
  const [block, tip] = [headers.get(proof.height), headers.get(proof.tipHeight)];
  const { record } = signed.action;
  const earliest = block.timestamp - network.future_time_max;
  const shown = blocksShown(proof, headers);
  return {
    network: network.name,
    genesis: receipt.genesis,
    id: transactionId(network.genesis_id, signed),
    sender: addressOf(signed.sender.ed25519),
    record: record ? readRecord(unhex(record.data)) : null,
    form,
    height: block.height.toString(),
    block: block.id,
    timestamp: block.timestamp.toString(),
    parent_timestamp: form === 'witnessed' ? null : headers.get(proof.height - 1).timestamp.toString(),
    earliest: (earliest < 0n ? 0n : earliest).toString(),
    latest: shown[1]?.timestamp.toString() ?? null,
    confirmations: (tip.height - block.height + 1).toString(),
    work: confirming.toString(),
    tip: tip.id,
    tip_height: tip.height.toString(),
    tip_timestamp: tip.timestamp.toString(),
    action: signed.action,
    shown: shown.map(({ id }) => id),
  };
}
