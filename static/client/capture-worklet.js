/**
 * @file Runs on the audio thread: microphone in, 16 kHz PCM16 frames of 32 ms out.
 *
 * Self-contained on purpose: not every browser lets a worklet import other modules. The
 * context normally runs at 16 kHz already; where the browser cannot connect a microphone of
 * another rate (Firefox), it runs at the device's rate and the `Resampler` here does the work.
 */

const TARGET_RATE = 16_000;

/** 32 ms at 16 kHz. */
const FRAME_SAMPLES = 512;

/** Zero crossings of the sinc on each side; more is sharper and slower. */
const LOBES = 10;

/** Table steps between two zero crossings. */
const TABLE_STEPS = 128;

/**
 * Windowed-sinc resampler for a stream, any rate down (or up) to 16 kHz.
 */
export class Resampler {
  /** @param {number} from rate of the input, Hz */
  constructor(from) {
    this.ratio = from / TARGET_RATE;
    // Cut off a little below the lower Nyquist frequency, so that nothing folds back.
    const cutoff = 0.92 * Math.min(1, 1 / this.ratio);
    this.scale = cutoff;
    this.reach = Math.ceil(LOBES / cutoff);
    this.table = new Float32Array(LOBES * TABLE_STEPS + 2);
    for (let i = 0; i < this.table.length; i += 1) {
      const x = i / TABLE_STEPS;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
      const window = x >= LOBES ? 0 : 0.5 + 0.5 * Math.cos((Math.PI * x) / LOBES);
      this.table[i] = sinc * window * cutoff;
    }
    this.history = new Float32Array(this.reach * 2 + 4096);
    /** How many samples of `history` are filled; the first `reach` are silence. */
    this.filled = this.reach;
    /** Position of the next output sample in `history`. */
    this.position = this.reach;
  }

  /**
   * @param {Float32Array} input at most 2,048 samples
   * @param {(sample: number) => void} emit called for each output sample
   */
  push(input, emit) {
    this.history.set(input, this.filled);
    this.filled += input.length;
    while (this.position + this.reach < this.filled) {
      emit(this.sampleAt(this.position));
      this.position += this.ratio;
    }
    const spent = Math.floor(this.position) - this.reach;
    if (spent > 0) {
      this.history.copyWithin(0, spent, this.filled);
      this.filled -= spent;
      this.position -= spent;
    }
  }

  /** @param {number} position */
  sampleAt(position) {
    const centre = Math.floor(position);
    let sum = 0;
    for (let i = centre - this.reach + 1; i <= centre + this.reach; i += 1) {
      const x = Math.abs(position - i) * this.scale * TABLE_STEPS;
      const at = Math.floor(x);
      if (at >= LOBES * TABLE_STEPS) continue;
      const weight = this.table[at] + (this.table[at + 1] - this.table[at]) * (x - at);
      sum += this.history[i] * weight;
    }
    return sum;
  }
}

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = sampleRate === TARGET_RATE ? null : new Resampler(sampleRate);
    this.frame = new Int16Array(FRAME_SAMPLES);
    this.length = 0;
    this.energy = 0;
  }

  /** @param {number} sample −1 … 1 */
  take(sample) {
    const bounded = Math.max(-1, Math.min(1, sample));
    this.energy += bounded * bounded;
    this.frame[this.length] = Math.round(bounded * 32_767);
    this.length += 1;
    if (this.length < FRAME_SAMPLES) return;
    const pcm = this.frame.buffer;
    const rms = Math.sqrt(this.energy / FRAME_SAMPLES);
    // The buffer is handed over, so the next frame needs one of its own.
    this.frame = new Int16Array(FRAME_SAMPLES);
    this.length = 0;
    this.energy = 0;
    this.port.postMessage({ pcm, rms }, [pcm]);
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const channel = inputs[0]?.[0];
    // No input for a moment (a device is being changed): the next one may come.
    if (!channel) return true;
    if (this.resampler) {
      this.resampler.push(channel, (sample) => this.take(sample));
    } else {
      for (const sample of channel) this.take(sample);
    }
    return true;
  }
}

registerProcessor('voice-capture', Capture);
