/**
 * @file Plays the recording of a call, and says where it is.
 */

import { request } from '../api.js';
import { button, icon, length, make } from '../dom.js';
import { credential } from '../key.js';

export class Player {
  #audio = new Audio();
  #play;
  #range;
  #clock = make('span', 'player-clock', '0:00');
  #began;
  #url;
  /** Of the blob that was fetched, to be given back. */
  #blob = '';
  element;

  /**
   * @param {string} url of the WAV
   * @param {number} began when the recording began, in seconds into the call
   * @param {(at: number) => void} onMove is told where it plays, in seconds into the call
   */
  constructor(url, began, onMove) {
    this.#url = url;
    this.#began = began;
    this.#play = button('icon-button is-play', icon('play'));
    this.#play.setAttribute('aria-label', 'Play the recording');
    this.#range = make('input', 'range');
    Object.assign(this.#range, { type: 'range', min: '0', max: '1', step: '0.1', value: '0' });
    this.#range.setAttribute('aria-label', 'Position in the recording');
    this.element = make('div', 'player', this.#play, this.#range, this.#clock);
    const audio = this.#audio;
    audio.preload = 'metadata';
    // An audio element sends no key; then the recording is fetched whole, when it is wanted.
    if (!credential()) audio.src = new URL(url, document.baseURI).href;
    this.#play.addEventListener('click', () => void this.toggle());
    this.#range.addEventListener('input', () => void this.#jump(Number(this.#range.value)));
    audio.addEventListener('loadedmetadata', () => this.#show());
    audio.addEventListener('timeupdate', () => {
      this.#show();
      onMove(began + audio.currentTime);
    });
    for (const change of ['play', 'pause', 'ended']) audio.addEventListener(change, () => this.#label());
  }

  async toggle() {
    if (!(await this.#fetched())) return;
    if (this.#audio.paused) await this.#audio.play().catch(() => this.#failed());
    else this.#audio.pause();
  }

  /** @param {number} at seconds into the call */
  seek(at) {
    void this.#jump(Math.max(0, at - this.#began));
  }

  close() {
    this.#audio.pause();
    this.#audio.removeAttribute('src');
    URL.revokeObjectURL(this.#blob);
  }

  /** @param {number} time of the recording, seconds */
  async #jump(time) {
    if (await this.#fetched()) this.#audio.currentTime = time;
  }

  async #fetched() {
    if (this.#audio.src) return true;
    try {
      const recording = await (await request(this.#url)).blob();
      this.#blob = URL.createObjectURL(recording);
      this.#audio.src = this.#blob;
      return true;
    } catch {
      this.#failed();
      return false;
    }
  }

  #failed() {
    this.#clock.textContent = 'cannot be played';
  }

  #show() {
    const { currentTime, duration } = this.#audio;
    const whole = Number.isFinite(duration) ? duration : 0;
    this.#range.max = String(whole || 1);
    this.#range.value = String(currentTime);
    this.#range.setAttribute('aria-valuetext', `${length(currentTime)} of ${length(whole)}`);
    this.#clock.textContent = `${length(currentTime)} / ${length(whole)}`;
  }

  #label() {
    const { paused } = this.#audio;
    this.#play.replaceChildren(icon(paused ? 'play' : 'pause'));
    this.#play.setAttribute('aria-label', paused ? 'Play the recording' : 'Pause');
  }
}
