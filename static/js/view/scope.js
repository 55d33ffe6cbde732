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
  }

  /** @param {boolean} isRunning whether there is a call */
  run(isRunning) {
    if (isRunning && !this.#isRunning) this.#columns = [];
    this.#isRunning = isRunning;
    clearTimeout(this.#timer);
    if (isRunning) this.#tick();
    else this.refresh();
  }

  /** Draws again, for instance because the theme changed. */
  refresh() {
    this.#draw();
  }

  #tick() {
    const { caller, assistant } = this.#analysers();
    this.#columns.push([this.#level(caller), this.#level(assistant)]);
    const most = Math.ceil(this.#canvas.width / ((WIDE + GAP) * devicePixelRatio)) + 1;
    while (this.#columns.length > most) this.#columns.shift();
    this.#draw();
    this.#timer = setTimeout(() => this.#tick(), this.#still.matches ? COLUMN_REDUCED : COLUMN);
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
    this.#draw();
  }

  #draw() {
    const context = this.#canvas.getContext('2d');
    if (!context) return;
    const { width, height } = this.#canvas;
    const style = getComputedStyle(this.#canvas);
    const unit = devicePixelRatio;
    const middle = Math.round(height / 2);
    context.clearRect(0, 0, width, height);
    // Three colours of the theme; `scope` in stage.css lends them these names.
    const colours = [style.color, style.caretColor];
    context.fillStyle = style.outlineColor;
    context.fillRect(0, middle, width, unit);
    for (let i = 0; i < this.#columns.length; i += 1) {
      const column = this.#columns[this.#columns.length - 1 - i] ?? [0, 0];
      const x = width - (i + 1) * (WIDE + GAP) * unit;
      column.forEach((level, side) => {
        const tall = Math.round(level * (middle - 2 * unit));
        if (tall < unit) return;
        context.fillStyle = colours[side] ?? '';
        context.beginPath();
        context.roundRect(x, side === 0 ? middle - tall - unit : middle + 2 * unit, WIDE * unit, tall, unit);
        context.fill();
      });
    }
  }
}
