/**
 * @file Typed input beside speech. Before a call it starts one without a microphone.
 */

import { byId } from '../dom.js';

/** @import { VoiceS2S } from '../../voice-s2s.js' */

export class Composer {
  #call;
  #input = byId('say', HTMLTextAreaElement);

  /** @param {VoiceS2S} call */
  constructor(call) {
    this.#call = call;
    const form = byId('composer', HTMLFormElement);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.say(this.#input.value);
      this.#input.value = '';
    });
    this.#input.addEventListener('keydown', (event) => {
      // Enter sends, Shift+Enter breaks the line; an input method's Enter does neither.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    call.on('state', () => this.#render());
    this.#render();
  }

  /** @param {string} text */
  say(text) {
    const trimmed = text.trim();
    if (trimmed === '') return;
    if (!this.#call.isRunning) void this.#call.start({ microphone: false });
    this.#call.sendText(trimmed);
  }

  focus() {
    this.#input.focus();
  }

  #render() {
    this.#input.placeholder = this.#call.isRunning ? 'Type a message' : 'Or type your first message';
  }
}
