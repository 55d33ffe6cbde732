// The pages beside the talk page, and what all of them have to be: quick, light, accessible in
// both themes, without an error or a request to another host.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { closeBrowser, launch, open, PHONE, picture, say, SERVER_URL, state, text } from './support.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Most bytes of a page with everything that it loads. */
const HEAVY = 200 * 1024;

const PAGES = ['', 'history', 'live', 'setup'];

before(launch);
after(closeBrowser);

/** @param {string} page */
const at = (page) => new URL(page, SERVER_URL).href;

/**
 * What axe finds against WCAG 2.2 AA.
 *
 * @param {import('playwright-core').Page} page
 */
async function audit(page) {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const { violations } = await globalThis.axe.run(document, { runOnly: tags });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`));
  });
}

for (const name of PAGES) {
  test(`/${name} is quick, light and accessible in both themes`, async (t) => {
    const visit = await open(`page-${name || 'talk'}`, {}, at(name));
    const { page } = visit;
    try {
      /** @type {number[]} */
      const paints = [];
      let weight = { bytes: 0, answers: 0 };
      // The quickest of three: other programs work on the same machine. The first has no cache.
      for (let visits = 0; visits < 3; visits += 1) {
        if (visits > 0) await page.reload();
        await page.waitForSelector('#backend:not([hidden])');
        await page.waitForLoadState('networkidle');
        paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN));
        weight = visits > 0 ? weight : await page.evaluate(() => {
          // The list of calls is as long as there are calls.
          const loaded = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
            .filter(({ name }) => !name.includes('/api/history'));
          return { bytes: loaded.reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0), answers: loaded.length };
        });
      }
      const paint = Math.min(...paints);
      t.diagnostic(`first paint ${Math.round(paint)} ms, ${(weight.bytes / 1024).toFixed(0)} KiB in ${weight.answers} answers`);
      assert.ok(weight.bytes < HEAVY, `${weight.bytes} bytes`);
      // Under 300 ms on a quiet machine.
      assert.ok(paint < 1_000, `first paint after ${paints} ms`);
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.emulateMedia({ colorScheme });
        await picture(page, `page-${name || 'talk'}-${colorScheme}`);
        assert.deepEqual(await audit(page), [], colorScheme);
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, 'nothing sticks out');
    } finally {
      await visit.close();
    }
    visit.assertClean();
  });
}

test('the talk page is accessible in the middle of a call, with its sheet, and at its end', async () => {
  const visit = await open('audit', { viewport: PHONE });
  const { page } = visit;
  try {
    await page.click('#talk');
    await text(page, '.line.is-assistant .line-text');
    await say(page, 'I do not recognise a payment');
    await say(page, '4021');
    await say(page, '1188');
    await page.waitForSelector('.tool.is-done');
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      await page.emulateMedia({ colorScheme });
      await picture(page, `call-phone-${colorScheme}`);
      assert.deepEqual(await audit(page), [], colorScheme);
    }
    await page.click('#open-sheet');
    await page.uncheck('#all-tools');
    assert.deepEqual(await audit(page), [], 'the sheet');
    await page.keyboard.press('Escape');
    await page.click('#talk');
    await state(page, 'ended');
    await page.waitForSelector('#feedback:not([hidden])');
    assert.deepEqual(await audit(page), [], 'the end');
  } finally {
    await visit.close();
  }
  visit.assertClean();
});

test('an operator sees a call live, reads along, and hangs up', async () => {
  const caller = await open('live-caller', {});
  const operator = await open('live-operator', {}, at('live'));
  try {
    await operator.page.waitForSelector('#live-state[data-state="live"]');
    await caller.page.click('#talk');
    await text(caller.page, '.line.is-assistant .line-text');
    const row = operator.page.locator('#rows tr').last();
    await row.waitFor();
    await row.getByText('Read along').click();
    await say(caller.page, 'What is my balance?');
    await operator.page.waitForSelector('#listen-lines .line.is-user:has-text("What is my balance?")');
    await say(caller.page, '4021');
    await say(caller.page, '1188');
    await operator.page.waitForSelector('#listen-lines .tool');
    await picture(operator.page, 'live-call');
    assert.deepEqual(await audit(operator.page), []);
    await row.getByText('Hang up').click();
    await operator.page.click('#sure-yes');
    await state(caller.page, 'ended');
    await operator.page.waitForSelector('#listen-lines .remark:has-text("over")');
    await row.waitFor({ state: 'detached' });
  } finally {
    await caller.close();
    await operator.close();
  }
  caller.assertClean();
  operator.assertClean();
});

test('a search goes on through older calls than those that are shown', async () => {
  const visit = await open('history-search', {}, at('history'));
  const { page } = visit;
  /** @param {string} id @param {string} words */
  const item = (id, words) => ({
    id, date: '2026-01-05T09:00:00Z', summary: words, transcript: [{ text: words }], usage: null, feedback: null,
    durationMs: 1000, end: null, persona: null, errors: 0, transferred: false, recording: null,
  });
  try {
    let asked = 0;
    await page.route('**/api/history?*', async (route) => {
      const number = Number(new URL(route.request().url()).searchParams.get('after') ?? 0);
      asked += 1;
      const link = number < 4 ? { link: `</api/history?limit=50&after=${number + 1}>; rel="next"` } : {};
      await route.fulfill({ json: [item(`call-${number}`, `page ${number}`)], headers: link });
    });
    await page.reload();
    await page.waitForSelector('.call');
    assert.equal(asked, 1, 'one page is enough to begin with');
    await page.fill('#search', 'page 3');
    await page.waitForSelector('.call:has-text("page 3")');
    await page.waitForFunction(() => document.querySelector('#count')?.textContent === '1 of 5 calls');
    assert.equal(asked, 5);
  } finally {
    await visit.close();
  }
  visit.assertClean();
});

test('a call of the past is found, read, heard and downloaded', async () => {
  const call = await open('history-caller', {});
  const { page } = call;
  // A town that no other call has named.
  const town = `Liverpool-${Math.random().toString(36).replace(/[^a-z]/g, '')}`;
  const words = `Do you have a branch in ${town}?`;
  try {
    await page.click('#talk');
    await text(page, '.line.is-assistant .line-text');
    await say(page, words);
    await state(page, 'assistant-speaking');
    await page.click('#talk');
    await state(page, 'ended');
    await page.check('#feedback input[value="4"]');
    await page.fill('#feedback-comment', 'It knew the town.');
    await page.click('#feedback-send');
    await page.waitForSelector('#feedback[data-sent="yes"]');
    const chip = page.locator('.nav a', { hasText: 'History' });
    await chip.click();
    // The log reaches its store a moment after the call.
    const found = page.locator('.call', { hasText: town });
    await page.waitForSelector('#count:not(:empty)');
    while (!(await found.isVisible())) {
      await page.reload();
      await page.waitForSelector('#count:not(:empty)');
    }
    await page.fill('#search', town.toLowerCase());
    await page.waitForFunction(() => document.querySelectorAll('.call').length === 1);
    await page.click('[data-filter="rated"]');
    await page.waitForSelector('.call .mark:has-text("rated 4")');
    await found.click();
    await page.waitForSelector('.replay .line.is-user:has-text("Liverpool-")');
    await page.waitForSelector('.timeline .track.is-assistant .event');
    await page.waitForSelector('.figures .fact');
    await picture(page, 'history-call');
    assert.deepEqual(await audit(page), []);
    await page.click('.player .is-play');
    await page.waitForFunction(() => !document.querySelector('.player-clock')?.textContent?.startsWith('0:00'));
    assert.ok((await page.locator('.playhead:not([hidden])').count()) === 1, 'the timeline goes along');
    const download = page.waitForEvent('download');
    await page.click('.replay-actions button:has-text("Log")');
    assert.match((await download).suggestedFilename(), /^session_.*\.json$/);
  } finally {
    await call.close();
  }
  call.assertClean();
});

test('setup names what is missing, and checks the microphone', async () => {
  const visit = await open('setup', { permissions: ['microphone'] }, at('setup'));
  const { page } = visit;
  try {
    await page.waitForSelector('.part:has-text("SONIC_BACKEND")');
    await page.waitForSelector('.part:has-text("LANGFUSE_PUBLIC_KEY") .standing.is-off');
    await page.waitForSelector('#catalog:has-text("tools")');
    await page.click('#mic-check');
    await page.waitForFunction(() => /You are heard|Hardly anything/.test(document.querySelector('#mic-says')?.textContent ?? ''));
    await page.click('#speaker-check');
    await page.waitForSelector('#speaker-says:has-text("Did you hear")');
  } finally {
    await visit.close();
  }
  visit.assertClean();
});
