/**
 * @file Whether the caller speaks, from the level alone. For the eye only: the page shows
 * “You are speaking” at once, long before the server knows. The server decides about turns.
 */

/** Speech is this much louder than the room. */
const ABOVE_FLOOR = 4;

/** Quieter than this is never speech (RMS, −46 dBFS). */
const QUIET = 0.005;

/** Louder than this is always speech (RMS, −26 dBFS). */
const LOUD = 0.05;

/** Frames of 32 ms: speech begins after 3 loud ones and ends after 16 quiet ones. */
const ONSET_FRAMES = 3;
const HANGOVER_FRAMES = 16;

/** How long speech is over when the gate says so. Milliseconds. */
export const HANGOVER = HANGOVER_FRAMES * 32;

export class SpeechGate {
  #floor = QUIET / ABOVE_FLOOR;
  #loud = 0;
  #quiet = 0;
  #speaking = false;

  get speaking() {
    return this.#speaking;
  }

  /**
   * @param {number} rms level of one frame of 32 ms, 0 … 1
   * @returns {boolean} whether `speaking` changed
   */
  push(rms) {
    const threshold = Math.min(LOUD, Math.max(QUIET, this.#floor * ABOVE_FLOOR));
    if (rms > threshold) {
      this.#loud += 1;
      this.#quiet = 0;
    } else {
      this.#quiet += 1;
      this.#loud = 0;
    }
    // The floor falls at once and rises slowly, so that long speech does not become the room.
    this.#floor = rms < this.#floor ? rms : this.#floor * 0.999 + rms * 0.001;
    const next = this.#speaking ? this.#quiet < HANGOVER_FRAMES : this.#loud >= ONSET_FRAMES;
    const changed = next !== this.#speaking;
    this.#speaking = next;
    return changed;
  }
}
