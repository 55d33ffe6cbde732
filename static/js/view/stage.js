/**
 * @file The stage: talk button, state in large words, mute, microphone level.
 */

import { byId } from './dom.js';
import { Ring } from './ring.js';

/** @import { VoiceCall } from '../call/call.js' */
/** @import { CallState } from '../call/phase.js' */

/** @type {Record<CallState, [word: string, hint: string]>} */
const WORDS = {
  idle: ['Ready', 'Press the button and speak.'],
  connecting: ['Connecting', 'One moment.'],
  listening: ['Listening', 'Speak or type. You can interrupt at any time.'],
  'user-speaking': ['You are speaking', 'The assistant answers when you pause.'],
  thinking: ['Thinking', 'The answer is on its way.'],
  'assistant-speaking': ['Assistant is speaking', 'Just speak to interrupt.'],
  reconnecting: ['Reconnecting', 'The connection was lost and is being restored.'],
  ended: ['Call ended', 'Press the button to call again.'],
};

/** States a screen reader should hear about; the others change too often. */
const ANNOUNCED = new Set(['connecting', 'reconnecting', 'ended']);

export class Stage {
  #call;
  #ring;
  #root = document.documentElement;
  #word = byId('state-word', HTMLElement);
  #hint = byId('state-hint', HTMLElement);
  #talk = byId('talk', HTMLButtonElement);
  #talkLabel = byId('talk-label', HTMLElement);
  #mute = byId('mute', HTMLButtonElement);
  #muteLabel = byId('mute-label', HTMLElement);
  #level = byId('level', HTMLElement);
  #typeOnly = byId('type-only', HTMLButtonElement);
  #status = byId('status', HTMLElement);

  /** @param {VoiceCall} call */
  constructor(call) {
    this.#call = call;
    this.#ring = new Ring(byId('ring', HTMLCanvasElement), () => call.analysers);
    call.on('state', () => this.#render());
    call.on('microphone', () => this.#render());
    this.#talk.addEventListener('click', () => this.toggle());
    this.#mute.addEventListener('click', () => this.toggleMute());
    this.#typeOnly.addEventListener('click', () => {
      void call.start({ microphone: false });
      byId('say', HTMLTextAreaElement).focus();
    });
    this.#render();
  }

  /** Starts a call, or hangs up. */
  toggle() {
    if (this.#call.isRunning) this.#call.hangUp();
    else void this.#call.start({ microphone: true });
  }

  toggleMute() {
    if (this.#call.microphone === 'off') void this.#call.enableMicrophone();
    else this.#call.setMuted(this.#call.microphone === 'on');
  }

  /** The theme changed. */
  repaint() {
    this.#ring.refresh();
  }

  #render() {
    const { state, microphone, isRunning } = this.#call;
    const [word, hint] = this.#words(state, microphone);
    if (this.#root.dataset.state !== state && (ANNOUNCED.has(state) || this.#root.dataset.state === 'connecting')) {
      this.#status.textContent = state === 'ended' ? word : `${word}.`;
    }
    this.#root.dataset.state = state;
    this.#root.dataset.mic = microphone;
    this.#root.dataset.call = isRunning ? 'on' : 'off';
    this.#word.textContent = word;
    this.#hint.textContent = hint;
    this.#talkLabel.textContent = isRunning ? 'Hang up' : state === 'ended' ? 'Call again' : 'Talk';
    this.#mute.hidden = !isRunning;
    this.#mute.disabled = microphone === 'asking';
    this.#mute.setAttribute('aria-pressed', String(microphone === 'muted'));
    this.#muteLabel.textContent =
      microphone === 'muted' ? 'Unmute' : microphone === 'on' ? 'Mute' : 'Use microphone';
    this.#typeOnly.hidden = isRunning;
    this.#ring.setState(state);
    if (microphone === 'on') this.#meter();
  }

  /**
   * @param {CallState} state
   * @param {import('../call/call.js').Microphone} microphone
   * @returns {[string, string]}
   */
  #words(state, microphone) {
    if (state === 'connecting' && microphone === 'asking') {
      return ['Connecting', 'Allow the microphone when the browser asks.'];
    }
    if (state === 'listening' && microphone === 'muted') return ['Muted', 'The assistant does not hear you.'];
    if (state === 'listening' && microphone === 'off') return ['Your turn', 'Type what you want to say.'];
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

  #metering = false;
}
