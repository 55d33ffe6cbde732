/**
 * @file A tool call as a card in the conversation: name, arguments, result, time.
 */

import { icon, make } from './dom.js';

/** @import { ToolUse, ToolResult } from '../call/messages.js' */

/**
 * @typedef {object} Card
 * @property {HTMLLIElement} element
 * @property {HTMLElement} state
 * @property {HTMLElement} body
 * @property {number} startedAt
 * @property {boolean} done
 */

export class ToolCards {
  #insert;
  /** @type {Map<string, Card>} */
  #cards = new Map();

  /** @param {(element: HTMLLIElement) => void} insert */
  constructor(insert) {
    this.#insert = insert;
  }

  clear() {
    this.#cards.clear();
  }

  /** @param {ToolUse} message */
  started({ toolName, toolInput, toolUseId }) {
    const state = make('span', 'tool-state', 'running');
    const head = make('summary', 'tool-head', icon('tool'), make('span', 'tool-name', words(toolName)), state, icon('chevron'));
    const body = make('div', 'tool-body', facts('Asked', toolInput));
    const element = make('li', 'tool is-running', make('details', '', head, body));
    element.dataset.tool = toolName;
    this.#cards.set(toolUseId, { element, state, body, startedAt: performance.now(), done: false });
    this.#insert(element);
  }

  /** @param {ToolResult} message */
  ended({ toolName, toolResult, toolUseId }) {
    if (!this.#cards.has(toolUseId)) this.started({ type: 'tool_use', toolName, toolInput: {}, toolUseId });
    const card = this.#cards.get(toolUseId);
    if (!card || card.done) return;
    card.done = true;
    const failed = isFailure(toolResult);
    card.element.classList.replace('is-running', failed ? 'is-failed' : 'is-done');
    card.state.textContent = `${failed ? 'failed' : 'done'} · ${duration(performance.now() - card.startedAt)}`;
    card.body.append(facts(failed ? 'Error' : 'Answered', toolResult));
  }

  /** The call is over: what still runs will not be heard of any more. */
  settle() {
    for (const card of this.#cards.values()) {
      if (card.done) continue;
      card.done = true;
      card.element.classList.replace('is-running', 'is-failed');
      card.state.textContent = 'no answer';
    }
  }
}

/** @param {unknown} result */
function isFailure(result) {
  if (typeof result !== 'object' || result === null) return false;
  if ('error' in result && Boolean(result.error)) return true;
  return 'status' in result && result.status === 'error';
}

/** @param {string} name such as `get_balance` or `getBalance` */
function words(name) {
  const spaced = name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/[_-]+/g, ' ').trim().toLowerCase();
  return spaced ? spaced[0].toUpperCase() + spaced.slice(1) : name;
}

/** @param {number} ms */
function duration(ms) {
  return ms < 950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/**
 * A value as a small table when it is a flat object, as JSON otherwise.
 *
 * @param {string} title
 * @param {unknown} value
 */
function facts(title, value) {
  const parsed = unfold(value);
  const heading = make('p', 'tool-title', title);
  if (typeof parsed !== 'object' || parsed === null) return make('div', '', heading, make('p', 'tool-plain', String(parsed)));
  const entries = Object.entries(parsed);
  if (entries.length === 0) return make('div', '', heading, make('p', 'tool-plain', 'nothing'));
  const flat = !Array.isArray(parsed) && entries.every(([, v]) => typeof v !== 'object' || v === null);
  if (!flat) return make('div', '', heading, make('pre', 'tool-json', JSON.stringify(parsed, null, 2)));
  const list = make('dl', 'tool-facts');
  for (const [key, v] of entries) list.append(make('dt', '', key), make('dd', '', String(v)));
  return make('div', '', heading, list);
}

/**
 * Some tools answer with a string that holds JSON.
 *
 * @param {unknown} value
 */
function unfold(value) {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
