/**
 * @file A tool call as a card in the conversation: name, arguments, result, time.
 */

import { icon, isFailure, make, valueTable, wait, words } from '../dom.js';

/** @import { ToolUse, ToolResult } from '../../client/messages.js' */

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
    const body = make('div', 'tool-body', valueTable('Asked', toolInput));
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
    card.state.textContent = `${failed ? 'failed' : 'done'} · ${wait(performance.now() - card.startedAt)}`;
    card.body.append(valueTable(failed ? 'Error' : 'Answered', toolResult));
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
