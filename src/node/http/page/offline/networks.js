// The networks that every quipu knows: section 10 of the specification. A test compares these with the node's own.

/** Ids of genesis blocks, by the network's name. */
export const BUILT_IN = {
  lan: '6ad16c7dd830c9da248a24829080fe2768dff92a6e2702f0b42564c1cb46f213',
  class: '543f33b56aa46a0b843cffe13df2ea7a8e0645a15fcf87802d51ce060cea8670',
  dev: '989058142a61b6f63221d34a4374aa5d1c9e703929cb82329b363156be3cdc7d',
};

/** Whether the receipt's network is a built-in one. */
export function isBuiltIn({ network, genesis }) {
  return Object.hasOwn(BUILT_IN, network) && BUILT_IN[network] === genesis;
}

/** Whether it only calls itself like one. No honest network does. */
export function isImpostor(proven) {
  return Object.hasOwn(BUILT_IN, proven.network) && !isBuiltIn(proven);
}
