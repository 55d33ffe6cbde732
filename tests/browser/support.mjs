// What the browser tests share: the browser, pages that note what must not happen, waiting for
// states, pictures.
//
//   SERVER_URL  where the server is, such as http://127.0.0.1:8080
//   CALLER_WAV  absolute path of a mono WAV that plays as the microphone: at least 1 s of silence
//               (its first 0.2 s are lost), then three or more phrases of 1–3 s of speech with
//               pauses of 1.5–3 s, so that at least one begins while the assistant is speaking,
//               then silence to the end (the file does not loop)
//   CHROMIUM    default /usr/bin/chromium
//   PATIENCE    milliseconds for each awaited thing, default 30000

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

export const SERVER_URL = required('SERVER_URL');
const CALLER_WAV = process.env.CALLER_WAV ?? '';
export const PATIENCE = Number(process.env.PATIENCE ?? 30_000);
export const ARTIFACTS = fileURLToPath(new URL('../artifacts/', import.meta.url));

export const WIDE = { width: 1360, height: 860 };
export const PHONE = { width: 390, height: 844 };

/** @type {import('playwright-core').Browser} */
let browser;

/** Starts the browser with a microphone that plays the caller's WAV. */
export async function launch() {
  if (!CALLER_WAV) throw new Error('CALLER_WAV is not set; see the head of this file');
  mkdirSync(ARTIFACTS, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--use-fake-device-for-media-stream',
      `--use-file-for-fake-audio-capture=${CALLER_WAV}%noloop`,
      '--autoplay-policy=no-user-gesture-required',
    ],
  });
}

export const closeBrowser = () => browser?.close();

/**
 * A page in a context of its own that notes what must not happen.
 *
 * @param {string} name of the picture of its end
 * @param {import('playwright-core').BrowserContextOptions} options
 * @param {string} [url]
 * @param {() => void} [prepare] runs in the page before its own code
 */
export async function open(name, options, url = SERVER_URL, prepare) {
  const context = await browser.newContext({ viewport: WIDE, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  /** @type {string[]} */
  const mishaps = [];
  /** JSON the page sent. @type {string[]} */
  const sent = [];
  const home = new URL(url).host;
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    mishaps.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => mishaps.push(`error: ${error.message}`));
  page.on('request', (request) => {
    const { host, protocol } = new URL(request.url());
    if (host !== home && protocol !== 'blob:' && protocol !== 'data:') mishaps.push(`request to another host: ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) mishaps.push(`${response.status()} ${response.url()}`);
  });
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== home) mishaps.push(`socket to another host: ${socket.url()}`);
    socket.on('framesent', ({ payload }) => typeof payload === 'string' && sent.push(payload));
  });
  if (prepare) await page.addInitScript(prepare);
  await page.goto(url);
  return {
    page,
    sent,
    mishaps,
    close: async () => {
      if (!page.isClosed()) await page.screenshot({ path: `${ARTIFACTS}${name}-end.png` });
      await context.close();
    },
    /** @param {RegExp} [expected] mishaps that are part of the test */
    assertClean: (expected) =>
      assert.deepEqual(mishaps.filter((mishap) => !expected?.test(mishap)), []),
  };
}

/**
 * A network between page and server that breaks when it is told to.
 *
 * @param {string} target
 */
export async function breakable(target) {
  const { hostname, port } = new URL(target);
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set();
  let broken = false;
  const proxy = createServer((near) => {
    if (broken) {
      near.destroy();
      return;
    }
    const far = connect(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = /** @type {import('node:net').AddressInfo} */ (proxy.address());
  const cut = () => {
    broken = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${address.port}/`,
    cut,
    mend: () => {
      broken = false;
    },
    close: () => {
      cut();
      return new Promise((resolve) => proxy.close(resolve));
    },
  };
}

/**
 * Types, and waits until the assistant has begun to answer or to act.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} words
 */
export async function say(page, words) {
  const reactions = '.line.is-assistant, .tool';
  const before = await page.locator(reactions).count();
  await page.fill('#say', words);
  await page.press('#say', 'Enter');
  await page.waitForFunction(
    ([selector, count]) => document.querySelectorAll(selector).length > count,
    /** @type {const} */ ([reactions, before]),
  );
}

/**
 * @param {import('playwright-core').Page} page
 * @param {string} wanted
 */
export function state(page, wanted) {
  return page.waitForFunction((state) => document.documentElement.dataset.state === state, wanted);
}

/**
 * Waits until an element has text.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} selector
 */
export function text(page, selector) {
  return page.waitForFunction((s) => document.querySelector(s)?.textContent?.trim(), selector);
}

/**
 * Waits until the figures of the call are as wanted.
 *
 * @param {import('playwright-core').Page} page
 * @param {(stats: any) => boolean} wanted
 * @param {string} what
 */
export async function figures(page, wanted, what) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    // Asks the page's own clock for the next picture: a pause without a fixed length.
    const stats = await page.evaluate(
      () => new Promise((resolve) => requestAnimationFrame(() => resolve(window.voiceConsole.stats()))),
    );
    if (wanted(stats)) return;
    assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(stats)}`);
  }
}

/**
 * @param {import('playwright-core').Page} page
 * @param {string} name
 */
export async function picture(page, name) {
  // Colours fade when the state or the theme changes; the picture is of what they become.
  await page.evaluate(() =>
    Promise.allSettled(
      document
        .getAnimations()
        .filter((animation) => animation.effect?.getTiming().iterations !== Infinity)
        .map((animation) => animation.finished),
    ),
  );
  await page.screenshot({ path: `${ARTIFACTS}${name}.png` });
}

/** @param {string} name */
function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; see the head of this file`);
  return value;
}
