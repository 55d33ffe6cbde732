/**
 * @file The line to the server: one socket after another, as long as the server keeps the call.
 *
 * A connection that is lost is replaced: with the token of the last `connected` the next socket
 * gets the same call. What the caller says meanwhile is kept and sent then. Who listens here
 * hears of a loss and of the return, and otherwise of one line that never broke.
 *
 *             closed without a word, restart,
 *             offline, no pong                       `connected`, resumed
 *   attached ─────────────────────────▶ lost ───────────────────────────────▶ attached
 *      │ closed in order                  │ out of time, or refused
 *      ▼                                  ▼
 *   (closed)                           (closed)
 */

import { NO_SOCKET, SonicSocket } from './socket.js';

/** @import { ClientMessage, ServerMessage } from './messages.js' */

/** How long a lost connection is tried again; the server keeps a call as long. Milliseconds. */
const KEEP_TRYING = 30_000;

/** Pauses between the attempts; the last one is repeated. Milliseconds. */
const PAUSES = [0, 300, 1_000, 2_000, 4_000];

/** How long a new socket may take to open. Milliseconds. */
const OPEN_WITHIN = 5_000;

/** Caller audio that is kept while there is no connection: ten seconds. Bytes. */
const MAX_KEPT = 10 * 32_000;

/** Kept audio is sent in pieces of half a second. Bytes. */
const PIECE = 16_000;

/** Messages that wait while there is no connection. */
const MAX_WAITING = 16;

/** A connection that ended without a close frame, and a server that restarts. Close codes. */
const ABNORMAL = 1006;
const RESTART = 1012;

/**
 * @typedef {object} LinkHandlers
 * @property {() => Promise<string[]>} protocols the subprotocols of the next connection
 * @property {(error: unknown) => void} refused they could not be had for the first one
 * @property {() => void} opened the first connection is there
 * @property {(message: ServerMessage) => void} message
 * @property {(pcm: ArrayBuffer) => void} audio
 * @property {() => void} lost
 * @property {() => void} back to the same call
 * @property {(code: number, reason: string, wasOpen: boolean) => void} closed for good
 */

export class CallLink {
  #url;
  #handlers;
  /** Absent while the subprotocols of the next one are fetched. @type {SonicSocket | null} */
  #socket = null;
  #isClosed = false;
  /** Which attempt to connect is the present one. */
  #attempt = 0;
  #sessionId = '';
  #token = '';
  #lastSeq = 0;
  #heardBytes = 0;
  #wasOpen = false;
  /** When the connection was lost; 0 while it is there. */
  #lostAt = 0;
  #failures = 0;
  #returns = 0;
  /** @type {ArrayBuffer[]} */
  #kept = [];
  #keptBytes = 0;
  /** @type {ClientMessage[]} */
  #waiting = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #onOffline = () => this.#lose();
  #onOnline = () => this.#retryNow();

  /**
   * @param {string} url
   * @param {LinkHandlers} handlers
   */
  constructor(url, handlers) {
    this.#url = url;
    this.#handlers = handlers;
    void this.#connect(url);
    addEventListener('offline', this.#onOffline);
    addEventListener('online', this.#onOnline);
  }

  get stats() {
    return { ...(this.#socket?.stats ?? NO_SOCKET), returns: this.#returns };
  }

  /** @param {ClientMessage} message */
  send(message) {
    if (this.#lostAt === 0) this.#socket?.send(message);
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(message);
  }

  /** @param {ArrayBuffer} pcm 16 kHz PCM16 */
  sendAudio(pcm) {
    if (this.#lostAt === 0 && this.#kept.length === 0) {
      this.#socket?.sendAudio(pcm);
      return;
    }
    // Behind what is kept, so that the order stays.
    this.#kept.push(pcm);
    this.#keptBytes += pcm.byteLength;
    while (this.#keptBytes > MAX_KEPT) this.#keptBytes -= this.#kept.shift()?.byteLength ?? 0;
    if (this.#lostAt === 0) this.#sendKept();
  }

  /** Hangs up. `closed` is not called any more. */
  close() {
    this.#forget();
    this.#socket?.close();
  }

  /**
   * @param {string} url
   * @param {string} [token] of the call that is come back to
   */
  async #connect(url, token) {
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#socket = null;
    let protocols;
    try {
      protocols = await this.#handlers.protocols();
    } catch (error) {
      if (attempt !== this.#attempt || this.#isClosed) return;
      if (this.#lostAt !== 0) {
        this.#giveUp();
        return;
      }
      this.#forget();
      this.#handlers.refused(error);
      return;
    }
    if (attempt !== this.#attempt || this.#isClosed) return;
    if (token && protocols.length > 0) protocols = [...protocols, `resume.${token}`];
    // Addresses end up in logs; only a server of before subprotocols has to find it there.
    else if (token) url = `${url}&resumeToken=${encodeURIComponent(token)}`;
    this.#socket = new SonicSocket(url, protocols, {
      opened: () => {
        if (this.#wasOpen) return;
        this.#wasOpen = true;
        this.#handlers.opened();
      },
      message: (message) => this.#receive(message),
      audio: (pcm) => {
        this.#heardBytes += pcm.byteLength;
        this.#handlers.audio(pcm);
      },
      closed: (code, reason) => this.#closed(code, reason),
      silent: () => (this.#lostAt === 0 ? this.#lose() : this.#giveUp()),
    });
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    if (message.seq) this.#lastSeq = message.seq;
    if (message.type === 'connected') {
      this.#sessionId = message.sessionId;
      this.#token = message.resumeToken ?? '';
      if (this.#lostAt !== 0) this.#return(message.resumed === true);
      if (message.resumed) return;
    }
    this.#handlers.message(message);
  }

  /** @param {boolean} resumed whether it is the same call */
  #return(resumed) {
    clearTimeout(this.#timer);
    this.#lostAt = 0;
    this.#failures = 0;
    this.#returns += 1;
    if (resumed) {
      this.#sendKept();
      this.#handlers.back();
    } else {
      // A call of its own: it wants its settings, and knows nothing of what was said.
      this.#lastSeq = 0;
      this.#heardBytes = 0;
      this.#kept = [];
      this.#keptBytes = 0;
      this.#handlers.opened();
    }
    for (const message of this.#waiting.splice(0)) this.#socket?.send(message);
  }

  /** Sends what is kept as far as the network takes it; the rest goes with the next frames. */
  #sendKept() {
    while (this.#kept.length > 0 && this.#socket?.hasRoom) {
      const frames = [];
      let bytes = 0;
      while (this.#kept[0] && (bytes === 0 || bytes + this.#kept[0].byteLength <= PIECE)) {
        bytes += this.#kept[0].byteLength;
        frames.push(new Uint8Array(this.#kept[0]));
        this.#kept.shift();
      }
      const piece = new Uint8Array(bytes);
      let end = 0;
      for (const frame of frames) {
        piece.set(frame, end);
        end += frame.byteLength;
      }
      this.#keptBytes -= bytes;
      this.#socket.sendAudio(piece);
    }
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    if (this.#lostAt !== 0) {
      this.#retry();
    } else if ((code === ABNORMAL || code === RESTART) && this.#wasOpen && this.#token) {
      this.#lose();
    } else {
      this.#forget();
      this.#handlers.closed(code, reason, this.#wasOpen);
    }
  }

  #lose() {
    if (this.#lostAt !== 0 || !this.#token) return;
    this.#lostAt = performance.now();
    this.#socket?.abandon();
    this.#handlers.lost();
    this.#retry();
  }

  #retry() {
    clearTimeout(this.#timer);
    if (performance.now() - this.#lostAt > KEEP_TRYING) {
      this.#forget();
      this.#handlers.closed(ABNORMAL, '', true);
      return;
    }
    const pause = PAUSES[Math.min(this.#failures, PAUSES.length - 1)] ?? 0;
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#tryAgain(), pause);
  }

  #retryNow() {
    if (this.#lostAt === 0) return;
    clearTimeout(this.#timer);
    this.#socket?.abandon();
    this.#tryAgain();
  }

  #tryAgain() {
    const query = new URLSearchParams({
      sessionId: this.#sessionId,
      lastSeq: String(this.#lastSeq),
      heardBytes: String(this.#heardBytes),
    });
    void this.#connect(`${this.#url}?${query}`, this.#token);
    // Once it is open it has used the token up: then only its silence counts.
    this.#timer = setTimeout(() => {
      if (!this.#socket?.isOpen) this.#giveUp();
    }, OPEN_WITHIN);
  }

  #giveUp() {
    this.#attempt += 1;
    this.#socket?.abandon();
    this.#retry();
  }

  #forget() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    removeEventListener('offline', this.#onOffline);
    removeEventListener('online', this.#onOnline);
  }
}
