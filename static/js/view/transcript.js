/**
 * @file The conversation: one element per line, keyed by the id of its `transcript` messages.
 *
 * A line keeps its element and its shape from the first speculative word to the final one, so
 * nothing jumps. Screen readers get final lines only, through a separate live region; the
 * visible list would make them read every half sentence.
 */

import { byId, make } from '../dom.js';

/** @import { Role, Transcript } from '../../client/messages.js' */

/** What the caller typed is shown at once; the server's echo of it is expected for this long. */
const ECHO_WITHIN = 20_000;

/**
 * @typedef {object} Line
 * @property {Role} role
 * @property {HTMLLIElement} element
 * @property {HTMLElement} text
 * @property {HTMLElement} mark
 * @property {HTMLElement} pace
 * @property {boolean} isFinal
 * @property {boolean} announced
 * @property {number} typedAt 0 when it was not typed here
 */

const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

export class TranscriptView {
  #scroller = byId('scroller', HTMLElement);
  #list = byId('lines', HTMLOListElement);
  #live = byId('live', HTMLElement);
  #latest = byId('latest', HTMLButtonElement);
  /** @type {Map<string, Line>} */
  #lines = new Map();
  #local = 0;
  /** Heights of the list and of its window when the newest line was last brought into sight. */
  #room = '';
  /** Whether the newest line is to be kept in sight. */
  #follows = true;

  constructor() {
    this.#scroller.addEventListener('scroll', () => this.#look(), { passive: true });
    this.#latest.addEventListener('click', () => this.toLatest());
    // The room changes with the window, a banner or the keyboard of a phone.
    new ResizeObserver(() => this.#keepUp()).observe(this.#scroller);
  }

  /**
   * A new call. What was typed for it before it was up stays.
   *
   * @param {{ keepTyped: boolean }} options
   */
  clear({ keepTyped }) {
    const kept = [...this.#lines].filter(([, line]) => keepTyped && line.typedAt > 0 && !line.isFinal);
    this.#lines = new Map(kept);
    this.#list.replaceChildren(...kept.map(([, line]) => line.element));
    this.#live.replaceChildren();
    this.toLatest();
  }

  /** @param {Transcript} message */
  show(message) {
    const line = this.#lineFor(message);
    if (line.text.textContent !== message.text) line.text.textContent = message.text;
    line.element.classList.toggle('is-caption', /^[([].*[)\]]$/s.test(message.text.trim()));
    if (message.interrupted) this.#interrupt(line);
    line.isFinal ||= message.isFinal;
    line.element.classList.toggle('is-speculative', !line.isFinal);
    if (line.isFinal && !line.announced) {
      line.announced = true;
      this.#announce(line);
    }
    this.#keepUp();
  }

  /** @param {string} text what the caller typed */
  typed(text) {
    this.#local += 1;
    const line = this.#add(`typed-${this.#local}`, 'user', undefined);
    line.text.textContent = text;
    line.typedAt = performance.now();
    line.announced = true;
    line.mark.textContent = 'typed';
    this.toLatest();
  }

  /** The assistant's turn was cut short. */
  cancelled() {
    const line = [...this.#lines.values()].findLast(({ role }) => role === 'assistant');
    if (line) this.#interrupt(line);
  }

  /** @param {number} ms how long the caller waited for the newest answer */
  answeredIn(ms) {
    const line = [...this.#lines.values()].findLast(({ role }) => role === 'assistant');
    if (line && line.pace.textContent === '') line.pace.textContent = `${(ms / 1000).toFixed(2)} s`;
  }

  /**
   * Places a card (a tool call, a note) after the newest line.
   *
   * @param {HTMLLIElement} element
   */
  insert(element) {
    this.#list.append(element);
    this.#keepUp();
  }

  /** The call is over: nothing is being said any more. */
  settle() {
    for (const line of this.#lines.values()) line.element.classList.remove('is-speculative');
  }

  toLatest() {
    this.#follows = true;
    this.#keepUp();
  }

  /** @param {Transcript} message */
  #lineFor({ id, role, text, timestamp }) {
    const known = id === undefined ? this.#openLine(role) : this.#lines.get(id);
    if (known) return known;
    const key = id ?? `line-${(this.#local += 1)}`;
    const echo = role === 'user' ? this.#takeTyped(text) : undefined;
    if (!echo) return this.#add(key, role, timestamp);
    this.#lines.set(key, echo);
    return echo;
  }

  /**
   * Servers without ids speak of the newest line of a role that is not final.
   *
   * @param {Role} role
   */
  #openLine(role) {
    return [...this.#lines.values()].findLast((line) => line.role === role && !line.isFinal && line.typedAt === 0);
  }

  /**
   * The line a user transcript repeats, if it was typed here.
   *
   * @param {string} text
   */
  #takeTyped(text) {
    for (const [key, line] of this.#lines) {
      if (line.typedAt === 0 || line.isFinal) continue;
      if (line.text.textContent?.trim() !== text.trim()) continue;
      if (performance.now() - line.typedAt > ECHO_WITHIN) continue;
      this.#lines.delete(key);
      return line;
    }
    return undefined;
  }

  /**
   * @param {string} key
   * @param {Role} role
   * @param {string | undefined} timestamp
   * @returns {Line}
   */
  #add(key, role, timestamp) {
    const at = timestamp ? new Date(timestamp) : new Date();
    const clock = make('time', '', time.format(Number.isNaN(at.getTime()) ? new Date() : at));
    const mark = make('span', 'line-mark');
    const pace = make('span', 'line-pace');
    pace.title = 'From the end of your words to the first sound of the answer';
    const who = make('span', 'line-who', role === 'user' ? 'You' : 'Assistant');
    const text = make('p', 'line-text');
    const element = make('li', `line is-${role}`, make('div', 'line-head', who, clock, pace, mark), text);
    element.dataset.line = key;
    this.#list.append(element);
    const line = { role, element, text, mark, pace, isFinal: false, announced: false, typedAt: 0 };
    this.#lines.set(key, line);
    return line;
  }

  /** @param {Line} line */
  #interrupt(line) {
    line.element.classList.add('is-interrupted');
    line.mark.textContent = 'interrupted';
  }

  /** @param {Line} line */
  #announce(line) {
    const who = line.role === 'user' ? 'You' : 'Assistant';
    this.#live.append(make('p', '', `${who}: ${line.text.textContent}`));
    while (this.#live.childElementCount > 5) this.#live.firstElementChild?.remove();
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    const room = `${scrollHeight} ${clientHeight}`;
    if (this.#follows && room !== this.#room) {
      // The room changed, and nobody scrolled.
      this.#keepUp();
      return;
    }
    this.#follows = scrollHeight - scrollTop - clientHeight < 48;
    this.#latest.hidden = this.#follows;
  }

  #keepUp() {
    const { scrollHeight, clientHeight } = this.#scroller;
    this.#room = `${scrollHeight} ${clientHeight}`;
    if (this.#follows) this.#scroller.scrollTop = scrollHeight;
    this.#latest.hidden = this.#follows;
  }
}
