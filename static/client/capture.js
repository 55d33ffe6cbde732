/**
 * @file The microphone: opens it, delivers 16 kHz PCM16 frames of 32 ms, mutes, closes.
 */

const WORKLET = new URL('./capture-worklet.js', import.meta.url);

/** @typedef {(pcm: ArrayBuffer, rms: number) => void} FrameHandler */

export class Capture {
  #context;
  #stream;
  #frames = 0;
  #peakRms = 0;
  #resampled;

  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   * @param {AnalyserNode} analyser
   */
  constructor(context, stream, analyser) {
    this.#context = context;
    this.#stream = stream;
    this.analyser = analyser;
    this.#resampled = context.sampleRate !== 16_000;
  }

  /**
   * Asks for the microphone and starts.
   *
   * @param {string} deviceId of an `audioinput`; empty: the system's choice
   * @param {FrameHandler} onFrame
   * @param {() => void} onLost the device was unplugged, or the permission withdrawn
   * @returns {Promise<Capture>} rejects with the error of `getUserMedia`
   */
  static async open(deviceId, onFrame, onLost) {
    if (!navigator.mediaDevices) {
      throw Object.assign(new Error('no secure context'), { name: 'InsecureContext' });
    }
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        channelCount: 1,
        echoCancellation: true,
        noiseSuppression: true,
        autoGainControl: true,
        // Not `exact`: a device that is gone is no reason to have none.
        ...(deviceId && { deviceId }),
      },
    });
    try {
      const { context, source } = connect(stream);
      await context.audioWorklet.addModule(WORKLET);
      const node = new AudioWorkletNode(context, 'voice-capture', { numberOfOutputs: 0 });
      const analyser = new AnalyserNode(context, { fftSize: 256, smoothingTimeConstant: 0.6 });
      const capture = new Capture(context, stream, analyser);
      node.port.onmessage = ({ data }) => {
        capture.#frames += 1;
        capture.#peakRms = Math.max(capture.#peakRms, data.rms);
        onFrame(data.pcm, data.rms);
      };
      for (const track of stream.getAudioTracks()) track.onended = onLost;
      source.connect(node);
      source.connect(analyser);
      context.onstatechange = () => {
        if (context.state !== 'running' && context.state !== 'closed') void context.resume().catch(() => {});
      };
      // Not awaited: a machine without a loudspeaker would hold up the whole call.
      void context.resume().catch(() => {});
      return capture;
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      throw error;
    }
  }

  /**
   * A muted microphone sends silence: the stream to the model must not run dry.
   *
   * @param {boolean} muted
   */
  setMuted(muted) {
    for (const track of this.#stream.getAudioTracks()) track.enabled = !muted;
  }

  get stats() {
    return {
      frames: this.#frames,
      peakRms: this.#peakRms,
      sampleRate: this.#context.sampleRate,
      resampled: this.#resampled,
    };
  }

  close() {
    this.#context.onstatechange = null;
    for (const track of this.#stream.getTracks()) track.stop();
    void this.#context.close();
  }
}

/**
 * A context at 16 kHz leaves the resampling to the browser. Firefox cannot connect a
 * microphone to a context of another rate and throws; there the worklet resamples.
 *
 * @param {MediaStream} stream
 */
function connect(stream) {
  const context = new AudioContext({ sampleRate: 16_000, latencyHint: 'interactive' });
  try {
    return { context, source: context.createMediaStreamSource(stream) };
  } catch {
    void context.close();
    const native = new AudioContext({ latencyHint: 'interactive' });
    return { context: native, source: native.createMediaStreamSource(stream) };
  }
}
