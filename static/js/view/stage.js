/**
 * @file The stage: talk button, state in large words, mute, hold, push-to-talk, microphone level.
 */

import { byId } from '../dom.js';
import { Ring } from './ring.js';
import { Scope } from './scope.js';

/** @import { VoiceS2S } from '../../voice-s2s.js' */
/** @import { CallState } from '../../client/phase.js' */
/** @import { MicrophoneState } from '../../client/microphone.js' */

/** @type {Record<CallState, [word: string, hint: string]>} */
const WORDS = {
  idle: ['Ready', 'Press the button and speak.'],
  connecting: ['Connecting', 'One moment.'],
  listening: ['Listening', 'Speak or type. You can interrupt at any time.'],
  'user-speaking': ['Hearing you', 'The assistant answers when you pause.'],
  thinking: ['Thinking', 'The answer is on its way.'],
  'assistant-speaking': ['Answering', 'Just speak to interrupt.'],
  'on-hold': ['On hold', 'Nobody hears anybody. Press Resume to go on.'],
  reconnecting: ['Reconnecting', 'The connection was lost and is being restored.'],
  ended: ['Call ended', 'Press the button to call again.'],
};

/** States a screen reader should hear about; the others change too often. */
const ANNOUNCED = new Set(['connecting', 'on-hold', 'reconnecting', 'ended']);

export class Stage {
  #call;
  #wantsMicrophone;
  #ring;
  #scope;
  #root = document.documentElement;
  #word = byId('state-word', HTMLElement);
  #hint = byId('state-hint', HTMLElement);
  #talk = byId('talk', HTMLButtonElement);
  #talkLabel = byId('talk-label', HTMLElement);
  #mute = byId('mute', HTMLButtonElement);
  #muteLabel = byId('mute-label', HTMLElement);
  #hold = byId('hold', HTMLButtonElement);
  #holdLabel = byId('hold-label', HTMLElement);
  #press = byId('press', HTMLButtonElement);
  #level = byId('level', HTMLElement);
  #typeOnly = byId('type-only', HTMLButtonElement);
  #status = byId('status', HTMLElement);
  #metering = false;

  /**
   * @param {VoiceS2S} call
   * @param {() => boolean} wantsMicrophone whether a call is begun with one
   */
  constructor(call, wantsMicrophone) {
    this.#call = call;
    this.#wantsMicrophone = wantsMicrophone;
    this.#ring = new Ring(byId('ring', HTMLCanvasElement), () => call.analysers);
    this.#scope = new Scope(byId('scope', HTMLCanvasElement), () => call.analysers);
    call.on('state', () => {
      this.#render();
      this.#scope.run(call.isRunning);
    });
    call.on('microphone', () => this.#render());
    this.#talk.addEventListener('click', () => this.toggle());
    this.#mute.addEventListener('click', () => this.toggleMute());
    this.#hold.addEventListener('click', () => this.toggleHold());
    this.#typeOnly.addEventListener('click', () => {
      void call.start({ microphone: false });
      byId('say', HTMLTextAreaElement).focus();
    });
    this.#listenForPress();
    this.#render();
  }

  /** Starts a call, or hangs up. */
  toggle() {
    if (this.#call.isRunning) this.#call.hangUp();
    else void this.#call.start({ microphone: this.#wantsMicrophone() });
  }

  toggleMute() {
    if (this.#call.microphone === 'off') void this.#call.enableMicrophone();
    else this.#call.setMuted(this.#call.microphone === 'on');
  }

  toggleHold() {
    this.#call.setHeld(!this.#call.isHeld);
    this.#render();
  }

  /** The theme changed. */
  repaint() {
    this.#ring.refresh();
    this.#scope.refresh();
  }

  /** The settings changed. */
  refresh() {
    this.#render();
  }

  /** Push-to-talk: the button, or the space bar wherever it has no other meaning. */
  #listenForPress() {
    const set = (/** @type {boolean} */ pressed) => {
      this.#press.classList.toggle('is-pressed', pressed);
      this.#call.press(pressed);
    };
    this.#press.addEventListener('pointerdown', (event) => {
      this.#press.setPointerCapture(event.pointerId);
      set(true);
    });
    for (const end of ['pointerup', 'pointercancel', 'blur']) this.#press.addEventListener(end, () => set(false));
    const isOurs = (/** @type {KeyboardEvent} */ event) => {
      if (event.code !== 'Space' || event.altKey || !this.#call.pushToTalk || !this.#call.isRunning) return false;
      const { target } = event;
      return target === this.#press || !(target instanceof Element && target.closest('button, input, textarea, select, summary, a'));
    };
    addEventListener('keydown', (event) => {
      if (!isOurs(event)) return;
      event.preventDefault();
      if (!event.repeat) set(true);
    });
    addEventListener('keyup', (event) => {
      if (isOurs(event)) set(false);
    });
  }

  #render() {
    const { state, microphone, isRunning, isHeld, pushToTalk } = this.#call;
    const [word, hint] = this.#words(state, microphone);
    if (this.#root.dataset.state !== state && (ANNOUNCED.has(state) || this.#root.dataset.state === 'connecting')) {
      this.#status.textContent = `${word}.`;
    }
    this.#root.dataset.state = state;
    this.#root.dataset.mic = microphone;
    this.#root.dataset.call = isRunning ? 'on' : 'off';
    this.#word.textContent = word;
    this.#hint.textContent = hint;
    this.#talkLabel.textContent = isRunning ? 'Hang up' : state === 'ended' ? 'Call again' : 'Talk';
    const talks = isRunning && pushToTalk && microphone !== 'off' && !isHeld;
    this.#press.hidden = !talks;
    this.#mute.hidden = !isRunning || talks || isHeld;
    this.#mute.disabled = microphone === 'asking';
    this.#mute.setAttribute('aria-pressed', String(microphone === 'muted'));
    this.#muteLabel.textContent =
      microphone === 'muted' ? 'Unmute' : microphone === 'off' ? 'Use mic' : 'Mute';
    this.#hold.hidden = !isRunning;
    this.#hold.setAttribute('aria-pressed', String(isHeld));
    this.#holdLabel.textContent = isHeld ? 'Resume' : 'Hold';
    this.#typeOnly.hidden = isRunning;
    this.#ring.setState(state);
    if (microphone === 'on') this.#meter();
  }

  /**
   * @param {CallState} state
   * @param {MicrophoneState} microphone
   * @returns {[string, string]}
   */
  #words(state, microphone) {
    if (state === 'connecting' && microphone === 'asking') {
      return ['Connecting', 'Allow the microphone when the browser asks.'];
    }
    if (state === 'on-hold' && !this.#call.isHeld) return ['On hold', 'A person takes over in a moment.'];
    if (state === 'listening' && microphone === 'muted') {
      return this.#call.pushToTalk
        ? ['Your turn', 'Hold the button or the space bar while you speak.']
        : ['Muted', 'The assistant does not hear you.'];
    }
    if (state === 'listening' && microphone === 'off') return ['Your turn', 'Type what you want to say.'];
    if (state === 'assistant-speaking' && microphone === 'muted') {
      return [WORDS[state][0], this.#call.pushToTalk ? 'Hold the button to interrupt.' : 'The assistant does not hear you.'];
    }
    if (state === 'assistant-speaking' && microphone !== 'on') return [WORDS[state][0], 'Type whenever you like.'];
    return WORDS[state];
  }

  /** Follows the microphone's level for as long as it is open. */
  #meter() {
    if (this.#metering) return;
    this.#metering = true;
    const samples = new Uint8Array(256);
    const follow = () => {
      const analyser = this.#call.analysers.caller;
      this.#metering = analyser !== null && this.#call.microphone === 'on';
      let peak = 0;
      if (this.#metering) {
        analyser?.getByteTimeDomainData(samples);
        for (const sample of samples) peak = Math.max(peak, Math.abs(sample - 128) / 128);
      }
      // A square root shows quiet speech as well; it is about how loudness is felt.
      this.#level.style.setProperty('--level', Math.sqrt(peak).toFixed(2));
      if (this.#metering) setTimeout(follow, 66);
    };
    follow();
  }
}
