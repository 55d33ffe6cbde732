/**
 * @file The parts of the server, each with its variables. Values of secrets never leave the server.
 */

import { make } from '../dom.js';

/** @typedef {{ name: string, value: string | null, secret: boolean }} Setting */

/** @typedef {{ id: string, title: string, standing: 'on' | 'note' | 'off', says: string, settings: Setting[] }} Part */

/** @type {Record<string, string>} */
const STANDINGS = { on: 'In use', note: 'Good to know', off: 'Not in use', bad: 'Not working' };

/**
 * @param {HTMLElement} list
 * @param {{ parts: Part[], model: { aws: string, error?: string } }} report
 */
export function showParts(list, { parts, model }) {
  list.replaceChildren(
    ...parts.map(({ id, title, standing, says, settings }) => {
      const isBroken = id === 'model' && model.aws === 'error';
      const state = isBroken ? 'bad' : standing;
      const words = isBroken ? (model.error ?? 'AWS cannot be used. The log of the server says more.') : says;
      const head = make('div', 'part-head', make('h3', 'card-title', title), make('span', `standing is-${state}`, STANDINGS[state] ?? state));
      const table = make('dl', 'variables');
      for (const { name, value, secret } of settings) {
        const shown = value === null ? make('span', 'unset', 'not set') : make(secret ? 'span' : 'code', '', value);
        table.append(make('dt', '', make('code', '', name)), make('dd', '', shown));
      }
      return make('li', 'part card', head, make('p', 'part-says', ...marked(words)), table);
    }),
  );
}

/**
 * Names of variables as code.
 *
 * @param {string} text
 */
function marked(text) {
  return text.split(/(\b[A-Z][A-Z_]{5,}[A-Z](?:=[^\s.,]+)?)/).map((part, i) => (i % 2 === 1 ? make('code', '', part) : part));
}
