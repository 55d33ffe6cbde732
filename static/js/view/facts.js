/**
 * @file The figures under the stage: how long the call lasts, how quickly it answers, what it costs.
 */

import { byId } from './dom.js';

/** @import { VoiceCall } from '../call/call.js' */

export class Facts {
  #call;
  #length = byId('fact-length', HTMLElement);
  #answer = byId('fact-answer', HTMLElement);
  #cost = byId('fact-cost', HTMLElement);
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;

  /** @param {VoiceCall} call */
  constructor(call) {
    this.#call = call;
    call.on('state', () => {
      clearInterval(this.#clock);
      if (call.isRunning) this.#clock = setInterval(() => this.#tick(), 500);
      this.#tick();
    });
  }

  clear() {
    this.#answer.textContent = '–';
    this.#cost.textContent = '–';
  }

  /**
   * @param {number | undefined} cost of the call so far; unknown for some models
   * @param {string} currency ISO 4217
   */
  costs(cost, currency) {
    if (cost === undefined) return;
    const style = { style: 'currency', currency, minimumFractionDigits: 2, maximumFractionDigits: 4 };
    this.#cost.textContent = new Intl.NumberFormat('en', /** @type {Intl.NumberFormatOptions} */ (style)).format(cost);
  }

  /** @param {number} ms from the end of the caller's speech to the first sound of the answer */
  answered(ms) {
    this.#answer.textContent = `${(ms / 1000).toFixed(2)} s`;
  }

  #tick() {
    const seconds = Math.floor(this.#call.seconds);
    this.#length.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}
