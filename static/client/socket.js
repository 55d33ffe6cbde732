/**
 * @file The WebSocket `/sonic`: frames in, frames out, nothing decided.
 *
 * Audio that the network does not take is dropped rather than queued: a voice that arrives
 * seconds late is worse than a gap.
 */

/** @import { ClientMessage, ServerMessage } from './messages.js' */

/** About one second of caller audio. Bytes. */
const MAX_UNSENT = 32 * 1024;

/** Milliseconds between two `ping`s. */
const PING_EVERY = 5_000;

/** A server that leaves a ping unanswered for so long is out of reach. Milliseconds. */
const SILENCE = 12_000;

/** After a sleep the connection is probably gone, so less is waited for. Milliseconds. */
const SILENCE_AFTER_SLEEP = 3_000;

/** The figures of a line without a socket. */
export const NO_SOCKET = { framesSent: 0, framesDropped: 0, framesReceived: 0, roundTripMs: NaN };

/**
 * @typedef {object} SocketHandlers
 * @property {() => void} opened
 * @property {(message: ServerMessage) => void} message
 * @property {(pcm: ArrayBuffer) => void} audio 24 kHz PCM16
 * @property {(code: number, reason: string) => void} closed
 * @property {() => void} silent nothing comes any more, although the socket seems to be open
 */

export class SonicSocket {
  #socket;
  #handlers;
  /** Since when a ping waits for any sign of life; 0 when none does. Wall clock: it goes on in a sleep. */
  #unansweredSince = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pings;
  #pingSentAt = 0;
  #tickedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #afterSleep;
  #stats = { ...NO_SOCKET };

  /**
   * @param {string} url
   * @param {string[]} protocols
   * @param {SocketHandlers} handlers
   */
  constructor(url, protocols, handlers) {
    this.#handlers = handlers;
    this.#socket = new WebSocket(url, protocols);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => {
      this.#tickedAt = Date.now();
      this.#pings = setInterval(() => this.#ping(), PING_EVERY);
      handlers.opened();
    };
    this.#socket.onmessage = ({ data }) => {
      this.#unansweredSince = 0;
      if (typeof data !== 'string') {
        this.#stats.framesReceived += 1;
        handlers.audio(data);
        return;
      }
      const message = parse(data);
      if (message?.type === 'pong') this.#stats.roundTripMs = performance.now() - this.#pingSentAt;
      if (message) handlers.message(message);
    };
    this.#socket.onclose = ({ code, reason }) => {
      this.#rest();
      handlers.closed(code, reason);
    };
  }

  get isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Whether audio that is sent now is not dropped. */
  get hasRoom() {
    return this.isOpen && this.#socket.bufferedAmount <= MAX_UNSENT;
  }

  get stats() {
    return { ...this.#stats };
  }

  /** @param {ClientMessage} message */
  send(message) {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
  }

  /** @param {ArrayBuffer | Uint8Array<ArrayBuffer>} pcm 16 kHz PCM16 */
  sendAudio(pcm) {
    if (!this.isOpen) return;
    if (!this.hasRoom) {
      this.#stats.framesDropped += 1;
      return;
    }
    this.#stats.framesSent += 1;
    this.#socket.send(pcm);
  }

  /** Hangs up. `closed` is not called any more. */
  close() {
    this.#rest();
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.onopen = () => this.#socket.close(1000);
    this.#socket.close(1000, 'hang up');
  }

  /** Leaves the socket to its fate: no close frame, which would mean to hang up. */
  abandon() {
    this.#rest();
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // One that is not open yet must not open any more: it would use up the token.
    if (socket.readyState === WebSocket.CONNECTING) socket.close();
  }

  #rest() {
    clearInterval(this.#pings);
    clearTimeout(this.#afterSleep);
  }

  /**
   * A tab in the background runs this late, which says nothing about the server: only a ping that
   * was sent and is not answered does.
   */
  #ping() {
    const now = Date.now();
    const slept = now - this.#tickedAt > PING_EVERY * 4;
    this.#tickedAt = now;
    if (this.#unansweredSince > 0 && now - this.#unansweredSince > SILENCE) {
      this.#handlers.silent();
      return;
    }
    this.#unansweredSince ||= now;
    this.#pingSentAt = performance.now();
    this.send({ type: 'ping' });
    if (!slept) return;
    clearTimeout(this.#afterSleep);
    this.#afterSleep = setTimeout(() => {
      if (this.#unansweredSince > 0) this.#handlers.silent();
    }, SILENCE_AFTER_SLEEP);
  }
}

/**
 * @param {string} text
 * @returns {ServerMessage | null} `null` when it is not a message: never a reason to end a call
 */
function parse(text) {
  try {
    const value = JSON.parse(text);
    return typeof value?.type === 'string' ? value : null;
  } catch {
    return null;
  }
}
