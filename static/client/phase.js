/**
 * @file The state of a call as one word, from what is known about link, caller and assistant.
 *
 * Pure: facts and `now` (milliseconds) go in, the word comes out. The call feeds it, the stage
 * shows it, `document.documentElement.dataset.state` repeats it.
 *
 *          start            session_start
 *   idle ─────────▶ connecting ─────────▶ listening ◀──────────────┐
 *                                          │    ▲                  │
 *                              caller talks│    │quiet, no answer  │audio is over
 *                                          ▼    │                  │
 *                                   user-speaking ──▶ thinking ──▶ assistant-speaking
 *                                          ▲                       │
 *                                          └────── interruption ───┘
 *   any of them: model stream lost ▶ reconnecting ▶ back; hang-up or close ▶ ended ▶ connecting;
 *   held by the caller, or handed over to a person: on-hold whenever the assistant is silent
 */

/**
 * @typedef {'idle' | 'connecting' | 'listening' | 'user-speaking' | 'thinking'
 *   | 'assistant-speaking' | 'on-hold' | 'reconnecting' | 'ended'} CallState
 */

/** @typedef {'idle' | 'connecting' | 'active' | 'reconnecting' | 'ended'} Link */

/** Sound alone may have been a cough: without an answer the wait ends soon. Milliseconds. */
const WAIT_AFTER_SOUND = 4_000;

/** The assistant has something to answer to: wait for as long as a slow tool takes. */
const WAIT_AFTER_WORDS = 15_000;

export class CallPhase {
  /** @type {Link} */
  #link = 'idle';
  #callerSpeaks = false;
  #assistantSpeaks = false;
  #isHeld = false;
  #isTransferred = false;
  /** Until when an answer is expected; 0 when none is. */
  #answerDue = 0;

  /** @param {Link} link */
  setLink(link) {
    this.#link = link;
    if (link === 'connecting') this.#isHeld = this.#isTransferred = false;
    if (link === 'active') return;
    this.#callerSpeaks = false;
    this.#assistantSpeaks = false;
    this.#answerDue = 0;
  }

  get link() {
    return this.#link;
  }

  /**
   * The caller's microphone has, or no longer has, speech in it.
   *
   * @param {boolean} speaks
   * @param {number} now
   */
  setCallerSpeaks(speaks, now) {
    if (this.#callerSpeaks && !speaks) this.#expectAnswer(now + WAIT_AFTER_SOUND);
    this.#callerSpeaks = speaks;
  }

  /** @param {boolean} speaks whether assistant audio is being played */
  setAssistantSpeaks(speaks) {
    this.#assistantSpeaks = speaks;
    this.#answerDue = 0;
  }

  /** @param {boolean} held whether the caller wants to be left alone for a while */
  setHeld(held) {
    this.#isHeld = held;
  }

  /** A person takes over; until then the caller waits. */
  transferred() {
    this.#isTransferred = true;
  }

  /**
   * The caller's turn is in words (spoken or typed), or a tool is at work for it.
   *
   * @param {number} now
   */
  turnTaken(now) {
    if (!this.#assistantSpeaks) this.#expectAnswer(now + WAIT_AFTER_WORDS);
  }

  /** @param {number} until */
  #expectAnswer(until) {
    this.#answerDue = Math.max(this.#answerDue, until);
  }

  /**
   * @param {number} now
   * @returns {CallState}
   */
  state(now) {
    if (this.#link !== 'active') return this.#link;
    if (this.#isHeld) return 'on-hold';
    // While the assistant speaks, sound in the microphone may be its echo; whether it was a
    // barge-in is the server's decision, which arrives as `interruption`.
    if (this.#assistantSpeaks) return 'assistant-speaking';
    if (this.#isTransferred) return 'on-hold';
    if (this.#callerSpeaks) return 'user-speaking';
    if (now < this.#answerDue) return 'thinking';
    return 'listening';
  }

  /**
   * When the state may change without any new fact, or `null`.
   *
   * @param {number} now
   */
  nextChange(now) {
    return this.state(now) === 'thinking' ? this.#answerDue : null;
  }
}
