// Pictures of every page and state, in both themes and three widths, to be looked at. No test.
//
//   node pictures.mjs [NAME…]     only states whose names begin so
//
// Needs what `support.mjs` needs; the server should record (RECORDING=on) and hold a few calls.
// Pictures: tests/artifacts/pictures/.

import { mkdirSync } from 'node:fs';

import { ARTIFACTS, breakable, closeBrowser, launch, open, say, SERVER_URL, state, text } from './support.mjs';

const SIZES = [
  { width: 390, height: 844 },
  { width: 1024, height: 768 },
  { width: 1600, height: 1000 },
];
const ONLY = process.argv.slice(2);
const PLACE = `${ARTIFACTS}pictures/`;

const at = (page) => new URL(page, SERVER_URL).href;
const wanted = (name) => ONLY.length === 0 || ONLY.some((begin) => name.startsWith(begin));

/** Takes one state in all sizes and themes; the page is made anew for none of them. */
async function take(page, name) {
  for (const size of SIZES) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(700);
      await page.screenshot({ path: `${PLACE}${name}-${size.width}-${colorScheme}.png` });
    }
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  console.log(name, wide > 0 ? `STICKS OUT by ${wide}` : 'ok');
}

/** A step that may be left out. */
async function visit(name, url, options, steps) {
  if (!wanted(name)) return;
  const { page, close } = await open(name, options, url);
  try {
    await page.waitForSelector('#backend:not([hidden])');
    await steps(page);
  } catch (error) {
    console.error(name, error, await page.locator('#talk-state, .line, .tool').allInnerTexts());
    process.exitCode = 1;
  }
  await close();
}

mkdirSync(PLACE, { recursive: true });
await launch();

await visit('talk-idle', at(''), {}, (page) => take(page, 'talk-idle'));
await visit('talk-call', at(''), { permissions: ['microphone'] }, async (page) => {
  await page.click('#talk');
  await text(page, '.line.is-assistant .line-text');
  // The caller of the WAV would talk in between.
  await page.keyboard.press('Alt+M');
  await state(page, 'listening');
  await say(page, 'I do not recognise a payment');
  await state(page, 'listening');
  await say(page, '4021');
  await state(page, 'listening');
  await say(page, '1188');
  await page.waitForSelector('.tool.is-done:has-text("Verify")');
  await page.keyboard.press('Alt+M');
  await page.waitForSelector('#workflow:not([hidden])');
  await page.waitForSelector('.pace-bar');
  await take(page, 'talk-call');
  await page.keyboard.press('Alt+H');
  await take(page, 'talk-hold');
  await page.keyboard.press('Alt+H');
  await page.keyboard.press('Alt+M');
  await state(page, 'listening');
  await say(page, 'A person, please');
  await page.waitForSelector('.notice.is-transfer');
  await page.click('.notice-more summary').catch(() => {});
  await take(page, 'talk-transfer');
  await page.click('#talk');
  await state(page, 'ended');
  await take(page, 'talk-ended');
});
await visit('talk-sheet', at(''), {}, async (page) => {
  await page.click('#open-sheet');
  await page.waitForSelector('#tool-list li', { state: 'attached' });
  await page.uncheck('#all-tools');
  await take(page, 'talk-sheet');
});
await visit('talk-error', at(''), {}, async (page) => {
  await page.click('#talk');
  await page.waitForSelector('.notice.is-note');
  await take(page, 'talk-error');
  await page.click('#talk');
});
await visit('talk-voice', at(''), { permissions: ['microphone'] }, async (page) => {
  await page.click('#open-sheet');
  await page.check('input[value="voice"]');
  await page.check('#push-to-talk');
  await page.keyboard.press('Escape');
  await page.click('#talk');
  await state(page, 'assistant-speaking');
  await take(page, 'talk-voice');
  await page.click('#talk');
});
const network = await breakable(SERVER_URL);
await visit('talk-reconnecting', network.url, { permissions: ['microphone'] }, async (page) => {
  await page.click('#talk');
  await text(page, '.line.is-assistant .line-text');
  network.cut();
  await state(page, 'reconnecting');
  await take(page, 'talk-reconnecting');
  await page.click('#talk');
  await page.click('#talk');
  await page.waitForSelector('.notice.is-error');
  await take(page, 'talk-unreachable');
});
await network.close();
await visit('history', at('history'), {}, async (page) => {
  await page.waitForSelector('.call');
  await take(page, 'history-list');
  // A long one, if there is one.
  const long = page.locator('.call', { hasText: 'handed over' });
  await ((await long.count()) > 0 ? long : page.locator('.call')).first().click();
  await page.waitForSelector('.timeline');
  await page.click('.timeline .track');
  await take(page, 'history-call');
});
await visit('live', at('live'), {}, async (page) => {
  await page.waitForSelector('#live-state[data-state="live"]');
  await page.waitForSelector('.tile');
  await take(page, 'live-empty');
  const callers = await Promise.all([0, 1, 2].map((i) => open(`live-${i}`, {}, at(''))));
  for (const [i, { page: caller }] of callers.entries()) {
    await caller.click('#talk');
    await text(caller, '.line.is-assistant .line-text');
    await say(caller, i === 1 ? 'I do not recognise a payment' : 'What is my balance?');
    await say(caller, '4021');
    if (i > 0) await say(caller, '1188');
  }
  await page.waitForFunction(() => document.querySelectorAll('#rows tr').length >= 3);
  await take(page, 'live-calls');
  await page.locator('#rows button').first().click();
  await page.waitForSelector('#listen-lines .line');
  await take(page, 'live-listen');
  for (const { page: caller, close } of callers) {
    await caller.click('#talk');
    await close();
  }
});
await visit('setup', at('setup'), {}, async (page) => {
  await page.waitForSelector('.part');
  await take(page, 'setup');
});
await closeBrowser();
