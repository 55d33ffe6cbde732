/**
 * @file Voice calls for any page: the client that the console itself uses.
 *
 *     import { VoiceS2S } from 'https://voice.example/voice-s2s.js';
 *
 *     const call = new VoiceS2S({ config: { personaId: 'persona-banking' } });
 *     call.on('state', (state) => (label.textContent = state));
 *     call.on('message', (message) => {
 *       if (message.type === 'transcript') show(message.role, message.text);
 *     });
 *     call.on('trouble', ({ title, help }) => alert(`${title}. ${help}`));
 *     button.onclick = () => (call.isRunning ? call.hangUp() : call.start());
 *
 * `start` has to come from a click or a key: browsers open no microphone and play no sound
 * otherwise. One object holds one call after another. The client keeps the call over a lost
 * network, a sleep and a changed device by itself; `state` says `reconnecting` meanwhile.
 *
 * Where the server demands a credential, give `credential` (an API key or a JWT), or better
 * `ticket`: a function that asks *your* server, which asks ours (`POST /api/ticket`), so that the
 * key never reaches a browser. A page of another origin needs `connect-src` and `script-src` for
 * the server's address in its Content-Security-Policy.
 *
 * What comes as `message` is listed in `client/messages.js`; `<voice-s2s-call>` of
 * `voice-s2s-call.js` is the same as one tag.
 */

import { Access, AccessError } from './client/access.js';
import { Emitter } from './client/emitter.js';
import { describeBusy, describeClose, describeNoCall, describeRefusal, describeServerError } from './client/help.js';
import { CallLink } from './client/link.js';
import { Microphone } from './client/microphone.js';
import { CallPhase } from './client/phase.js';
import { NOTHING_PLAYED, Playback } from './client/playback.js';
import { HANGOVER, SpeechGate } from './client/speech-gate.js';

/** @import { CallState, Link } from './client/phase.js' */
/** @import { MicrophoneState } from './client/microphone.js' */
/** @import { ServerMessage, SessionConfig } from './client/messages.js' */
/** @import { Trouble } from './client/help.js' */

/**
 * @typedef {object} Options
 * @property {string | URL} [server] where Voice S2S is served; where this file comes from otherwise
 * @property {SessionConfig | (() => SessionConfig)} [config] the settings of calls, or a function
 *   that is asked whenever they are sent
 * @property {string | (() => string | null)} [credential] an API key or a JWT
 * @property {() => Promise<string>} [ticket] fetches the ticket of one connection
 */

/**
 * @typedef {object} CallEvents
 * @property {CallState} state
 * @property {MicrophoneState} microphone
 * @property {ServerMessage} message everything the server says
 * @property {Trouble} trouble what went wrong, in words, and what to do about it
 * @property {string} typed what the caller typed, when it is taken
 * @property {number} answered from the end of the caller's speech to the sound of the answer in
 *   this page's loudspeaker, milliseconds
 */

/** A goodbye that is still in the buffer when the server closes is played out. Milliseconds. */
const PLAY_OUT = 4_000;

/** @extends {Emitter<CallEvents>} */
export class VoiceS2S extends Emitter {
  #server;
  #config;
  #access;
  #phase = new CallPhase();
  /** @type {CallState} */
  #state = 'idle';
  #microphone;
  #gate = new SpeechGate();
  /** @type {Playback | null} */
  #playback = null;
  /** @type {CallLink | null} */
  #link = null;
  #sessionId = '';
  #volume = 1;
  #speakerId = '';
  #isHeld = false;
  /** What was typed before the model's stream was up. @type {string[]} */
  #waitingTexts = [];
  /** Counts calls, so that what a past call awaited does not touch the present one. */
  #number = 0;
  #startedAt = 0;
  #endedAt = 0;
  /** When the caller's speech ended that is not answered yet; 0 when none is. */
  #saidAt = 0;
  /** @type {number[]} */
  #waits = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #last = { playback: NOTHING_PLAYED, socket: {} };

  /** @param {Options} [options] */
  constructor({ server = new URL('.', import.meta.url), config = {}, credential, ticket } = {}) {
    super();
    this.#server = new URL(server, globalThis.document?.baseURI);
    this.#config = typeof config === 'function' ? config : () => config;
    const key = typeof credential === 'function' ? credential : () => credential ?? null;
    this.#access = new Access(this.#server, key, ticket);
    this.#microphone = new Microphone({
      frame: (pcm, rms) => this.#frame(pcm, rms),
      changed: (state) => this.#microphoneChanged(state),
      trouble: (trouble) => this.emit('trouble', trouble),
    });
  }

  get state() {
    return this.#state;
  }

  get microphone() {
    return this.#microphone.state;
  }

  get isRunning() {
    return this.#state !== 'idle' && this.#state !== 'ended';
  }

  get isHeld() {
    return this.#isHeld;
  }

  get pushToTalk() {
    return this.#microphone.pushToTalk;
  }

  /** The id of the present or the last call; its session log has it too. */
  get sessionId() {
    return this.#sessionId;
  }

  /** Seconds since the model's stream came up; the whole length after the call. */
  get seconds() {
    if (this.#startedAt === 0) return 0;
    return ((this.isRunning ? performance.now() : this.#endedAt) - this.#startedAt) / 1000;
  }

  /**
   * Starts a call. To be called from a user gesture.
   *
   * @param {{ microphone?: boolean }} [options] without a microphone the caller types
   */
  async start({ microphone = true } = {}) {
    if (this.isRunning) return;
    this.#number += 1;
    const number = this.#number;
    this.#startedAt = this.#saidAt = 0;
    this.#waits = [];
    this.#isHeld = false;
    this.#setLink('connecting');
    try {
      this.#playback = await Playback.open((speaking) => this.#assistantSpeaks(speaking));
      this.#playback.setVolume(this.#volume);
      if (this.#speakerId) await this.#playback.useDevice(this.#speakerId);
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
    const url = new URL('sonic', this.#server);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#link = new CallLink(url.href, {
      protocols: () => this.#access.protocols(),
      refused: (error) => this.#refused(error),
      opened: () => this.configure(),
      message: (message) => this.#receive(message),
      audio: (pcm) => this.#playback?.play(pcm),
      lost: () => this.#setLink('reconnecting'),
      back: () => this.#setLink('active'),
      closed: (code, reason, wasOpen) => void this.#closed(code, reason, wasOpen),
    });
  }

  /** Ends the call. */
  hangUp() {
    if (!this.isRunning) return;
    this.#link?.close();
    this.#end();
  }

  /** Asks for the microphone in a call that began without, or lost it. */
  async enableMicrophone() {
    if (!this.isRunning) return;
    this.#gate = new SpeechGate();
    await this.#microphone.open();
  }

  /** @param {boolean} muted the assistant hears silence */
  setMuted(muted) {
    this.#microphone.setMuted(muted);
  }

  /** @param {boolean} on the assistant hears the caller only while `press(true)` */
  setPushToTalk(on) {
    this.#microphone.setPushToTalk(on);
  }

  /** @param {boolean} pressed */
  press(pressed) {
    this.#microphone.press(pressed);
  }

  /** @param {boolean} held silence both ways, and the assistant does not ask after the caller */
  setHeld(held) {
    if (!this.isRunning || held === this.#isHeld) return;
    this.#isHeld = held;
    this.#microphone.setHeld(held);
    this.#playback?.setVolume(held ? 0 : this.#volume);
    this.#phase.setHeld(held);
    this.configure();
    this.#update();
  }

  /** @param {number} volume 0 … 1 */
  setVolume(volume) {
    this.#volume = volume;
    if (!this.#isHeld) this.#playback?.setVolume(volume);
  }

  /** @param {string} deviceId of an `audioinput`; empty: the system's choice */
  useMicrophone(deviceId) {
    return this.#microphone.useDevice(deviceId);
  }

  /** @param {string} deviceId of an `audiooutput`; not every browser lets a page choose */
  async useSpeaker(deviceId) {
    this.#speakerId = deviceId;
    await this.#playback?.useDevice(deviceId);
  }

  /** @param {string} text typed by the caller */
  sendText(text) {
    this.emit('typed', text);
    if (this.#phase.link === 'connecting') {
      this.#waitingTexts.push(text);
      return;
    }
    this.#link?.send({ type: 'textInput', text });
    // What is typed interrupts as speech does; the assistant answers it next.
    this.#phase.turnTaken(performance.now());
    this.#update();
  }

  /** Sends the settings: at the start by itself, and again whenever you have changed one. */
  configure() {
    const config = this.#isHeld ? { ...this.#config(), inactivityEnabled: false } : this.#config();
    this.#link?.send({ type: 'sessionConfig', config });
  }

  /** There is another credential now. */
  forgetAccess() {
    this.#access.forget();
  }

  /** Levels for the eye: what the microphone hears and what is played. */
  get analysers() {
    return { caller: this.#microphone.analyser, assistant: this.#playback?.analyser ?? null };
  }

  /** Figures of the present or the last call. */
  stats() {
    return {
      state: this.#state,
      microphone: this.#microphone.state,
      seconds: this.seconds,
      mouthToEarMs: this.#waits,
      capture: this.#microphone.stats,
      playback: this.#playback?.stats ?? this.#last.playback,
      socket: this.#link?.stats ?? this.#last.socket,
    };
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    const now = performance.now();
    switch (message.type) {
      case 'connected':
        this.#sessionId = message.sessionId;
        break;
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
      case 'transferToAgent':
        this.#phase.transferred();
        break;
      case 'reconnecting':
        this.#setLink('reconnecting');
        break;
      case 'reconnected':
        this.#setLink('active');
        break;
      case 'error':
        this.emit('trouble', message.code === 'busy'
          ? describeBusy(message.retryAfterSeconds)
          : describeServerError(message.code, message.message, message.fatal));
        break;
    }
    this.emit('message', message);
    if (message.type === 'session_start') {
      for (const text of this.#waitingTexts.splice(0)) {
        this.#link?.send({ type: 'textInput', text });
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
    this.#link?.sendAudio(pcm);
    if (!this.#gate.push(rms)) return;
    const now = performance.now();
    if (!this.#gate.speaking) this.#saidAt = now - HANGOVER;
    this.#phase.setCallerSpeaks(this.#gate.speaking, now);
    this.#update();
  }

  /** @param {boolean} speaking */
  #assistantSpeaks(speaking) {
    if (speaking && this.#saidAt > 0) {
      const wait = performance.now() - this.#saidAt + (this.#playback?.latencyMs ?? 0);
      this.#waits.push(wait);
      this.emit('answered', wait);
    }
    this.#saidAt = 0;
    this.#phase.setAssistantSpeaks(speaking);
    this.#update();
  }

  /** @param {MicrophoneState} state */
  #microphoneChanged(state) {
    if (state === 'off') this.#phase.setCallerSpeaks(false, performance.now());
    this.emit('microphone', state);
    this.#update();
  }

  /** @param {unknown} error why there is no connection */
  #refused(error) {
    if (error instanceof AccessError) this.#access.forget();
    this.emit('trouble', describeRefusal(error));
    this.#end();
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
      const isReady = await fetch(new URL('ready', this.#server)).then(({ ok }) => ok, () => null);
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
    const { playback, socket } = this.stats();
    this.#last = { playback, socket };
    this.#playback?.close();
    this.#playback = null;
    this.#link = null;
    this.#waitingTexts = [];
    this.#isHeld = false;
    this.#phase.setHeld(false);
    this.#microphone.close();
    this.#setLink('ended');
  }

  /** @param {Link} link */
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
