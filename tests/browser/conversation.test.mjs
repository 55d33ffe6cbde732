// A conversation in headless Chromium against a running server.
//
//   SERVER_URL  where the server is, such as http://127.0.0.1:8080
//   CALLER_WAV  absolute path of a mono WAV that plays as the microphone: at least 1 s of silence
//               (its first 0.2 s are lost), then three or more phrases of 1–3 s of speech with
//               pauses of 1.5–3 s, so that at least one begins while the assistant is speaking,
//               then silence to the end (the file does not loop)
//   CHROMIUM    default /usr/bin/chromium
//   TYPED       what is typed until a tool runs, separated by `|`;
//               default: What is my balance?|4021|1188
//   TOOL        the name on the card of that tool; default: Get account balance
//   PATIENCE    milliseconds for each awaited thing, default 30000
//
// Waits for states, never for time. Screenshots: tests/artifacts/.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';

import { chromium } from 'playwright-core';

const SERVER_URL = required('SERVER_URL');
const CALLER_WAV = required('CALLER_WAV');
const TYPED = (process.env.TYPED ?? 'What is my balance?|4021|1188').split('|');
const TOOL = process.env.TOOL ?? 'Get account balance';
const PATIENCE = Number(process.env.PATIENCE ?? 30_000);
const ARTIFACTS = fileURLToPath(new URL('../artifacts/', import.meta.url));

const WIDE = { width: 1360, height: 860 };
const PHONE = { width: 390, height: 844 };

/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
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
});

after(() => browser?.close());

test('a caller speaks, is answered aloud, interrupts and hangs up', async (t) => {
  const visit = await open('spoken', { permissions: ['microphone'] });
  const { page } = visit;
  try {
    await page.waitForSelector('#backend:not([hidden])');
    assert.ok((await page.locator('#persona option').count()) > 1, 'personas to choose from');
    assert.ok((await page.locator('#voice option').count()) > 1, 'voices to choose from');
    await picture(page, 'idle-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await picture(page, 'idle-dark');
    await page.emulateMedia({ colorScheme: 'light' });

    await page.click('#talk');
    await page.waitForFunction(() => document.documentElement.dataset.mic === 'on');
    await text(page, '.line.is-assistant .line-text');
    await figures(page, ({ playback }) => playback.playedMs > 300 && playback.rms > 0.003, 'the greeting is heard');
    await picture(page, 'greeting');

    await state(page, 'user-speaking');
    await picture(page, 'caller-speaking');
    await text(page, '.line.is-user .line-text');

    await figures(page, ({ playback }) => playback.flushes > 0, 'a barge-in flushes playback');
    await page.waitForSelector('.line.is-interrupted');
    await picture(page, 'interrupted');

    const stats = await page.evaluate(() => window.voiceConsole.stats());
    t.diagnostic(JSON.stringify(stats));
    assert.ok(stats.capture.frames > 50, 'the microphone delivers frames');
    assert.ok(stats.playback.lastFlushMs < 100, `flush took ${stats.playback.lastFlushMs} ms`);
    assert.equal(stats.socket.framesDropped, 0);

    await page.click('#talk');
    await state(page, 'ended');
    assert.equal(await page.textContent('#talk-label'), 'Call again');
    await picture(page, 'ended');
  } finally {
    await visit.close();
  }
  visit.assertClean();
});

test('a caller without a microphone types, is answered, and sees a tool at work', async () => {
  const visit = await open('typed', { viewport: PHONE, deviceScaleFactor: 2 });
  const { page, sent } = visit;
  try {
    await page.click('#talk');
    await page.waitForSelector('.notice.is-note');
    assert.match((await page.textContent('.notice.is-note')) ?? '', /microphone/i);
    await text(page, '.line.is-assistant .line-text');
    await picture(page, 'phone-typed-only');

    for (const words of TYPED) await say(page, words);
    await page.waitForSelector(`.tool.is-done:has-text("${TOOL}")`);
    await state(page, 'assistant-speaking');
    await picture(page, 'phone-tool');
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize(WIDE);
    await picture(page, 'tool-dark');

    const voice = await page.locator('#voice option').nth(1).getAttribute('value');
    await page.selectOption('#voice', voice);
    await page.waitForSelector('.remark');
    const configs = sent.filter((frame) => frame.includes('"sessionConfig"'));
    assert.equal(configs.length, 2, 'settings are sent at the start and when one changes');
    assert.equal(JSON.parse(configs[1] ?? '').config.voiceId, voice);
    await say(page, 'Thank you.');

    await page.click('#talk');
    await state(page, 'ended');
  } finally {
    await visit.close();
  }
  visit.assertClean();
});

test('a payment that the caller does not recognise goes from greeting to a person', async () => {
  const visit = await open('dispute', {});
  const { page } = visit;
  try {
    await page.click('#talk');
    await text(page, '.line.is-assistant .line-text');
    const story = [
      ['I do not recognise a payment', 'account number'],
      ['4021', 'security code'],
      ['1188', 'Cloudgate'],
      ['The one from Cloudgate', 'Shall I file a dispute'],
      ['Yes', 'D 7 0 4 1 5'],
    ];
    for (const [words, answer] of story) {
      await page.fill('#say', words);
      await page.press('#say', 'Enter');
      await page.waitForSelector(`.line.is-assistant:has-text("${answer}")`);
    }
    for (const tool of ['Verify identity', 'Get recent transactions', 'Dispute transaction']) {
      await page.waitForSelector(`.tool.is-done:has-text("${tool}")`);
    }
    await page.waitForFunction(() => /^\$\d/.test(document.querySelector('#fact-cost')?.textContent ?? ''));
    await page.fill('#say', 'A person, please');
    await page.press('#say', 'Enter');
    await page.waitForSelector('.notice.is-transfer');
    assert.match((await page.textContent('.notice.is-transfer')) ?? '', /person/i);
    await picture(page, 'transfer');
    await page.click('#talk');
    await state(page, 'ended');
  } finally {
    await visit.close();
  }
  visit.assertClean();
});

test('the network breaks in the middle of a sentence, and the conversation goes on', async () => {
  const network = await breakable(SERVER_URL);
  const visit = await open('network', { permissions: ['microphone'] }, network.url);
  const { page } = visit;
  try {
    await page.click('#talk');
    await text(page, '.line.is-assistant .line-text');
    await state(page, 'user-speaking');
    const lines = await page.locator('.line').count();
    network.cut();
    await state(page, 'reconnecting');
    await picture(page, 'reconnecting');
    // More is said meanwhile than goes out at once.
    const said = await page.evaluate(() => window.voiceConsole.stats().capture.frames);
    await page.waitForFunction((said) => window.voiceConsole.stats().capture.frames > said + 100, said);
    // What is typed meanwhile is not lost either.
    await page.fill('#say', 'Are you still there?');
    await page.press('#say', 'Enter');
    network.mend();
    await figures(page, ({ socket }) => socket.returns === 1, 'the page is back in its call');
    const { socket } = await page.evaluate(() => window.voiceConsole.stats());
    assert.equal(socket.framesDropped, 0, 'all that was said meanwhile is sent');
    await text(page, '.line.is-user .line-text');
    await page.waitForSelector('.line.is-user:has-text("Are you still there?")');
    assert.ok((await page.locator('.line').count()) >= lines, 'the chat is not cleared');

    // In the middle of an answer.
    await state(page, 'assistant-speaking');
    network.cut();
    network.mend();
    await figures(page, ({ socket }) => socket.returns === 2, 'and once more');
    const before = await page.locator('.line.is-assistant').count();
    await say(page, 'Hello again.');
    assert.ok((await page.locator('.line.is-assistant').count()) >= before);
    const sessions = await page.locator('.notice.is-error').count();
    assert.equal(sessions, 0, 'no error is shown');
    await page.click('#talk');
    await state(page, 'ended');
  } finally {
    await visit.close();
    await network.close();
  }
  visit.assertClean(/WebSocket connection to .* failed/);
});

test('the keyboard alone holds a call', async () => {
  const visit = await open('keyboard', {});
  const { page } = visit;
  try {
    await page.focus('#say');
    await page.keyboard.type('Hello');
    await page.keyboard.press('Enter');
    await text(page, '.line.is-user .line-text');
    await text(page, '.line.is-assistant .line-text');
    await page.keyboard.press('Alt+T');
    await state(page, 'ended');
  } finally {
    await visit.close();
  }
  visit.assertClean();
});

/**
 * A page in a context of its own that notes what must not happen.
 *
 * @param {string} name of the picture of its end
 * @param {import('playwright-core').BrowserContextOptions} options
 */
async function open(name, options, url = SERVER_URL) {
  const context = await browser.newContext({ viewport: WIDE, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  /** @type {string[]} */
  const mishaps = [];
  /** JSON the page sent. @type {string[]} */
  const sent = [];
  const home = new URL(url).host;
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') mishaps.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => mishaps.push(`error: ${error.message}`));
  page.on('request', (request) => {
    if (new URL(request.url()).host !== home) mishaps.push(`request to another host: ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) mishaps.push(`${response.status()} ${response.url()}`);
  });
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== home) mishaps.push(`socket to another host: ${socket.url()}`);
    socket.on('framesent', ({ payload }) => typeof payload === 'string' && sent.push(payload));
  });
  await page.goto(url);
  return {
    page,
    sent,
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
async function breakable(target) {
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
async function say(page, words) {
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
function state(page, wanted) {
  return page.waitForFunction((state) => document.documentElement.dataset.state === state, wanted);
}

/**
 * Waits until an element has text.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} selector
 */
function text(page, selector) {
  return page.waitForFunction((s) => document.querySelector(s)?.textContent?.trim(), selector);
}

/**
 * Waits until the figures of the call are as wanted.
 *
 * @param {import('playwright-core').Page} page
 * @param {(stats: any) => boolean} wanted
 * @param {string} what
 */
async function figures(page, wanted, what) {
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
async function picture(page, name) {
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
