/**
 * @file Runs on the audio thread: 24 kHz PCM16 in, sound out.
 *
 * A ring buffer with a small jitter buffer before it that adapts to the network. `flush`
 * empties it within one render quantum (5 ms), which is what a barge-in needs. Self-contained
 * on purpose: not every browser lets a worklet import other modules.
 *
 *            push                 target reached
 *   empty ─────────▶ filling ──────────────────────▶ playing
 *     ▲                 │ flush                         │ flush, or ran dry
 *     └─────────────────┴───────────────────────────────┘
 */

const SOURCE_RATE = 24_000;

/** The server paces its audio; a minute is room for one that does not. */
const CAPACITY = SOURCE_RATE * 60;

/** Jitter buffer, seconds. */
const TARGET_START = 0.06;
const TARGET_MIN = 0.04;
const TARGET_MAX = 0.24;
const TARGET_STEP = 0.02;

/** Audio that comes this soon after the buffer ran dry was late; later, it is a new sentence. */
const LATE_WITHIN = 0.35;

/** After this long without a gap the target shrinks by half a step. */
const CALM_AFTER = 10;

/** Factor per sample of the short tail after an abrupt end; it takes the click away. */
const TAIL_DECAY = 0.93;

export class JitterBuffer {
  /** @param {number} [outputRate] rate of the context, Hz */
  constructor(outputRate = SOURCE_RATE) {
    this.step = SOURCE_RATE / outputRate;
    this.ring = new Int16Array(CAPACITY);
    this.head = 0;
    this.length = 0;
    /** Fraction of a source sample already consumed. */
    this.fraction = 0;
    /** @type {'empty' | 'filling' | 'playing'} */
    this.state = 'empty';
    this.target = TARGET_START;
    this.fillingSince = 0;
    /** When it ran dry without a flush. */
    this.driedAt = -Infinity;
    this.calmSince = 0;
    this.last = 0;
    this.underruns = 0;
    this.overflows = 0;
    this.flushes = 0;
    this.played = 0;
    this.energy = 0;
    this.flushedSamples = 0;
  }

  /**
   * @param {Int16Array} samples
   * @param {number} now seconds
   */
  push(samples, now) {
    const room = CAPACITY - this.length;
    if (samples.length > room) {
      this.overflows += 1;
      samples = samples.subarray(0, room);
    }
    const tail = (this.head + this.length) % CAPACITY;
    const first = Math.min(samples.length, CAPACITY - tail);
    this.ring.set(samples.subarray(0, first), tail);
    this.ring.set(samples.subarray(first), 0);
    this.length += samples.length;
    if (this.state !== 'empty' || samples.length === 0) return;
    this.state = 'filling';
    this.fillingSince = now;
    if (now - this.driedAt < LATE_WITHIN) {
      this.underruns += 1;
      this.target = Math.min(TARGET_MAX, this.target + TARGET_STEP);
      this.calmSince = now;
    }
  }

  /**
   * Drops all that waits.
   *
   * @returns {number} how many samples were dropped
   */
  flush() {
    const dropped = this.length;
    this.flushes += 1;
    this.flushedSamples += dropped;
    this.length = 0;
    this.fraction = 0;
    this.state = 'empty';
    this.driedAt = -Infinity;
    return dropped;
  }

  /**
   * Fills one render quantum.
   *
   * @param {Float32Array} out
   * @param {number} now seconds
   */
  pull(out, now) {
    if (this.state === 'filling') {
      // What is shorter than the target must be heard as well, so waiting has an end.
      const enough = this.length >= this.target * SOURCE_RATE;
      if (enough || now - this.fillingSince >= this.target) {
        this.state = 'playing';
        this.calmSince = now;
      }
    }
    let at = 0;
    if (this.state === 'playing') {
      for (; at < out.length && this.length > 0; at += 1) {
        out[at] = this.last = this.next();
        this.energy += this.last * this.last;
        this.played += 1;
      }
      if (this.length === 0) {
        this.state = 'empty';
        this.driedAt = now;
      } else if (now - this.calmSince > CALM_AFTER) {
        this.target = Math.max(TARGET_MIN, this.target - TARGET_STEP / 2);
        this.calmSince = now;
      }
    }
    for (; at < out.length; at += 1) {
      this.last *= TAIL_DECAY;
      if (Math.abs(this.last) < 1e-5) this.last = 0;
      out[at] = this.last;
    }
  }

  /** One output sample, interpolated between two source samples. */
  next() {
    const a = this.ring[this.head];
    const b = this.length > 1 ? this.ring[(this.head + 1) % CAPACITY] : a;
    const sample = a + (b - a) * this.fraction;
    this.fraction += this.step;
    const whole = Math.min(Math.floor(this.fraction), this.length);
    this.fraction -= Math.floor(this.fraction);
    this.head = (this.head + whole) % CAPACITY;
    this.length -= whole;
    return sample / 32_768;
  }
}

/** Render quanta between two reports: about every 40 ms at 24 kHz. */
const REPORT_EVERY = 8;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.buffer = new JitterBuffer(sampleRate);
    this.quanta = 0;
    this.reported = 'empty';
    this.port.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) {
        this.buffer.push(new Int16Array(data, 0, data.byteLength >> 1), currentTime);
      } else if (data.flush !== undefined) {
        this.buffer.flush();
        this.report((currentTime - data.at) * 1000);
      }
    };
  }

  /** @param {number} [flushMs] how much was still heard after a flush was asked for */
  report(flushMs) {
    const b = this.buffer;
    this.quanta = 0;
    this.reported = b.state;
    this.port.postMessage({
      flushMs,
      state: b.state,
      bufferedMs: Math.round((b.length / SOURCE_RATE) * 1000),
      targetMs: Math.round(b.target * 1000),
      playedMs: Math.round((b.played / sampleRate) * 1000),
      rms: b.played === 0 ? 0 : Math.sqrt(b.energy / b.played),
      underruns: b.underruns,
      overflows: b.overflows,
      flushes: b.flushes,
      flushedMs: Math.round((b.flushedSamples / SOURCE_RATE) * 1000),
    });
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, outputs) {
    const [first, ...others] = outputs[0];
    this.buffer.pull(first, currentTime);
    for (const other of others) other.set(first);
    this.quanta += 1;
    const changed = this.buffer.state !== this.reported;
    if (changed || (this.quanta >= REPORT_EVERY && this.buffer.state !== 'empty')) this.report();
    return true;
  }
}

registerProcessor('voice-playback', Playback);
