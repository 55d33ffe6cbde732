/**
 * @file The list of calls: pages of them from the server, searched and filtered here.
 */

import { request } from '../api.js';
import { button, byId, length, make, money, words } from '../dom.js';
import { causeInWords } from './log.js';

/**
 * @typedef {object} Item
 * @property {string} id
 * @property {string | null} date
 * @property {string} summary
 * @property {{ text?: string }[]} transcript
 * @property {{ cost?: number, currency?: string } | null} usage
 * @property {{ score?: number } | null} feedback
 * @property {number | null} durationMs
 * @property {{ cause?: string } | null} end
 * @property {string | null} persona
 * @property {number} errors
 * @property {boolean} transferred
 * @property {object | null} recording
 */

/** @type {Record<string, (item: Item) => boolean>} */
const FILTERS = {
  errors: (item) => item.errors > 0,
  transfer: (item) => item.transferred,
  recorded: (item) => item.recording !== null,
  rated: (item) => typeof item.feedback?.score === 'number',
};

const PAGE = 50;

const day = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

export class CallList {
  #choose;
  #list = byId('calls', HTMLOListElement);
  #count = byId('count', HTMLElement);
  #older = byId('older', HTMLButtonElement);
  #search = byId('search', HTMLInputElement);
  /** @type {Set<string>} */
  #filters = new Set();
  /** @type {Item[]} */
  #items = [];
  /** Where older ones are; empty when there are none. */
  #next = '';
  #chosen = '';

  /** @param {(id: string) => void} choose */
  constructor(choose) {
    this.#choose = choose;
    this.#search.addEventListener('input', () => this.#render());
    this.#older.addEventListener('click', () => void this.#more());
    for (const chip of document.querySelectorAll('[data-filter]')) {
      chip.addEventListener('click', () => {
        const name = /** @type {HTMLElement} */ (chip).dataset.filter ?? '';
        const on = !this.#filters.delete(name);
        if (on) this.#filters.add(name);
        chip.setAttribute('aria-pressed', String(on));
        this.#render();
      });
    }
  }

  async load() {
    this.#items = [];
    this.#next = `api/history?limit=${PAGE}`;
    await this.#more();
  }

  /** @param {string} id of the call that is shown */
  mark(id) {
    this.#chosen = id;
    for (const item of this.#list.querySelectorAll('.call')) {
      const chosen = /** @type {HTMLElement} */ (item).dataset.id === id;
      if (chosen) item.setAttribute('aria-current', 'true');
      else item.removeAttribute('aria-current');
    }
  }

  async #more() {
    this.#older.disabled = true;
    try {
      const answer = await request(this.#next);
      this.#next = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1]?.replace(/^\//, '') ?? '';
      this.#items.push(...(await answer.json()));
      this.#render();
    } catch (error) {
      this.#count.textContent = `The calls cannot be read now. (${error instanceof Error ? error.message : error})`;
    }
    this.#older.disabled = false;
    this.#older.hidden = this.#next === '';
  }

  #render() {
    const sought = this.#search.value.trim().toLowerCase();
    const fits = (/** @type {Item} */ item) =>
      [...this.#filters].every((name) => FILTERS[name]?.(item) ?? true) &&
      (sought === '' ||
        item.id.toLowerCase().includes(sought) ||
        item.transcript.some(({ text = '' }) => text.toLowerCase().includes(sought)));
    const shown = this.#items.filter(fits);
    const all = `${this.#items.length}${this.#next ? '+' : ''}`;
    if (this.#items.length === 0) this.#count.textContent = 'No call has been kept yet.';
    else if (shown.length === this.#items.length) this.#count.textContent = `${all} calls, newest first`;
    else this.#count.textContent = `${shown.length} of ${all} calls`;
    let heading = '';
    const children = [];
    for (const item of shown) {
      const at = item.date ? new Date(item.date) : null;
      const today = at ? day.format(at) : 'Without a date';
      if (today !== heading) {
        heading = today;
        children.push(make('li', 'calls-day', make('h2', '', today)));
      }
      children.push(this.#row(item, at));
    }
    this.#list.replaceChildren(...children);
    this.mark(this.#chosen);
  }

  /**
   * @param {Item} item
   * @param {Date | null} at
   */
  #row(item, at) {
    const head = make('span', 'call-head', make('span', 'call-time', at ? clock.format(at) : '–'));
    if (item.durationMs !== null) head.append(make('span', '', length(item.durationMs / 1000)));
    if (item.persona) head.append(make('span', 'call-persona', words(item.persona.replace(/^persona-/, ''))));
    const marks = make('span', 'call-marks');
    if (item.errors > 0) marks.append(make('span', 'mark is-bad', item.errors === 1 ? '1 error' : `${item.errors} errors`));
    if (item.transferred) marks.append(make('span', 'mark', 'handed over'));
    if (item.recording) marks.append(make('span', 'mark', 'recorded'));
    if (typeof item.feedback?.score === 'number') marks.append(make('span', 'mark', `rated ${item.feedback.score}`));
    if (item.usage?.cost !== undefined) marks.append(make('span', 'mark is-plain', money(item.usage.cost, item.usage.currency)));
    const row = button('call', head, make('span', 'call-summary', item.summary || causeInWords(item.end?.cause)), marks);
    row.dataset.id = item.id;
    row.addEventListener('click', () => this.#choose(item.id));
    return make('li', '', row);
  }
}
