/**
 * @file The list of calls: pages of them from the server, searched and filtered here. While
 * something is sought, older pages are asked for by themselves until enough was found.
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
/** A search stops there and leaves going on to the button. */
const ENOUGH_FOUND = 20;
const PAGES_A_SEARCH = 20;

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
  /** The search that goes on: a later one takes its place. */
  #looking = 0;
  /** @type {Promise<boolean> | null} the page that is on its way */
  #page = null;

  /** @param {(id: string) => void} choose */
  constructor(choose) {
    this.#choose = choose;
    this.#search.addEventListener('input', () => void this.#seek());
    this.#older.addEventListener('click', () => void (this.#seeking() ? this.#seek() : this.#more()));
    for (const chip of document.querySelectorAll('[data-filter]')) {
      chip.addEventListener('click', () => {
        const name = /** @type {HTMLElement} */ (chip).dataset.filter ?? '';
        const on = !this.#filters.delete(name);
        if (on) this.#filters.add(name);
        chip.setAttribute('aria-pressed', String(on));
        void this.#seek();
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

  #seeking() {
    return this.#search.value.trim() !== '' || this.#filters.size > 0;
  }

  /** Shows what fits, and asks for older calls as long as little does. */
  async #seek() {
    const mine = ++this.#looking;
    const before = this.#render();
    for (let pages = 0; pages < PAGES_A_SEARCH && this.#next && this.#seeking(); pages++) {
      // Not for each letter that is typed.
      await new Promise((wait) => setTimeout(wait, pages === 0 ? 300 : 0));
      if (mine !== this.#looking) return;
      if (!(await this.#more()) || mine !== this.#looking) return;
      if (this.#render() >= before + ENOUGH_FOUND) return;
    }
  }

  /**
   * The next page; one at a time.
   *
   * @returns {Promise<boolean>} whether there was an answer
   */
  #more() {
    this.#page ??= this.#ask().finally(() => (this.#page = null));
    return this.#page;
  }

  async #ask() {
    this.#older.disabled = true;
    let answered = true;
    try {
      const answer = await request(this.#next);
      this.#next = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1]?.replace(/^\//, '') ?? '';
      this.#items.push(...(await answer.json()));
      this.#render();
    } catch (error) {
      this.#count.textContent = `The calls cannot be read now. (${error instanceof Error ? error.message : error})`;
      answered = false;
    }
    this.#older.disabled = false;
    this.#older.hidden = this.#next === '';
    return answered;
  }

  /** @returns {number} how many fit */
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
    return shown.length;
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
