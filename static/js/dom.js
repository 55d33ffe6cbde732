/**
 * @file Small helpers that every page uses: elements, icons, words for numbers.
 */

/**
 * The element with this id, of this class. The page and its scripts belong together, so a
 * missing one is a mistake in the page and said so.
 *
 * @template {Element} T
 * @param {string} id
 * @param {{ new (): T }} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${kind.name} #${id}`);
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/**
 * Takes `icons.svg` into the page, so that icons are there when the server is not: those of errors
 * are needed just then. What the page has from its first picture on refers to the file.
 */
export async function keepIcons() {
  const answer = await fetch(new URL('icons.svg', document.baseURI));
  const sprite = new DOMParser().parseFromString(await answer.text(), 'image/svg+xml').documentElement;
  sprite.setAttribute('class', 'sprite');
  sprite.setAttribute('aria-hidden', 'true');
  document.body.prepend(document.adoptNode(sprite));
  for (const use of document.querySelectorAll('use')) {
    use.setAttribute('href', use.getAttribute('href')?.replace('icons.svg', '') ?? '');
  }
}

/**
 * An icon of `icons.svg`.
 *
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `${document.querySelector('.sprite') ? '' : 'icons.svg'}#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * @param {string} className
 * @param {...(Node | string)} children
 */
export function button(className, ...children) {
  const element = make('button', className, ...children);
  element.type = 'button';
  return element;
}

/**
 * A figure with its name, for a `dl`.
 *
 * @param {string} name
 * @param {Node | string} value
 */
export function fact(name, value) {
  return make('div', 'fact', make('dt', '', name), make('dd', '', value));
}

/** @param {number} seconds as `1:05` or `1:02:05` */
export function length(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** @param {number | null | undefined} ms as `840 ms` or `1.2 s` */
export function wait(ms) {
  if (ms === undefined || ms === null || Number.isNaN(ms)) return '–';
  // The number and its unit stay on one line.
  return ms < 950 ? `${Math.round(ms)}\u00a0ms` : `${(ms / 1000).toFixed(1)}\u00a0s`;
}

/**
 * @param {number | null | undefined} amount
 * @param {string} [currency] ISO 4217
 */
export function money(amount, currency = 'USD') {
  if (amount === undefined || amount === null) return '–';
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: 4 };
  return new Intl.NumberFormat('en', { style: 'currency', currency, ...digits }).format(amount);
}

/** @param {string} name such as `get_balance`, `getBalance` or `persona-banking` */
export function words(name) {
  const spaced = name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/[_-]+/g, ' ').trim().toLowerCase();
  return spaced ? spaced[0]?.toUpperCase() + spaced.slice(1) : name;
}

/**
 * A value as a small table when it is a flat object, as JSON otherwise.
 *
 * @param {string} title
 * @param {unknown} value
 */
export function valueTable(title, value) {
  const parsed = unfold(value);
  const heading = make('p', 'tool-title', title);
  if (typeof parsed !== 'object' || parsed === null) return make('div', '', heading, make('p', 'tool-plain', String(parsed)));
  const entries = Object.entries(parsed);
  if (entries.length === 0) return make('div', '', heading, make('p', 'tool-plain', 'nothing'));
  const flat = !Array.isArray(parsed) && entries.every(([, v]) => typeof v !== 'object' || v === null);
  if (!flat) {
    const json = make('pre', 'tool-json', JSON.stringify(parsed, null, 2));
    // It scrolls, so the keyboard must reach it.
    json.tabIndex = 0;
    return make('div', '', heading, json);
  }
  const list = make('dl', 'tool-facts');
  for (const [key, v] of entries) list.append(make('dt', '', key), make('dd', '', String(v)));
  return make('div', '', heading, list);
}

/**
 * Some tools answer with a string that holds JSON.
 *
 * @param {unknown} value
 */
function unfold(value) {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** @param {unknown} result of a tool */
export function isFailure(result) {
  if (typeof result !== 'object' || result === null) return false;
  if ('error' in result && Boolean(result.error)) return true;
  return 'status' in result && result.status === 'error';
}
