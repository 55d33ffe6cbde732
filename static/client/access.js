/**
 * @file How a client is let in: what the server demands, and the ticket for one connection.
 *
 * A browser can send no header with a WebSocket, so a credential (an API key or a JWT) is
 * exchanged for a ticket that is good for one connection and a few seconds, and the ticket goes
 * in as a subprotocol. The credential itself is never part of an address.
 */

/** @typedef {{ required: boolean, user?: string, roles?: string[] }} Auth */

/** The subprotocol of a client that understands all of today's answers, `busy` among them. */
const PROTOCOL = 'voice.v1';

/** Why the server lets nobody in. */
export class AccessError extends Error {
  /** @param {'credential_needed' | 'credential_refused' | 'ticket_refused'} code */
  constructor(code) {
    super(code);
    this.name = 'AccessError';
    this.code = code;
  }
}

export class Access {
  #base;
  #credential;
  #ticket;
  /** @type {Promise<Auth | null> | null} */
  #auth = null;

  /**
   * @param {URL} base where the server is
   * @param {() => string | null} credential asked at each connection
   * @param {(() => Promise<string>) | undefined} ticket where tickets come from when the host page
   *   has a server of its own that fetches them; then no credential reaches the browser
   */
  constructor(base, credential, ticket) {
    this.#base = base;
    this.#credential = credential;
    this.#ticket = ticket;
  }

  /** Forgets what the server said, for instance because there is another credential now. */
  forget() {
    this.#auth = null;
  }

  /**
   * What the server demands. `null`: a server that knows no authentication.
   *
   * @returns {Promise<Auth | null>}
   */
  auth() {
    this.#auth ??= this.#ask().catch((error) => {
      this.#auth = null;
      throw error;
    });
    return this.#auth;
  }

  /**
   * The subprotocols of the next connection.
   *
   * @returns {Promise<string[]>} rejects with an `AccessError`, or as `fetch` does
   */
  async protocols() {
    if (this.#ticket) return [PROTOCOL, `ticket.${await this.#ticket()}`];
    const auth = await this.auth();
    // A server that does not answer to a subprotocol would make the browser give up.
    if (auth === null) return [];
    if (!auth.required) return [PROTOCOL];
    const credential = this.#credential();
    if (!credential) throw new AccessError('credential_needed');
    const answer = await this.#fetch('api/ticket', { method: 'POST' });
    if (answer.status === 401) throw new AccessError('credential_refused');
    if (!answer.ok) throw new AccessError('ticket_refused');
    const { ticket } = await answer.json();
    return [PROTOCOL, `ticket.${ticket}`];
  }

  /** @returns {Promise<Auth | null>} */
  async #ask() {
    const answer = await this.#fetch('api/auth', {});
    if (answer.status === 404) return null;
    if (answer.status === 401) return { required: true };
    if (!answer.ok) throw new Error(`api/auth: ${answer.status}`);
    return answer.json();
  }

  /**
   * @param {string} path
   * @param {RequestInit} options
   */
  #fetch(path, options) {
    const credential = this.#credential();
    const headers = { accept: 'application/json', ...(credential && { authorization: `Bearer ${credential}` }) };
    return fetch(new URL(path, this.#base), { ...options, headers, cache: 'no-store' });
  }
}
