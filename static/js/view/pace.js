/**
 * @file How quickly the assistant answers, turn by turn, and the tokens that it took.
 */

import { byId, make, wait } from '../dom.js';

/** Turns that are shown. */
const SHOWN = 16;

/** A bar of this length is as high as it gets. Milliseconds. */
const SLOW = 2_000;

/** Slower than this feels slow. Milliseconds. */
const FINE = 1_200;

export class Pace {
  #bars = byId('pace-bars', HTMLOListElement);
  #figures = byId('pace-figures', HTMLElement);
  #tokens = byId('pace-tokens', HTMLElement);
  /** @type {number[]} */
  #waits = [];

  clear() {
    this.#waits = [];
    this.#bars.replaceChildren();
    this.#figures.textContent = 'Nothing answered yet.';
    this.#tokens.textContent = '';
  }

  /**
   * @param {number} first until the first sound, milliseconds
   * @param {number} whole until the answer was generated
   */
  answered(first, whole) {
    this.#waits.push(first);
    const bar = make('li', first > FINE ? 'pace-bar is-slow' : 'pace-bar');
    bar.style.setProperty('--part', String(Math.min(1, first / SLOW)));
    bar.title = `Turn ${this.#waits.length}: ${wait(first)} to the first sound, ${wait(whole)} to the whole answer`;
    bar.append(make('span', 'visually-hidden', bar.title));
    this.#bars.append(bar);
    while (this.#bars.childElementCount > SHOWN) this.#bars.firstElementChild?.remove();
    const sorted = this.#waits.toSorted((a, b) => a - b);
    const middle = sorted[Math.floor(sorted.length / 2)];
    this.#figures.textContent = `Last ${wait(first)} · median ${wait(middle)} · slowest ${wait(sorted.at(-1))}`;
  }

  /**
   * @param {number} input
   * @param {number} output
   */
  used(input, output) {
    const number = new Intl.NumberFormat('en');
    this.#tokens.textContent = `${number.format(input)} tokens in, ${number.format(output)} out`;
  }
}
