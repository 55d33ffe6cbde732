// A conversation in headless Chromium against a running server; `support.mjs` says what it needs.
//
//   TYPED       what is typed until a tool runs, separated by `|`;
//               default: What is my balance?|4021|1188
//   TOOL        the name on the card of that tool; default: Get account balance
//
// Waits for states, never for time. Screenshots: tests/artifacts/.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { breakable, closeBrowser, figures, launch, open, PHONE, picture, say, SERVER_URL, state, text, WIDE } from './support.mjs';

const TYPED = (process.env.TYPED ?? 'What is my balance?|4021|1188').split('|');
const TOOL = process.env.TOOL ?? 'Get account balance';

before(launch);
after(closeBrowser);

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
    t.diagnostic(`flush ${stats.playback.lastFlushMs.toFixed(1)} ms, mouth to ear ${stats.mouthToEarMs.map(Math.round)} ms`);
    assert.ok(stats.capture.frames > 50, 'the microphone delivers frames');
    assert.ok(stats.playback.lastFlushMs < 100, `flush took ${stats.playback.lastFlushMs} ms`);
    assert.equal(stats.socket.framesDropped, 0);

    await figures(page, ({ mouthToEarMs }) => mouthToEarMs.length > 0, 'mouth to ear is measured');
    await page.click('#talk');
    await state(page, 'ended');
    assert.equal(await page.textContent('#talk-label'), 'Call again');
    await page.waitForSelector('#feedback:not([hidden])');
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
    await page.waitForSelector('#workflow:not([hidden]) .node.is-here');
    assert.ok((await page.locator('#workflow .node.is-passed').count()) > 1, 'the steps that were passed are marked');
    await page.waitForSelector('.check.is-known:has-text("Verified")');
    await page.waitForSelector('.pace-bar');
    await page.waitForFunction(() => /^\$\d/.test(document.querySelector('#fact-cost')?.textContent ?? ''));
    await page.fill('#say', 'A person, please');
    await page.press('#say', 'Enter');
    await page.waitForSelector('.notice.is-transfer');
    assert.match((await page.textContent('.notice.is-transfer')) ?? '', /person/i);
    await state(page, 'on-hold');
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

test('hold, push to talk and text only change what is heard, in the middle of a call', async () => {
  const visit = await open('controls', { permissions: ['microphone'] });
  const { page, sent } = visit;
  const mic = (wanted) => page.waitForFunction((mic) => document.documentElement.dataset.mic === mic, wanted);
  const configs = () => sent.filter((frame) => frame.includes('"sessionConfig"')).map((frame) => JSON.parse(frame).config);
  try {
    await page.click('#talk');
    await text(page, '.line.is-assistant .line-text');
    await mic('on');

    await page.keyboard.press('Alt+H');
    await state(page, 'on-hold');
    await mic('muted');
    assert.equal(configs().at(-1).inactivityEnabled, false, 'nobody is asked after while on hold');
    await picture(page, 'on-hold');
    await page.keyboard.press('Alt+H');
    await mic('on');
    assert.equal(configs().at(-1).inactivityEnabled, undefined);

    await page.click('#open-sheet');
    await page.check('#push-to-talk');
    await picture(page, 'sheet');
    await page.waitForSelector('#tool-list li', { state: 'attached' });
    await page.uncheck('#all-tools');
    await page.uncheck('#tool-list input[value="get_account_balance"]');
    await page.selectOption('#sensitivity', 'LOW');
    await page.keyboard.press('Escape');
    await mic('muted');
    const { selectedTools, endpointingSensitivity } = configs().at(-1);
    assert.ok(selectedTools.length > 3 && !selectedTools.includes('get_account_balance'));
    assert.equal(endpointingSensitivity, 'LOW');
    await page.evaluate(() => document.activeElement instanceof HTMLElement && document.activeElement.blur());
    await page.keyboard.down('Space');
    await mic('on');
    await page.keyboard.up('Space');
    await mic('muted');

    const persona = await page.locator('#persona option').nth(2).getAttribute('value');
    await page.selectOption('#persona', persona);
    assert.equal(configs().at(-1).personaId, persona);
    await say(page, 'Hello?');
    assert.equal(await page.locator('.notice.is-error').count(), 0, 'the call goes on');
    await page.click('#talk');
    await state(page, 'ended');

    // What was chosen is there after a reload, and without a microphone.
    await page.click('#open-sheet');
    await page.check('input[value="chat"]');
    await page.reload();
    await page.waitForFunction(() => document.documentElement.dataset.mode === 'chat');
    await page.click('#talk');
    await text(page, '.line.is-assistant .line-text');
    await mic('off');
    await page.click('#talk');
    await state(page, 'ended');
  } finally {
    await visit.close();
  }
  visit.assertClean();
});
