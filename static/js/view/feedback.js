/**
 * @file The caller's opinion, asked for when a call is over.
 */

import { sendFeedback } from '../api.js';
import { byId } from '../dom.js';

export class Feedback {
  #form = byId('feedback', HTMLFormElement);
  #comment = byId('feedback-comment', HTMLTextAreaElement);
  #send = byId('feedback-send', HTMLButtonElement);
  #said = byId('feedback-said', HTMLElement);
  #sessionId = '';

  constructor() {
    this.#form.addEventListener('change', () => {
      this.#send.disabled = this.#score === 0;
    });
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#submit();
    });
    byId('feedback-close', HTMLButtonElement).addEventListener('click', () => this.hide());
  }

  /** @param {string} sessionId of the call that is over */
  offer(sessionId) {
    this.#sessionId = sessionId;
    this.#form.reset();
    this.#send.disabled = true;
    this.#said.textContent = '';
    this.#form.dataset.sent = 'no';
    this.#form.hidden = false;
  }

  hide() {
    this.#form.hidden = true;
  }

  get #score() {
    return Number(new FormData(this.#form).get('score') ?? 0);
  }

  async #submit() {
    if (this.#score === 0) return;
    this.#send.disabled = true;
    try {
      await sendFeedback(this.#sessionId, this.#score, this.#comment.value.trim());
      this.#form.dataset.sent = 'yes';
      this.#said.textContent = 'Thank you. It is kept with the call.';
    } catch {
      this.#send.disabled = false;
      this.#said.textContent = 'The server did not take it.';
    }
  }
}
