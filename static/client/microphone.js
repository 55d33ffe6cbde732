/**
 * @file The caller's microphone through a whole call: opened, muted, held, pushed to talk, changed
 * for another device, and taken up again when its device goes away. `capture.js` is one device.
 */

import { Capture } from './capture.js';
import { describeMicrophoneError } from './help.js';

/** @import { Trouble } from './help.js' */

/** `off`: none in this call; `asking`: the browser asks the caller. @typedef {'off' | 'asking' | 'on' | 'muted'} MicrophoneState */

/** What is still heard after the key is let go: the end of the last word. Milliseconds. */
const LET_GO = 250;

/**
 * @typedef {object} MicrophoneHandlers
 * @property {(pcm: ArrayBuffer, rms: number) => void} frame
 * @property {(state: MicrophoneState) => void} changed
 * @property {(trouble: Trouble) => void} trouble
 */

export class Microphone {
  #handlers;
  /** @type {Capture | null} */
  #capture = null;
  /** @type {MicrophoneState} */
  #state = 'off';
  #deviceId = '';
  #isMuted = false;
  #isHeld = false;
  #pushToTalk = false;
  #isPressed = false;
  /** Counts openings, so that one that was given up does not come in late. */
  #number = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #lettingGo;
  #last = {};

  /** @param {MicrophoneHandlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  get state() {
    return this.#state;
  }

  get analyser() {
    return this.#capture?.analyser ?? null;
  }

  get pushToTalk() {
    return this.#pushToTalk;
  }

  get stats() {
    return this.#capture?.stats ?? this.#last;
  }

  async open() {
    if (this.#capture || this.#state === 'asking') return;
    this.#set('asking');
    await this.#take(this.#deviceId);
  }

  close() {
    this.#number += 1;
    this.#drop();
    this.#isMuted = this.#isHeld = this.#isPressed = false;
    this.#set('off');
  }

  /**
   * Another device, also in the middle of a call.
   *
   * @param {string} deviceId empty: the system's choice
   */
  async useDevice(deviceId) {
    this.#deviceId = deviceId;
    if (this.#capture) await this.#take(deviceId);
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    this.#isMuted = muted;
    this.#apply();
  }

  /** @param {boolean} held */
  setHeld(held) {
    this.#isHeld = held;
    this.#apply();
  }

  /** @param {boolean} on whether only a pressed key is heard */
  setPushToTalk(on) {
    this.#pushToTalk = on;
    this.#isPressed = false;
    this.#apply();
  }

  /** @param {boolean} pressed */
  press(pressed) {
    clearTimeout(this.#lettingGo);
    if (pressed) this.#pressed(true);
    else this.#lettingGo = setTimeout(() => this.#pressed(false), LET_GO);
  }

  /** @param {boolean} pressed */
  #pressed(pressed) {
    this.#isPressed = pressed;
    this.#apply();
  }

  /** @param {string} deviceId */
  async #take(deviceId) {
    this.#number += 1;
    const number = this.#number;
    try {
      const { frame } = this.#handlers;
      const capture = await Capture.open(deviceId, frame, () => void this.#lost());
      if (number !== this.#number) {
        capture.close();
        return;
      }
      this.#drop();
      this.#capture = capture;
      this.#apply();
    } catch (error) {
      if (number !== this.#number) return;
      // The device of before goes on, if there is one.
      if (!this.#capture) this.#set('off');
      this.#handlers.trouble(describeMicrophoneError(error));
    }
  }

  /** The device was unplugged: another one may be there. */
  async #lost() {
    if (!this.#capture) return;
    this.#drop();
    const number = (this.#number += 1);
    const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    if (number !== this.#number) return;
    if (devices.some(({ kind }) => kind === 'audioinput')) {
      await this.#take('');
      return;
    }
    this.#set('off');
    this.#handlers.trouble(describeMicrophoneError(Object.assign(new Error(), { name: 'Lost' })));
  }

  #drop() {
    if (!this.#capture) return;
    this.#last = this.#capture.stats;
    this.#capture.close();
    this.#capture = null;
  }

  #apply() {
    if (!this.#capture) return;
    const silent = this.#isMuted || this.#isHeld || (this.#pushToTalk && !this.#isPressed);
    this.#capture.setMuted(silent);
    this.#set(silent ? 'muted' : 'on');
  }

  /** @param {MicrophoneState} state */
  #set(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#handlers.changed(state);
  }
}
