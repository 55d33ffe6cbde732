/**
 * @file The server's HTTP routes that the pages use. Addresses are relative to the page, so that
 * it also works below a path prefix. Where the server wants a key, the reader is asked for it.
 */

import { ask, headers } from './key.js';

/** @typedef {{ id: string, name: string }} Choice */

/** @typedef {{ aws: string, region?: string, hears?: string, error?: string }} SystemStatus */

/** @typedef {{ name: string, description?: string, category?: string }} Tool */

/** @typedef {{ id: string, label: string, type: string }} GraphNode */

/** @typedef {{ id: string, name?: string, nodes: GraphNode[], edges: { from: string, to: string, label?: string }[] }} Graph */

/** An answer that was no success. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} rejects with `Refused`, or as `fetch` does
 */
export async function request(path, options = {}) {
  for (;;) {
    const sent = headers();
    if (options.body) sent['content-type'] = 'application/json';
    const answer = await fetch(new URL(path, document.baseURI), { ...options, headers: sent });
    if (answer.ok) return answer;
    if (answer.status === 401 && (await ask(''))) continue;
    const said = await answer.json().catch(() => null);
    throw new Refused(answer.status, said?.error?.message ?? `${path}: ${answer.status}`);
  }
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function read(path) {
  return (await request(path)).json();
}

/** @returns {Promise<Choice[]>} */
export const readPersonas = () => read('api/personas');

/** @returns {Promise<Choice[]>} */
export const readVoices = () => read('api/voices');

/** @returns {Promise<Choice[]>} */
export const readWorkflows = () => read('api/workflows');

/**
 * @param {string} id
 * @returns {Promise<Graph>}
 */
export const readWorkflow = (id) => read(`api/workflow/${encodeURIComponent(id)}`);

/** @returns {Promise<Tool[]>} */
export const readTools = () => read('api/tools');

/** @returns {Promise<SystemStatus>} */
export const readStatus = () => read('api/system/status');

/** @returns {Promise<import('../client/messages.js').Version>} */
export const readVersion = () => read('api/version');

/**
 * @param {string} sessionId
 * @param {number} score 1 … 5
 * @param {string} comment
 */
export const sendFeedback = (sessionId, score, comment) =>
  request('api/feedback', {
    method: 'POST',
    body: JSON.stringify({ sessionId, score, ...(comment && { comment }) }),
  });
