/**
 * @file The line to `/monitor`, opened again whenever it breaks.
 */

import { Access } from '../../client/access.js';

/** Pauses between the attempts; the last one is repeated. Milliseconds. */
const PAUSES = [300, 1_000, 3_000, 10_000];

/** @typedef {{ type: string, callId?: string } & Record<string, any>} MonitorMessage */

export class MonitorLink {
  #access;
  #message;
  #lost;
  #failures = 0;

  /**
   * @param {object} options
   * @param {() => string | null} options.credential
   * @param {(message: MonitorMessage) => void} options.message
   * @param {() => void} options.lost
   */
  constructor({ credential, message, lost }) {
    this.#access = new Access(new URL(document.baseURI), credential, undefined);
    this.#message = message;
    this.#lost = lost;
  }

  open() {
    void this.#connect().catch(() => this.#again());
  }

  async #connect() {
    const url = new URL('monitor', document.baseURI);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, await this.#access.protocols());
    socket.onmessage = ({ data }) => {
      this.#failures = 0;
      this.#message(JSON.parse(data));
    };
    socket.onclose = () => this.#again();
  }

  #again() {
    this.#lost();
    const pause = PAUSES[Math.min(this.#failures, PAUSES.length - 1)];
    this.#failures += 1;
    setTimeout(() => this.open(), pause);
  }
}
