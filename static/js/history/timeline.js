/**
 * @file What happened when, on one axis: speech, tools, steps, renewals and errors. A picture for
 * the eye; the transcript beside it has the same in words.
 */

import { length, make } from '../dom.js';
import { tick } from './log.js';

/** @import { Lane, Mark } from './log.js' */

/** @type {[Lane, string][]} */
const LANES = [
  ['caller', 'Caller'],
  ['assistant', 'Assistant'],
  ['tools', 'Tools'],
  ['steps', 'Steps'],
  ['events', 'Events'],
];

export class Timeline {
  #length;
  #head = make('div', 'playhead');
  #axis;
  element;

  /**
   * @param {number} seconds how long the call was
   * @param {Mark[]} marks
   * @param {(at: number) => void} onSeek is told where one points, in seconds into the call
   */
  constructor(seconds, marks, onSeek) {
    this.#length = seconds;
    this.#head.hidden = true;
    this.#axis = make('div', 'axis');
    const step = tick(seconds);
    for (let at = 0; at <= seconds - step * 0.7; at += step) {
      const label = make('span', 'tick', length(at));
      label.style.setProperty('--from', this.#part(at));
      this.#axis.append(label);
    }
    this.element = make('div', 'timeline');
    this.element.setAttribute('aria-hidden', 'true');
    for (const [lane, name] of LANES) {
      const own = marks.filter((mark) => mark.lane === lane);
      if (own.length === 0 && lane !== 'caller' && lane !== 'assistant') continue;
      const track = make('div', `track is-${lane}`);
      for (const { from, to, label, tone } of own) {
        const mark = make('span', `event ${to > from ? 'has-length' : ''} ${tone && `is-${tone}`}`);
        mark.style.setProperty('--from', this.#part(from));
        mark.style.setProperty('--to', this.#part(to));
        mark.title = `${length(from)} ${label}`;
        track.append(mark);
      }
      this.element.append(make('span', 'lane-name', name), track);
    }
    this.element.append(make('span', 'lane-name'), this.#axis);
    const over = make('div', 'timeline-over', this.#head);
    this.element.append(over);
    this.element.addEventListener('click', (event) => {
      const { left, width } = this.#axis.getBoundingClientRect();
      const part = (event.clientX - left) / width;
      if (part >= 0 && part <= 1) onSeek(part * this.#length);
    });
  }

  /** @param {number} at seconds into the call */
  moveTo(at) {
    this.#head.hidden = false;
    this.#head.style.setProperty('--from', this.#part(at));
  }

  /** @param {number} at */
  #part(at) {
    return `${(Math.min(1, Math.max(0, at / this.#length)) * 100).toFixed(3)}%`;
  }
}
