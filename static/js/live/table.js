/**
 * @file The table of calls. Rows keep their elements, so that nothing jumps and no focus is lost.
 */

import { button, byId, icon, length, make, wait, words } from '../dom.js';
import { spark } from './spark.js';

/** @import { Call } from './board.js' */

/** @type {Record<string, string>} */
const STATES = {
  starting: 'Starting',
  listening: 'Listening',
  caller: 'Caller speaks',
  thinking: 'Thinking',
  tool: 'Tool at work',
  assistant: 'Assistant speaks',
  away: 'Connection lost',
  transferred: 'Handed over',
};

/**
 * @typedef {object} Row
 * @property {HTMLTableRowElement} element
 * @property {HTMLElement} state
 * @property {HTMLElement} age
 * @property {HTMLElement} persona
 * @property {HTMLElement} step
 * @property {HTMLElement} answer
 * @property {HTMLElement} errors
 * @property {number} startedAt
 * @property {string} drawn
 */

export class CallTable {
  #actions;
  #body = byId('rows', HTMLTableSectionElement);
  #table = byId('table-place', HTMLElement);
  #nobody = byId('no-calls', HTMLElement);
  #sure = byId('sure', HTMLDialogElement);
  #asked = '';
  /** @type {Map<string, Row>} */
  #rows = new Map();

  /** @param {{ listen: (id: string) => void, hangUp: (id: string) => void }} actions */
  constructor(actions) {
    this.#actions = actions;
    this.#table.hidden = true;
    byId('sure-no', HTMLButtonElement).addEventListener('click', () => this.#sure.close());
    byId('sure-yes', HTMLButtonElement).addEventListener('click', () => {
      this.#sure.close();
      actions.hangUp(this.#asked);
    });
  }

  /** @param {Call[]} calls */
  render(calls) {
    const ids = new Set(calls.map(({ callId }) => callId));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    for (const call of calls) this.#update(this.#rows.get(call.callId) ?? this.#add(call), call);
    this.#table.hidden = calls.length === 0;
    this.#nobody.hidden = calls.length > 0;
  }

  /** Time goes on. */
  age() {
    for (const { age, startedAt } of this.#rows.values()) age.textContent = length((Date.now() - startedAt) / 1000);
  }

  /**
   * @param {Call} call
   * @returns {Row}
   */
  #add({ callId }) {
    const listen = button('button is-quiet', 'Read along');
    listen.addEventListener('click', () => this.#actions.listen(callId));
    const hangUp = button('button is-quiet', icon('hang-up'), 'Hang up');
    hangUp.addEventListener('click', () => {
      this.#asked = callId;
      byId('sure-text', HTMLElement).textContent = `The caller of ${callId} is cut off at once.`;
      this.#sure.showModal();
    });
    const [state, persona, step, answer] = [make('span', 'live-word'), make('span', ''), make('span', ''), make('span', 'answer')];
    const [age, errors] = [make('td', 'is-number'), make('td', 'is-number')];
    const element = make(
      'tr', '', make('td', '', state), age, make('td', '', persona), make('td', '', step),
      make('td', 'is-number', answer), errors, make('td', 'row-actions', listen, hangUp),
    );
    element.dataset.call = callId;
    this.#body.append(element);
    const row = { element, state, age, persona, step, answer, errors, startedAt: Date.now(), drawn: '' };
    this.#rows.set(callId, row);
    return row;
  }

  /**
   * @param {Row} row
   * @param {Call} call
   */
  #update(row, call) {
    row.startedAt = call.startedAt;
    row.state.textContent = STATES[call.state] ?? call.state;
    row.state.dataset.state = call.state;
    row.persona.textContent = [call.persona ? words(call.persona.replace(/^persona-/, '')) : 'No persona', call.from].join(' · ');
    row.step.textContent = call.stepId ? `${words(call.workflow ?? '')}: ${words(call.stepId)}` : '–';
    row.errors.textContent = String(call.errors);
    row.errors.title = call.lastError ?? '';
    row.errors.classList.toggle('is-bad', call.errors > 0);
    // Drawn anew only when there is something new: many messages are about other things.
    const drawn = call.waits.join();
    if (drawn !== row.drawn || row.answer.childElementCount === 0) {
      row.drawn = drawn;
      row.answer.replaceChildren(spark(call.waits, 'Answer times'), make('span', '', wait(call.ttft_ms)));
    }
    this.age();
  }
}
