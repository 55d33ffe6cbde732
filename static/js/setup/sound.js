/**
 * @file Whether one is heard and hears: three seconds of the microphone, played back as the
 * assistant would get them, and two tones.
 */

import { Capture } from '../../client/capture.js';
import { describeMicrophoneError } from '../../client/help.js';
import { byId } from '../dom.js';

/** Length of the recording, in frames of 32 ms. */
const FRAMES = 94;

/** Louder than this on the whole is somebody speaking (RMS). */
const HEARD = 0.006;

export function setUpSound() {
  const check = byId('mic-check', HTMLButtonElement);
  const says = byId('mic-says', HTMLElement);
  check.addEventListener('click', async () => {
    check.disabled = true;
    says.textContent = 'Speak now …';
    try {
      const { samples, rms, rate } = await record();
      says.textContent = 'This is what arrived.';
      await play(samples);
      says.textContent = rms > HEARD
        ? `You are heard. (device at ${rate} Hz, ${Math.round(20 * Math.log10(rms))} dBFS)`
        : 'Hardly anything arrived. Is the right microphone chosen, and is it switched on?';
    } catch (error) {
      const { title, help } = describeMicrophoneError(error);
      says.textContent = `${title}. ${help.replace(/^You can type, and the assistant still speaks\. /, '')}`;
    }
    level(0);
    check.disabled = false;
  });
  byId('speaker-check', HTMLButtonElement).addEventListener('click', () => void tones());
}

/** @param {number} rms */
function level(rms) {
  const meter = byId('mic-level', HTMLElement);
  // A square root shows quiet speech as well.
  const part = Math.min(1, Math.sqrt(rms * 4));
  meter.style.setProperty('--level', part.toFixed(2));
  meter.setAttribute('aria-valuenow', String(Math.round(part * 100)));
}

/** @returns {Promise<{ samples: Float32Array<ArrayBuffer>, rms: number, rate: number }>} */
function record() {
  return new Promise((resolve, reject) => {
    /** @type {number[]} */
    const samples = [];
    let energy = 0;
    let frames = 0;
    /** @type {Capture | null} */
    let capture = null;
    Capture.open(
      '',
      (pcm, rms) => {
        frames += 1;
        if (frames > FRAMES || !capture) return;
        for (const sample of new Int16Array(pcm)) samples.push(sample / 32_768);
        energy += rms * rms;
        level(rms);
        if (frames < FRAMES) return;
        const rate = capture.stats.sampleRate;
        capture.close();
        resolve({ samples: Float32Array.from(samples), rms: Math.sqrt(energy / frames), rate });
      },
      () => reject(Object.assign(new Error(), { name: 'Lost' })),
    ).then((opened) => {
      capture = opened;
    }, reject);
  });
}

/** @param {Float32Array<ArrayBuffer>} samples 16 kHz */
async function play(samples) {
  const context = new AudioContext();
  const buffer = new AudioBuffer({ length: Math.max(1, samples.length), sampleRate: 16_000 });
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  await new Promise((resolve) => {
    source.onended = resolve;
  });
  await context.close();
}

async function tones() {
  const says = byId('speaker-says', HTMLElement);
  const context = new AudioContext();
  const gain = new GainNode(context, { gain: 0 });
  const tone = new OscillatorNode(context, { frequency: 523.25 });
  tone.connect(gain).connect(context.destination);
  const now = context.currentTime + 0.05;
  tone.frequency.setValueAtTime(659.25, now + 0.35);
  for (const at of [now, now + 0.35]) {
    gain.gain.setTargetAtTime(0.25, at, 0.01);
    gain.gain.setTargetAtTime(0, at + 0.2, 0.04);
  }
  tone.start(now);
  tone.stop(now + 0.9);
  await new Promise((resolve) => {
    tone.onended = resolve;
  });
  await context.close();
  says.textContent = 'Did you hear two tones? If not: is the right loudspeaker chosen, and is the sound on?';
}
