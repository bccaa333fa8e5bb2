// The places of the blocks of a tree: a column for each height, the best chain on lane 0, branches on lanes beside it.
//
// Pure: headers in, places out. A block that loses its place on the best chain keeps its column and changes its lane, so
// a reorganisation is seen as what it is.

/** Lanes that are drawn beside the best chain; blocks on further lanes are counted, not drawn. */
const LANES_MAX = 4;

/**
 * Places for headers (`height`, `id`, `parent`, `best_chain`), of which the newest `columns` heights are shown. Gives
 * `{ places: [{ header, column, lane }], first, hidden }`, the lowest first.
 */
export function layOut(headers, columns) {
  const top = headers.reduce((most, header) => Math.max(most, header.height), 0);
  const first = Math.max(0, top - columns + 1);
  const shown = headers.filter((header) => header.height >= first).sort(byHeight);
  const lanes = new Map();
  const taken = new Set();
  const places = [];
  let hidden = 0;
  for (const header of shown) {
    const lane = header.best_chain ? 0 : laneOf(header, lanes, taken);
    lanes.set(header.id, lane);
    if (lane > LANES_MAX) {
      hidden += 1;
      continue;
    }
    taken.add(`${lane} ${header.height}`);
    places.push({ header, column: header.height - first, lane });
  }
  return { places, first, hidden };
}

/** By height; the best chain first, then by id, so that the same tree always looks the same. */
function byHeight(one, other) {
  return one.height - other.height || other.best_chain - one.best_chain || (one.id < other.id ? -1 : 1);
}

/** A branch goes on in its lane; a new one takes the first lane that is free here and one step before. */
function laneOf(header, lanes, taken) {
  const below = lanes.get(header.parent);
  if (below > 0 && !taken.has(`${below} ${header.height}`)) return below;
  let lane = 1;
  while (taken.has(`${lane} ${header.height}`) || taken.has(`${lane} ${header.height - 1}`)) lane += 1;
  return lane;
}
