/**
 * @file The ring of bars around the talk button: microphone level while the caller speaks,
 * the assistant's voice while it speaks, a moving mark while something is awaited.
 *
 * It draws only while there is something to see, and with `prefers-reduced-motion` it moves
 * only with sound, slowly. The colour is the canvas's CSS colour, so it follows state and theme.
 */

/** @import { CallState } from '../../client/phase.js' */

const BARS = 84;

/** Milliseconds between two pictures: 30 a second are enough for the eye and spare the battery. */
const PICTURE = 30;

/** The same when motion is to be reduced. */
const SLOW = 250;

export class Ring {
  #canvas;
  #analysers;
  /** @type {CallState} */
  #state = 'idle';
  #heights = new Float32Array(BARS);
  #bins = new Uint8Array(128);
  #frame = 0;
  #drawnAt = 0;
  #still = matchMedia('(prefers-reduced-motion: reduce)');

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => { caller: AnalyserNode | null, assistant: AnalyserNode | null }} analysers
   */
  constructor(canvas, analysers) {
    this.#canvas = canvas;
    this.#analysers = analysers;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    const redraw = () => this.#wake();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
    this.#still.addEventListener('change', redraw);
  }

  /** @param {CallState} state */
  setState(state) {
    this.#state = state;
    this.#wake();
  }

  /** Draws again, for instance because the theme changed. */
  refresh() {
    this.#wake();
  }

  #resize() {
    const side = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    if (side === 0) return;
    this.#canvas.width = side;
    this.#canvas.height = side;
    this.#wake();
  }

  #wake() {
    if (this.#frame === 0) this.#frame = requestAnimationFrame((now) => this.#tick(now));
  }

  /** @param {number} now */
  #tick(now) {
    this.#frame = 0;
    if (now - this.#drawnAt >= (this.#still.matches ? SLOW : PICTURE)) {
      this.#drawnAt = now;
      const moved = this.#move(now / 1000);
      this.#draw();
      if (!moved && (this.#state === 'idle' || this.#state === 'ended')) return;
    }
    this.#wake();
  }

  /**
   * Lets every bar go a part of its way.
   *
   * @param {number} time seconds
   * @returns {boolean} whether anything moved
   */
  #move(time) {
    const { caller, assistant } = this.#analysers();
    const source = this.#state === 'assistant-speaking' ? assistant : caller;
    const level = this.#spectrum(source);
    let moved = false;
    for (let i = 0; i < BARS; i += 1) {
      const goal = Math.max(this.#rest(i, time), this.#sound(i, level));
      const way = goal - (this.#heights[i] ?? 0);
      if (Math.abs(way) > 0.004) moved = true;
      this.#heights[i] += way * (way > 0 ? 0.7 : 0.3);
    }
    return moved;
  }

  /**
   * What a bar does without sound, 0 … 1.
   *
   * @param {number} i
   * @param {number} time
   */
  #rest(i, time) {
    const angle = i / BARS;
    if (this.#still.matches) return this.#state === 'idle' || this.#state === 'ended' ? 0.03 : 0.1;
    switch (this.#state) {
      case 'connecting':
      case 'reconnecting': {
        const behind = (((time * 0.7 - angle) % 1) + 1) % 1;
        return 0.05 + 0.4 * Math.max(0, 1 - behind * 3.2);
      }
      case 'thinking': {
        const wave = Math.sin(2 * Math.PI * (angle * 3 - time * 0.55));
        return 0.06 + 0.3 * Math.max(0, wave) ** 2;
      }
      case 'on-hold':
        return 0.05 + 0.03 * Math.max(0, Math.sin(time * 1.6));
      case 'listening':
        return 0.07 + 0.045 * Math.sin(2 * Math.PI * (angle * 2 - time * 0.22));
      default:
        return 0.03;
    }
  }

  /**
   * What a bar does for the sound there is, 0 … 1: low frequencies on top, mirrored.
   *
   * @param {number} i
   * @param {number} bins how many bins hold voice; 0 without a source
   */
  #sound(i, bins) {
    if (bins === 0) return 0;
    if (this.#state === 'thinking' || this.#state === 'connecting' || this.#state === 'on-hold') return 0;
    const half = BARS / 2;
    const from = i <= half ? i : BARS - i;
    const bin = 1 + Math.floor((from / half) ** 1.25 * (bins - 1));
    const value = (this.#bins[bin] ?? 0) / 255;
    return Math.max(0, value - 0.3) * 1.35;
  }

  /** @param {AnalyserNode | null} source */
  #spectrum(source) {
    if (!source) return 0;
    source.getByteFrequencyData(this.#bins);
    const binWidth = source.context.sampleRate / source.fftSize;
    return Math.min(this.#bins.length, Math.floor(4_200 / binWidth));
  }

  #draw() {
    const context = this.#canvas.getContext('2d');
    if (!context) return;
    const side = this.#canvas.width;
    context.clearRect(0, 0, side, side);
    context.strokeStyle = getComputedStyle(this.#canvas).color;
    context.lineCap = 'round';
    context.lineWidth = side * 0.0105;
    // The button fills 58 % of the canvas (see stage.css); bars begin a little outside of it.
    const inner = side * 0.325;
    const room = side * 0.5 - inner - context.lineWidth;
    for (let i = 0; i < BARS; i += 1) {
      const height = Math.min(1, this.#heights[i] ?? 0);
      const angle = (i / BARS) * 2 * Math.PI - Math.PI / 2;
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      const outer = inner + room * height;
      context.globalAlpha = 0.28 + 0.72 * Math.min(1, height * 2.2);
      context.beginPath();
      context.moveTo(side / 2 + inner * cos, side / 2 + inner * sin);
      context.lineTo(side / 2 + outer * cos, side / 2 + outer * sin);
      context.stroke();
    }
  }
}
