/**
 * @file The server's HTTP routes the page reads. Addresses are relative to the page, so that
 * it also works below a path prefix.
 */

/** @typedef {{ id: string, name: string }} Choice */

/** @typedef {{ aws: string, region?: string, hears?: string, error?: string }} SystemStatus */

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
async function read(path) {
  const answer = await fetch(new URL(path, document.baseURI), { headers: { accept: 'application/json' } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** @returns {Promise<Choice[]>} */
export const readPersonas = () => read('api/personas');

/** @returns {Promise<Choice[]>} */
export const readVoices = () => read('api/voices');

/** @returns {Promise<SystemStatus>} */
export const readStatus = () => read('api/system/status');

/** @returns {Promise<import('./call/messages.js').Version>} */
export const readVersion = () => read('api/version');

/** Whether the server takes calls. Rejects when it cannot be reached. */
export async function isReady() {
  const answer = await fetch(new URL('ready', document.baseURI));
  return answer.ok;
}

/** The address of the call. */
export function sonicUrl() {
  const url = new URL('sonic', document.baseURI);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}
