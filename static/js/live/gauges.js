/**
 * @file What waits in the queues of all calls, and what was dropped because one was full.
 */

import { byId, make } from '../dom.js';

/** @type {Record<string, [name: string, unit: 'bytes' | 'pieces']>} */
const QUEUES = {
  fromSocket: ['From clients', 'pieces'],
  callerAudio: ['To the model', 'pieces'],
  assistantAudio: ['From the model', 'pieces'],
  playout: ['Playout', 'bytes'],
  toSocket: ['To clients', 'pieces'],
  overheard: ['To Transcribe', 'pieces'],
};

const number = new Intl.NumberFormat('en');

export class Gauges {
  #list = byId('gauges', HTMLUListElement);

  /** @param {{ name: string, depth: number, dropped: number }[]} queues */
  show(queues) {
    this.#list.replaceChildren(
      ...queues.map(({ name, depth, dropped }) => {
        const [title, unit] = QUEUES[name] ?? [name, 'pieces'];
        // 24 kHz PCM16: 48 bytes are a millisecond.
        const waits = unit === 'bytes' ? `${(depth / 48_000).toFixed(1)} s of audio` : `${number.format(depth)} waiting`;
        const lost = make('span', dropped > 0 ? 'gauge-lost is-bad' : 'gauge-lost', dropped > 0 ? `${number.format(dropped)} dropped` : 'none dropped');
        return make('li', 'gauge', make('span', 'gauge-name', title), make('span', 'gauge-depth', waits), lost);
      }),
    );
  }
}
