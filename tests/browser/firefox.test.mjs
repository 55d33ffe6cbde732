// The core of the browser tests in Firefox, over WebDriver BiDi: a call that is heard and heard
// back, a tool, an interruption, a lost network, and every page without an error.
//
//   SERVER_URL  where the server is
//   FIREFOX     default /usr/bin/firefox-esr
//   PATIENCE    milliseconds for each awaited thing, default 30000
//
// Firefox plays nothing without a sound system; `tests/run` gives it PulseAudio with a null sink.
// Its microphone is the browser's own fake one, a tone.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, test } from 'node:test';

import puppeteer from 'puppeteer-core';

import { ARTIFACTS, breakable, PATIENCE, SERVER_URL } from './support.mjs';

/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
  mkdirSync(ARTIFACTS, { recursive: true });
  browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    headless: true,
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      'media.autoplay.default': 0,
      'media.autoplay.blocking_policy': 0,
    },
  });
});
after(() => browser?.close());

/** A page that notes what must not happen. */
async function open(url = SERVER_URL) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.setDefaultNavigationTimeout(PATIENCE);
  await page.setViewport({ width: 1360, height: 860 });
  /** @type {string[]} */
  const mishaps = [];
  const home = new URL(url).host;
  page.on('console', (message) => {
    if (message.type() === 'error') mishaps.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => mishaps.push(`error: ${error}`));
  page.on('request', (request) => {
    if (/^(http|ws)s?:/.test(request.url()) && new URL(request.url()).host !== home) mishaps.push(`to another host: ${request.url()}`);
  });
  await page.goto(url);
  return { page, mishaps, close: () => context.close() };
}

/** @type {(page: import('puppeteer-core').Page, state: string) => Promise<unknown>} */
const state = (page, wanted) =>
  page.waitForFunction((wanted) => document.documentElement.dataset.state === wanted, {}, wanted);

/** @type {(page: import('puppeteer-core').Page, test: string) => Promise<unknown>} */
const stats = (page, holds) => page.waitForFunction(`(({ capture, playback, socket }) => ${holds})(window.voiceConsole.stats())`);

/**
 * @param {import('puppeteer-core').Page} page
 * @param {string} words
 */
async function say(page, words) {
  const before = await page.$$eval('.line.is-assistant, .tool', (all) => all.length);
  await page.type('#say', words);
  await page.keyboard.press('Enter');
  await page.waitForFunction((n) => document.querySelectorAll('.line.is-assistant, .tool').length > n, {}, before);
}

test('a call in Firefox is heard and heard back, uses a tool and is interrupted', async (t) => {
  const { page, mishaps, close } = await open();
  try {
    await page.waitForSelector('#backend[data-backend="emulator"]');
    await page.click('#talk');
    await page.waitForFunction(() => document.documentElement.dataset.mic === 'on');
    await stats(page, 'playback.playedMs > 300 && playback.rms > 0.003');
    await stats(page, 'capture.frames > 50 && socket.framesSent > 50');
    // The tone would talk in between.
    await page.click('#mute');
    await page.waitForFunction(() => document.documentElement.dataset.mic === 'muted');
    await say(page, 'What is my balance?');
    await say(page, '4021');
    await state(page, 'assistant-speaking');
    await say(page, '1188');
    await page.waitForSelector('.tool.is-done');
    await stats(page, 'playback.flushes > 0');
    const { playback, capture, socket } = await page.evaluate(() => window.voiceConsole.stats());
    t.diagnostic(`${await browser.version()}: flush ${playback.lastFlushMs} ms, microphone at ${capture.sampleRate} Hz, ${playback.underruns} gaps`);
    assert.ok(playback.lastFlushMs < 100, `flush took ${playback.lastFlushMs} ms`);
    assert.equal(socket.framesDropped, 0);
    await page.screenshot({ path: `${ARTIFACTS}firefox-call.png` });
    await page.click('#talk');
    await state(page, 'ended');
  } finally {
    await close();
  }
  assert.deepEqual(mishaps, []);
});

test('a call in Firefox survives a lost network', async () => {
  const network = await breakable(SERVER_URL);
  const { page, mishaps, close } = await open(network.url);
  try {
    await page.waitForSelector('#backend[data-backend="emulator"]');
    await page.click('#talk');
    await page.waitForSelector('.line.is-assistant');
    const lines = await page.$$eval('.line', (all) => all.length);
    network.cut();
    await state(page, 'reconnecting');
    network.mend();
    await stats(page, 'socket.returns === 1');
    assert.ok((await page.$$eval('.line', (all) => all.length)) >= lines, 'the chat is not cleared');
    await say(page, 'Are you still there?');
    assert.equal((await page.$$('.notice.is-error')).length, 0);
    await page.click('#talk');
    await state(page, 'ended');
  } finally {
    await close();
    await network.close();
  }
  assert.deepEqual(mishaps.filter((mishap) => !/connection to ws|connection to the server/i.test(mishap)), []);
});

for (const name of ['', 'history', 'live', 'setup']) {
  test(`/${name} works in Firefox`, async () => {
    const { page, mishaps, close } = await open(new URL(name, SERVER_URL).href);
    try {
      await page.waitForSelector('#backend[data-backend="emulator"]');
      if (name === 'live') await page.waitForSelector('#live-state[data-state="live"]');
      if (name === 'setup') await page.waitForSelector('.part');
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, 'nothing sticks out');
      await page.screenshot({ path: `${ARTIFACTS}firefox-${name || 'talk'}.png` });
    } finally {
      await close();
    }
    assert.deepEqual(mishaps, []);
  });
}
