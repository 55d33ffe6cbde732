/**
 * @file The last seconds of the call as one strip: the caller's voice above the line, the
 * assistant's below, newest on the right.
 *
 * It runs with sound alone; with `prefers-reduced-motion` it moves four times a second.
 */

/** Milliseconds of one column. */
const COLUMN = 50;
const COLUMN_REDUCED = 250;

/** Pixels of one column and of the gap beside it. */
const WIDE = 3;
const GAP = 2;

export class Scope {
  #canvas;
  #analysers;
  #isRunning = false;
  #colours = { caller: '', assistant: '', line: '' };
  /** @type {[caller: number, assistant: number][]} */
  #columns = [];
  #samples = new Uint8Array(256);
  #still = matchMedia('(prefers-reduced-motion: reduce)');
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => { caller: AnalyserNode | null, assistant: AnalyserNode | null }} analysers
   */
  constructor(canvas, analysers) {
    this.#canvas = canvas;
    this.#analysers = analysers;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.refresh());
  }

  /** @param {boolean} isRunning whether there is a call */
  run(isRunning) {
    if (isRunning === this.#isRunning) return;
    if (isRunning) this.#columns = [];
    this.#isRunning = isRunning;
    clearTimeout(this.#timer);
    this.refresh();
    if (isRunning) this.#tick();
  }

  /** Draws again, for instance because the theme changed. */
  refresh() {
    this.#redraw();
  }

  #tick() {
    const { caller, assistant } = this.#analysers();
    this.#columns.push([this.#level(caller), this.#level(assistant)]);
    while (this.#columns.length > this.#most) this.#columns.shift();
    const context = this.#canvas.getContext('2d');
    if (context && this.#columns.length > 0) {
      // All that was drawn moves on; only the newest column is drawn.
      const { width, height } = this.#canvas;
      const step = (WIDE + GAP) * devicePixelRatio;
      context.globalCompositeOperation = 'copy';
      context.drawImage(this.#canvas, -step, 0);
      context.globalCompositeOperation = 'source-over';
      context.clearRect(width - step, 0, step, height);
      this.#column(context, 0);
    }
    this.#timer = setTimeout(() => this.#tick(), this.#still.matches ? COLUMN_REDUCED : COLUMN);
  }

  /** Columns that there is room for. */
  get #most() {
    return Math.ceil(this.#canvas.width / ((WIDE + GAP) * devicePixelRatio)) + 1;
  }

  /** @param {AnalyserNode | null} source */
  #level(source) {
    if (!source) return 0;
    source.getByteTimeDomainData(this.#samples);
    let peak = 0;
    for (const sample of this.#samples) peak = Math.max(peak, Math.abs(sample - 128) / 128);
    // A square root shows quiet speech as well; it is about how loudness is felt.
    return Math.sqrt(peak);
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#canvas;
    if (clientWidth === 0) return;
    this.#canvas.width = Math.round(clientWidth * devicePixelRatio);
    this.#canvas.height = Math.round(clientHeight * devicePixelRatio);
    this.#redraw();
  }

  #redraw() {
    const context = this.#canvas.getContext('2d');
    if (!context) return;
    // Three colours of the theme; `scope` in stage.css lends them these names.
    const { color, caretColor, outlineColor } = getComputedStyle(this.#canvas);
    this.#colours = { caller: color, assistant: caretColor, line: outlineColor };
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    for (let back = 0; back < this.#most; back += 1) this.#column(context, back);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} back how many columns before the newest
   */
  #column(context, back) {
    const unit = devicePixelRatio;
    const { width, height } = this.#canvas;
    const middle = Math.round(height / 2);
    const x = width - (back + 1) * (WIDE + GAP) * unit;
    context.fillStyle = this.#colours.line;
    context.fillRect(x, middle, (WIDE + GAP) * unit, unit);
    const [caller, assistant] = this.#columns[this.#columns.length - 1 - back] ?? [0, 0];
    const tall = (/** @type {number} */ level) => Math.round(level * (middle - 2 * unit));
    context.fillStyle = this.#colours.caller;
    if (tall(caller) >= unit) context.fillRect(x, middle - tall(caller) - unit, WIDE * unit, tall(caller));
    context.fillStyle = this.#colours.assistant;
    if (tall(assistant) >= unit) context.fillRect(x, middle + 2 * unit, WIDE * unit, tall(assistant));
  }
}
