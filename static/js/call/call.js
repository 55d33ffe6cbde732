/**
 * @file One call after another: opens microphone, loudspeaker and socket, keeps the state,
 * closes all three. Knows nothing of the document; the views listen to its events.
 */

import { Capture } from '../audio/capture.js';
import { NOTHING_PLAYED, Playback } from '../audio/playback.js';
import { SpeechGate } from '../audio/speech-gate.js';
import { Emitter } from './emitter.js';
import { describeClose, describeMicrophoneError, describeNoCall, describeServerError } from './help.js';
import { CallPhase } from './phase.js';
import { CallLink } from './link.js';

/** @import { CallState } from './phase.js' */
/** @import { ServerMessage, SessionConfig } from './messages.js' */
/** @import { Trouble } from './help.js' */

/** `off`: none in this call; `asking`: the browser asks the caller. @typedef {'off' | 'asking' | 'on' | 'muted'} Microphone */

/**
 * @typedef {object} CallEvents
 * @property {CallState} state
 * @property {Microphone} microphone
 * @property {ServerMessage} message
 * @property {Trouble} trouble
 * @property {string} typed what the caller typed, when it is sent
 */

/** A goodbye that is still in the buffer when the server closes is played out. Milliseconds. */
const PLAY_OUT = 4_000;

/** @extends {Emitter<CallEvents>} */
export class VoiceCall extends Emitter {
  #phase = new CallPhase();
  /** @type {CallState} */
  #state = 'idle';
  /** @type {Microphone} */
  #microphone = 'off';
  /** @type {Capture | null} */
  #capture = null;
  /** @type {Playback | null} */
  #playback = null;
  /** @type {CallLink | null} */
  #socket = null;
  #gate = new SpeechGate();
  /** What was typed before the model's stream was up. @type {string[]} */
  #waitingTexts = [];
  /** Counts calls, so that what a past call awaited does not touch the present one. */
  #number = 0;
  #startedAt = 0;
  #endedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #last = { capture: {}, playback: NOTHING_PLAYED, socket: {} };

  /**
   * @param {object} options
   * @param {string} options.url of `/sonic`, `ws:` or `wss:`
   * @param {() => SessionConfig} options.config asked whenever settings are sent
   * @param {() => Promise<boolean>} options.isReady whether the server takes calls
   */
  constructor({ url, config, isReady }) {
    super();
    this.url = url;
    this.config = config;
    this.isReady = isReady;
  }

  get state() {
    return this.#state;
  }

  get microphone() {
    return this.#microphone;
  }

  get isRunning() {
    return this.#state !== 'idle' && this.#state !== 'ended';
  }

  /** Seconds since the model's stream came up; the whole length after the call. */
  get seconds() {
    if (this.#startedAt === 0) return 0;
    return ((this.isRunning ? performance.now() : this.#endedAt) - this.#startedAt) / 1000;
  }

  /**
   * Starts a call. To be called from a user gesture.
   *
   * @param {{ microphone: boolean }} options without a microphone the caller types
   */
  async start({ microphone }) {
    if (this.isRunning) return;
    this.#number += 1;
    const number = this.#number;
    this.#startedAt = 0;
    this.#setLink('connecting');
    try {
      this.#playback = await Playback.open((speaking) => {
        this.#phase.setAssistantSpeaks(speaking);
        this.#update();
      });
    } catch (error) {
      // Reading what the assistant says is better than no call.
      this.emit('trouble', {
        code: 'playback',
        title: 'This browser cannot play the voice',
        help: `The answers appear as text. (${error})`,
        tone: 'note',
      });
    }
    if (microphone && number === this.#number) await this.enableMicrophone();
    if (number !== this.#number) return;
    this.#socket = new CallLink(this.url, {
      opened: () => this.configure(),
      message: (message) => this.#receive(message),
      audio: (pcm) => this.#playback?.play(pcm),
      lost: () => this.#setLink('reconnecting'),
      back: () => this.#setLink('active'),
      closed: (code, reason, wasOpen) => void this.#closed(code, reason, wasOpen),
    });
  }

  /** Asks for the microphone, at the start or later in a call that began without. */
  async enableMicrophone() {
    if (this.#capture || !this.isRunning) return;
    const number = this.#number;
    this.#setMicrophone('asking');
    try {
      const capture = await Capture.open(
        (pcm, rms) => this.#frame(pcm, rms),
        () => this.#microphoneLost(),
      );
      if (number !== this.#number) {
        capture.close();
        return;
      }
      this.#capture = capture;
      this.#gate = new SpeechGate();
      this.#setMicrophone('on');
    } catch (error) {
      if (number !== this.#number) return;
      this.#setMicrophone('off');
      this.emit('trouble', describeMicrophoneError(error));
    }
  }

  #microphoneLost() {
    if (!this.#capture) return;
    this.#last.capture = this.#capture.stats;
    this.#capture.close();
    this.#capture = null;
    this.#phase.setCallerSpeaks(false, performance.now());
    this.#setMicrophone('off');
    this.emit('trouble', describeMicrophoneError(Object.assign(new Error(), { name: 'Lost' })));
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    if (!this.#capture) return;
    this.#capture.setMuted(muted);
    this.#setMicrophone(muted ? 'muted' : 'on');
  }

  /** @param {string} text */
  sendText(text) {
    this.emit('typed', text);
    if (this.#phase.link === 'connecting') {
      this.#waitingTexts.push(text);
      return;
    }
    this.#socket?.send({ type: 'textInput', text });
    // What is typed interrupts as speech does; the assistant answers it next.
    this.#phase.turnTaken(performance.now());
    this.#update();
  }

  /** Sends the settings: at the start, and again whenever one changes. */
  configure() {
    this.#socket?.send({ type: 'sessionConfig', config: this.config() });
  }

  hangUp() {
    if (!this.isRunning) return;
    this.#socket?.close();
    this.#end();
  }

  /** Levels for the canvas: spectra of what the microphone hears and what is played. */
  get analysers() {
    return {
      caller: this.#capture?.analyser ?? null,
      assistant: this.#playback?.analyser ?? null,
    };
  }

  /** Figures of the present or the last call. */
  stats() {
    return {
      state: this.#state,
      microphone: this.#microphone,
      seconds: this.seconds,
      capture: this.#capture?.stats ?? this.#last.capture,
      playback: this.#playback?.stats ?? this.#last.playback,
      socket: this.#socket?.stats ?? this.#last.socket,
    };
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    const now = performance.now();
    switch (message.type) {
      case 'session_start':
        if (this.#startedAt === 0) this.#startedAt = now;
        this.#setLink('active');
        break;
      case 'interruption':
        this.#playback?.flush();
        break;
      case 'transcript':
        if (message.role === 'user' && message.isFinal) this.#phase.turnTaken(now);
        break;
      case 'tool_use':
        this.#phase.turnTaken(now);
        break;
      case 'reconnecting':
        this.#setLink('reconnecting');
        break;
      case 'reconnected':
        this.#setLink('active');
        break;
      case 'error':
        this.emit('trouble', describeServerError(message.code, message.message, message.fatal));
        break;
    }
    this.emit('message', message);
    if (message.type === 'session_start') {
      for (const text of this.#waitingTexts.splice(0)) {
        this.#socket?.send({ type: 'textInput', text });
        this.#phase.turnTaken(now);
      }
    }
    this.#update();
    if (message.type === 'error' && message.fatal) this.hangUp();
  }

  /**
   * @param {ArrayBuffer} pcm
   * @param {number} rms
   */
  #frame(pcm, rms) {
    this.#socket?.sendAudio(pcm);
    if (!this.#gate.push(rms)) return;
    this.#phase.setCallerSpeaks(this.#gate.speaking, performance.now());
    this.#update();
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {boolean} wasOpen
   */
  async #closed(code, reason, wasOpen) {
    const number = this.#number;
    if (!wasOpen) {
      // A refused upgrade looks like an absent server; `/ready` tells them apart.
      const isReady = await this.isReady().catch(() => null);
      if (number !== this.#number) return;
      this.emit('trouble', describeNoCall(isReady === false ? 'not-ready' : 'unreachable'));
      this.#end();
      return;
    }
    if (code === 1000) await this.#playedOut();
    if (number !== this.#number) return;
    const trouble = describeClose(code, reason);
    if (trouble) this.emit('trouble', trouble);
    this.#end();
  }

  /** Resolves when nothing is left to play, or when that takes too long. */
  async #playedOut() {
    const deadline = performance.now() + PLAY_OUT;
    while (this.#playback && this.#playback.stats.state !== 'empty' && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #end() {
    this.#number += 1;
    this.#endedAt = performance.now();
    const { capture, playback, socket } = this.stats();
    this.#last = { capture, playback, socket };
    this.#capture?.close();
    this.#playback?.close();
    this.#capture = null;
    this.#playback = null;
    this.#socket = null;
    this.#waitingTexts = [];
    this.#setMicrophone('off');
    this.#setLink('ended');
  }

  /** @param {Microphone} microphone */
  #setMicrophone(microphone) {
    this.#microphone = microphone;
    this.emit('microphone', microphone);
  }

  /** @param {import('./phase.js').Link} link */
  #setLink(link) {
    this.#phase.setLink(link);
    this.#update();
  }

  #update() {
    const now = performance.now();
    const state = this.#phase.state(now);
    clearTimeout(this.#timer);
    const change = this.#phase.nextChange(now);
    if (change !== null) this.#timer = setTimeout(() => this.#update(), change - now + 1);
    if (state === this.#state) return;
    this.#state = state;
    this.emit('state', state);
  }
}
