/**
 * @file How the server is doing, as a row of figures, each with the line of its last two minutes.
 */

import { byId, make, money } from '../dom.js';
import { spark } from './spark.js';

/** Values of a line. */
const KEPT = 60;

/**
 * @typedef {object} Status what `GET /api/calls` answers
 * @property {number} activeCalls
 * @property {number | null} maxCalls
 * @property {number} parkedCalls
 * @property {number} openStreams
 * @property {number} callsStarted
 * @property {number} bargeIns
 * @property {number} cost
 * @property {number} monitors
 */

export class Tiles {
  #place = byId('tiles', HTMLElement);
  /** @type {Map<string, { figure: HTMLElement, note: HTMLElement, line: HTMLElement, values: number[] }>} */
  #tiles = new Map();

  /** @param {Status} status */
  show({ activeCalls, maxCalls, parkedCalls, openStreams, callsStarted, bargeIns, cost, monitors }) {
    const full = maxCalls ? ` of ${maxCalls}` : '';
    const part = maxCalls ? `${Math.round((activeCalls / maxCalls) * 100)} % of capacity` : 'no limit';
    this.#tile('Calls', `${activeCalls}${full}`, part, activeCalls);
    this.#tile('Streams', String(openStreams), 'to the model', openStreams);
    this.#tile('Away', String(parkedCalls), 'wait for their client', parkedCalls);
    this.#tile('Calls taken', String(callsStarted), `${bargeIns} barge-ins`, callsStarted);
    this.#tile('Cost', money(cost), 'since the start', cost);
    this.#tile('Watchers', String(monitors), 'of this page', monitors);
  }

  /**
   * @param {string} name
   * @param {string} figure
   * @param {string} note
   * @param {number} value
   */
  #tile(name, figure, note, value) {
    let tile = this.#tiles.get(name);
    if (!tile) {
      tile = { figure: make('p', 'tile-figure'), note: make('p', 'soft'), line: make('div', 'tile-line'), values: [] };
      this.#tiles.set(name, tile);
      this.#place.append(make('div', 'tile card', make('h2', 'tile-name', name), tile.figure, tile.note, tile.line));
    }
    tile.values = [...tile.values, value].slice(-KEPT);
    tile.figure.textContent = figure;
    tile.note.textContent = note;
    tile.line.replaceChildren(spark(tile.values, `${name}, the last two minutes`));
  }
}
