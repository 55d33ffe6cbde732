/**
 * @file Where the steps of a workflow stand in a small graph. Pure.
 *
 * Steps go from top to bottom: each one below all that lead to it, but for edges that lead back.
 */

/** @import { Graph } from '../api.js' */

/** @typedef {{ id: string, x: number, y: number }} Place `x` is 0 … 1, `y` the row */

/**
 * @param {Graph} graph
 * @returns {{ places: Map<string, Place>, rows: number, back: Set<string> }} `back`: edges that lead
 *   back, as `from→to`
 */
export function layOut({ nodes, edges }) {
  /** @type {Map<string, string[]>} */
  const next = new Map(nodes.map(({ id }) => [id, []]));
  for (const { from, to } of edges) if (next.has(to)) next.get(from)?.push(to);

  /** @type {Set<string>} */
  const back = new Set();
  /** @type {Map<string, 'open' | 'done'>} */
  const seen = new Map();
  /** Steps, each after all that it leads to. @type {string[]} */
  const order = [];
  const visit = (/** @type {string} */ id) => {
    seen.set(id, 'open');
    for (const to of next.get(id) ?? []) {
      if (seen.get(to) === 'open') back.add(`${id}→${to}`);
      else if (!seen.has(to)) visit(to);
    }
    seen.set(id, 'done');
    order.push(id);
  };
  const start = nodes.find(({ type }) => type === 'start');
  for (const { id } of start ? [start, ...nodes] : nodes) if (!seen.has(id)) visit(id);

  /** @type {Map<string, number>} */
  const row = new Map();
  for (const id of order.toReversed()) {
    const own = row.get(id) ?? 0;
    row.set(id, own);
    for (const to of next.get(id) ?? []) {
      if (!back.has(`${id}→${to}`)) row.set(to, Math.max(row.get(to) ?? 0, own + 1));
    }
  }

  /** @type {string[][]} */
  const rows = [];
  for (const { id } of nodes) (rows[row.get(id) ?? 0] ??= []).push(id);
  const places = new Map();
  rows.forEach((ids, y) => {
    // Below the middle of where one comes from, so that lines cross less.
    const middle = (/** @type {string} */ id) => {
      const before = edges.filter((edge) => edge.to === id && places.has(edge.from)).map((edge) => places.get(edge.from).x);
      return before.length === 0 ? 0.5 : before.reduce((sum, x) => sum + x, 0) / before.length;
    };
    const sorted = ids.map((id) => ({ id, at: middle(id) })).toSorted((a, b) => a.at - b.at);
    sorted.forEach(({ id }, i) => places.set(id, { id, x: (i + 1) / (ids.length + 1), y }));
  });
  return { places, rows: rows.length, back };
}
