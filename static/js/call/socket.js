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

/** A server that says nothing for so long is out of reach. Milliseconds. */
const SILENCE = 12_000;

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
  #heardAt = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pings;
  #pingSentAt = 0;
  #stats = { framesSent: 0, framesDropped: 0, framesReceived: 0, roundTripMs: NaN };

  /**
   * @param {string} url
   * @param {SocketHandlers} handlers
   */
  constructor(url, handlers) {
    this.#handlers = handlers;
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => {
      this.#heardAt = performance.now();
      this.#pings = setInterval(() => this.#ping(), PING_EVERY);
      handlers.opened();
    };
    this.#socket.onmessage = ({ data }) => {
      this.#heardAt = performance.now();
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
      clearInterval(this.#pings);
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
    clearInterval(this.#pings);
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.onopen = () => this.#socket.close(1000);
    this.#socket.close(1000, 'hang up');
  }

  /** Leaves the socket to its fate: no close frame, which would mean to hang up. */
  abandon() {
    clearInterval(this.#pings);
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // One that is not open yet must not open any more: it would use up the token.
    if (socket.readyState === WebSocket.CONNECTING) socket.close();
  }

  #ping() {
    if (performance.now() - this.#heardAt > SILENCE) {
      this.#handlers.silent();
      return;
    }
    this.#pingSentAt = performance.now();
    this.send({ type: 'ping' });
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
