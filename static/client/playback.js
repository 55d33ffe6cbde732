/**
 * @file The loudspeaker: plays 24 kHz PCM16, flushes at a barge-in, counts what it did.
 */

const WORKLET = new URL('./playback-worklet.js', import.meta.url);

/**
 * @typedef {object} PlaybackStats
 * @property {'empty' | 'filling' | 'playing'} state
 * @property {number} bufferedMs what waits
 * @property {number} targetMs the jitter buffer's present target
 * @property {number} playedMs what was heard
 * @property {number} rms level of all that was heard, 0 … 1
 * @property {number} underruns gaps because audio came late
 * @property {number} overflows pieces that did not fit
 * @property {number} flushes
 * @property {number} flushedMs audio that was dropped unheard
 * @property {number} lastFlushMs sound that was still produced after the last flush was asked for, by the
 *   clock of the sound itself
 */

/** @type {PlaybackStats} */
export const NOTHING_PLAYED = {
  state: 'empty',
  bufferedMs: 0,
  targetMs: 0,
  playedMs: 0,
  rms: 0,
  underruns: 0,
  overflows: 0,
  flushes: 0,
  flushedMs: 0,
  lastFlushMs: NaN,
};

export class Playback {
  #context;
  #node;
  /** @type {PlaybackStats} */
  #stats = NOTHING_PLAYED;
  #gain;

  /**
   * @param {AudioContext} context
   * @param {(speaking: boolean) => void} onSpeaking
   */
  constructor(context, onSpeaking) {
    this.#context = context;
    this.#node = new AudioWorkletNode(context, 'voice-playback', {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    this.analyser = new AnalyserNode(context, { fftSize: 256, smoothingTimeConstant: 0.6 });
    this.#gain = new GainNode(context);
    // The analyser comes first: the eye sees the voice at any volume.
    this.#node.connect(this.analyser).connect(this.#gain).connect(context.destination);
    // A phone call, a sleep or another tab can suspend it.
    context.onstatechange = () => {
      if (context.state !== 'running' && context.state !== 'closed') void context.resume().catch(() => {});
    };
    this.#node.port.onmessage = ({ data: { flushMs, ...report } }) => {
      const wasPlaying = this.#stats.state === 'playing';
      this.#stats = { ...report, lastFlushMs: flushMs ?? this.#stats.lastFlushMs };
      const playing = this.#stats.state === 'playing';
      if (playing !== wasPlaying) onSpeaking(playing);
    };
  }

  /**
   * Call it from a user gesture: browsers keep a context silent otherwise.
   *
   * @param {(speaking: boolean) => void} onSpeaking
   */
  static async open(onSpeaking) {
    const context = new AudioContext({ sampleRate: 24_000, latencyHint: 'interactive' });
    // At once, while the gesture counts; not awaited, because a browser that wants another
    // gesture would hold up the whole call.
    void context.resume();
    await context.audioWorklet.addModule(WORKLET);
    return new Playback(context, onSpeaking);
  }

  /** @param {ArrayBuffer} pcm 24 kHz PCM16; handed over, so unusable afterwards */
  play(pcm) {
    this.#node.port.postMessage(pcm, [pcm]);
  }

  /** Drops all that was not heard yet. */
  flush() {
    this.#node.port.postMessage({ flush: true, at: this.#context.currentTime });
  }

  /** @param {number} volume 0 … 1 */
  setVolume(volume) {
    // A step would click.
    this.#gain.gain.setTargetAtTime(volume, this.#context.currentTime, 0.015);
  }

  /** Whether this browser lets a page choose the loudspeaker. */
  static get canChoose() {
    return 'setSinkId' in AudioContext.prototype;
  }

  /** @param {string} deviceId of an `audiooutput`; empty: the system's choice */
  async useDevice(deviceId) {
    if (!('setSinkId' in this.#context)) return;
    const context = /** @type {AudioContext & { setSinkId(id: string): Promise<void> }} */ (this.#context);
    await context.setSinkId(deviceId);
  }

  /** From a sample's release to the ear, as far as the browser knows. Milliseconds. */
  get latencyMs() {
    return (this.#context.baseLatency + (this.#context.outputLatency || 0)) * 1000;
  }

  get stats() {
    return this.#stats;
  }

  close() {
    this.#context.onstatechange = null;
    this.#node.port.onmessage = null;
    this.#node.disconnect();
    void this.#context.close();
  }
}
