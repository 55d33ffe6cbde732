/**
 * @file The figures under the stage: how long the call lasts, how quickly it answers, what it costs.
 */

import { byId, length, money } from '../dom.js';

/** @import { VoiceS2S } from '../../voice-s2s.js' */

export class Facts {
  #call;
  #length = byId('fact-length', HTMLElement);
  #answer = byId('fact-answer', HTMLElement);
  #cost = byId('fact-cost', HTMLElement);
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;

  /** @param {VoiceS2S} call */
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
   * @param {string | undefined} currency ISO 4217
   */
  costs(cost, currency) {
    if (cost !== undefined) this.#cost.textContent = money(cost, currency);
  }

  /** @param {number} ms from the end of the caller's speech to the first sound of the answer */
  answered(ms) {
    this.#answer.textContent = `${(ms / 1000).toFixed(2)} s`;
  }

  #tick() {
    this.#length.textContent = length(this.#call.seconds);
  }
}
