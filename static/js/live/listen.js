/**
 * @file The transcript of one call as it is said, without its sound.
 */

import { byId, icon, make, valueTable, words } from '../dom.js';

/** @import { Board, Line } from './board.js' */
/** @import { MonitorMessage } from './monitor.js' */

export class Listen {
  #board;
  #place = byId('listen', HTMLElement);
  #name = byId('listen-name', HTMLElement);
  #scroller = byId('listen-scroller', HTMLElement);
  #list = byId('listen-lines', HTMLOListElement);
  #id = '';
  /** @type {Map<string, HTMLElement>} */
  #lines = new Map();
  /** @type {Map<string, HTMLElement>} */
  #tools = new Map();

  /** @param {Board} board */
  constructor(board) {
    this.#board = board;
    byId('listen-close', HTMLButtonElement).addEventListener('click', () => this.#close());
  }

  /** @param {string} id */
  open(id) {
    this.#id = id;
    this.#place.hidden = false;
    this.#redraw();
    this.#scroller.focus({ preventScroll: false });
  }

  /** @param {MonitorMessage} message */
  take(message) {
    if (this.#id === '') return;
    if (message.type === 'sbc_snapshot') this.#redraw();
    if (message.callId !== this.#id) return;
    const follows = this.#scroller.scrollHeight - this.#scroller.scrollTop - this.#scroller.clientHeight < 48;
    switch (message.type) {
      case 'sbc_line':
      case 'sbc_transcript': {
        const line = this.#board.call(this.#id)?.lines.findLast(({ id }) => id === (message.id ?? id));
        if (line) this.#show(line);
        break;
      }
      case 'sbc_tool_use':
        this.#tool(message);
        break;
      case 'sbc_tool_result':
        this.#tools.get(message.toolUseId)?.append(valueTable(words(message.outcome ?? 'answered'), message.result));
        break;
      case 'sbc_workflow_step':
        this.#remark(`Step: ${words(message.stepId)}`);
        break;
      case 'sbc_error':
        this.#remark(`${message.message} (${message.code})`);
        break;
      case 'sbc_call_end':
        this.#remark(`The call is over: ${words(message.cause ?? '')}`);
        break;
    }
    if (follows) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #close() {
    this.#id = '';
    this.#place.hidden = true;
  }

  #redraw() {
    const call = this.#board.call(this.#id);
    this.#lines.clear();
    this.#tools.clear();
    this.#list.replaceChildren();
    this.#name.textContent = this.#id;
    for (const line of call?.lines ?? []) this.#show(line);
    if (!call) this.#remark('The call is over.');
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** @param {Line} line */
  #show({ id, role, text, isFinal, interrupted }) {
    let element = this.#lines.get(id);
    if (!element) {
      const head = make('div', 'line-head', make('span', 'line-who', role === 'user' ? 'Caller' : 'Assistant'));
      element = make('li', `line is-${role}`, head, make('p', 'line-text'));
      this.#lines.set(id, element);
      this.#list.append(element);
    }
    element.classList.toggle('is-speculative', !isFinal);
    element.classList.toggle('is-interrupted', interrupted);
    const place = element.querySelector('.line-text');
    if (place) place.textContent = text;
  }

  /** @param {MonitorMessage} message */
  #tool({ toolName, args, toolUseId }) {
    const body = make('div', 'tool-body', valueTable('Asked', args));
    const head = make('summary', 'tool-head', icon('tool'), make('span', 'tool-name', words(toolName)), icon('chevron'));
    this.#tools.set(toolUseId, body);
    this.#list.append(make('li', 'tool', make('details', '', head, body)));
  }

  /** @param {string} text */
  #remark(text) {
    this.#list.append(make('li', 'remark', text));
  }
}
