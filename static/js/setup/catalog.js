/**
 * @file The tools, workflows and prompts in use, and what is wrong with the files.
 */

import { icon, make } from '../dom.js';

/** @typedef {{ severity: string, file: string, line?: number, column?: number, what: string, remedy: string }} Problem */

/**
 * @typedef {object} Catalog
 * @property {number} tools
 * @property {number} workflows
 * @property {number} prompts
 * @property {number} generation
 * @property {string} loadedAt
 * @property {string | null} refusedAt
 * @property {Problem[]} problems
 */

/**
 * @param {HTMLElement} place
 * @param {Catalog} catalog
 */
export function showCatalog(place, { tools, workflows, prompts, generation, loadedAt, refusedAt, problems }) {
  const at = (/** @type {string} */ text) => new Date(text).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
  const count = make('p', '', `${tools} tools, ${workflows} workflows and ${prompts} prompts are in use.`);
  const since = make('p', 'soft', `Loaded ${at(loadedAt)}${generation > 1 ? `, for the ${generation}. time` : ''}. New calls get changed files without a restart.`);
  place.replaceChildren(count, since);
  if (refusedAt) {
    place.append(make('p', 'fault', `The files changed ${at(refusedAt)}, have errors, and were not taken.`));
  }
  if (problems.length === 0) {
    place.append(make('p', 'all-well', icon('check'), 'No mistake in the files.'));
    return;
  }
  const list = make('ul', 'problems');
  for (const problem of problems) {
    const { severity, file, line, column, what, remedy } = problem;
    const where = make('code', 'problem-where', [file, line, column].filter((part) => part !== undefined).join(':'));
    const text = make('div', '', where, make('p', '', what), make('p', 'soft', remedy));
    list.append(make('li', `problem is-${severity}`, icon(severity === 'error' ? 'alert' : 'info'), text));
  }
  place.append(list);
}
