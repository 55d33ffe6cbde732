// A dispute from greeting to transfer by voice alone, in headless Chromium against a server that
// understands speech. The caller is a voice of flite, not the one the assistant speaks with.
//
//   EARS_URL    where a server with `hears: words` is
//   FLITE       default flite
//   VOICE       a voice of flite, default slt
//
// The caller says the next line when the page says that it listens; what was not caught is said
// again. Prints how long the caller waits for the first sound of each answer.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { closeBrowser, launch, open, picture, state, text } from './support.mjs';

const EARS_URL = process.env.EARS_URL ?? '';
const VOICE = process.env.VOICE ?? 'slt';
/** Answers with which the bank asks for a line again. */
const AGAIN = /catch that|did not understand|yes or no|I need the|You can ask/;

const folder = mkdtempSync(join(tmpdir(), 'caller-'));
before(launch);
after(async () => {
  await closeBrowser();
  rmSync(folder, { recursive: true });
});

/** What flite says, as a WAV in base64. @param {string} words */
function speech(words) {
  const file = join(folder, 'line.wav');
  execFileSync(process.env.FLITE ?? 'flite', ['-voice', VOICE, '-t', words, '-o', file]);
  return readFileSync(file).toString('base64');
}

/** Runs in the page before its own code: a microphone into which `speak` puts a WAV. */
function microphone() {
  /** @type {AudioContext | undefined} */
  let context;
  /** @type {MediaStreamAudioDestinationNode | undefined} */
  let line;
  const page = /** @type {any} */ (globalThis);
  navigator.mediaDevices.getUserMedia = async () => {
    context = new AudioContext();
    line = context.createMediaStreamDestination();
    await context.resume();
    return line.stream;
  };
  page.waits = [];
  let stopped = 0;
  /** @param {string} base64 */
  page.speak = async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const sound = await context.decodeAudioData(bytes.buffer);
    const samples = sound.getChannelData(0);
    const last = samples.findLastIndex((sample) => Math.abs(sample) > 0.01);
    const source = new AudioBufferSourceNode(context, { buffer: sound });
    source.connect(line);
    const start = performance.now();
    await new Promise((resolve) => {
      source.onended = resolve;
      source.start();
    });
    stopped = start + (last / sound.sampleRate) * 1_000;
  };
  const answers = () => {
    if (document.documentElement?.dataset.state === 'assistant-speaking' && stopped > 0) {
      page.waits.push(Math.round(performance.now() - stopped));
      stopped = 0;
    }
  };
  new MutationObserver(answers).observe(document, { subtree: true, attributes: true, attributeFilter: ['data-state'] });
}

/**
 * Says a line and waits for what the assistant answers to it.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} words
 * @param {string} wanted part of the answer, or a selector that begins with a full stop
 */
async function say(page, words, wanted) {
  const wav = speech(words);
  for (let tries = 0; tries < 4; tries++) {
    await state(page, 'listening');
    const before = await page.locator('.line.is-assistant').count();
    await page.evaluate((wav) => /** @type {any} */ (globalThis).speak(wav), wav);
    const answer = await page.waitForFunction(
      ([count, wanted, again]) => {
        if (wanted.startsWith('.')) {
          if (document.querySelector(wanted)) return wanted;
        }
        const lines = [...document.querySelectorAll('.line.is-assistant')].slice(count);
        const said = lines.map((line) => line.textContent ?? '').join(' ');
        return said.includes(wanted) || new RegExp(again).test(said) ? said : undefined;
      },
      /** @type {const} */ ([before, wanted, AGAIN.source]),
    );
    if (String(await answer.jsonValue()).includes(wanted)) return;
  }
  assert.fail(`\`${words}\` was not understood four times`);
}

const skip = EARS_URL ? false : 'EARS_URL is not set: no server that understands speech';

test('a payment that the caller does not recognise goes from greeting to a person by voice', { skip }, async (t) => {
  const visit = await open('spoken-dispute', { permissions: ['microphone'] }, EARS_URL, microphone);
  const { page, sent } = visit;
  try {
    await page.waitForFunction(() => document.querySelector('#emulator-hears')?.textContent?.includes('recognises'));
    await page.click('#talk');
    await page.waitForFunction(() => document.documentElement.dataset.mic === 'on');
    await text(page, '.line.is-assistant .line-text');
    await state(page, 'assistant-speaking');
    await say(page, 'I do not recognize a payment.', 'account number');
    await say(page, 'Four, zero, two, one.', 'security code');
    await say(page, 'One, one, eight, eight.', 'Cloudgate');
    await say(page, 'The second one.', 'Shall I file a dispute');
    await say(page, 'Yes, please.', 'D 7 0 4 1 5');
    for (const tool of ['Verify identity', 'Get recent transactions', 'Dispute transaction']) {
      await page.waitForSelector(`.tool.is-done:has-text("${tool}")`);
    }
    await say(page, 'I want to speak to a person please.', '.notice.is-transfer');
    await picture(page, 'spoken-transfer');
    assert.deepEqual(sent.filter((frame) => frame.includes('"text"')), [], 'nothing was typed');
    const heard = await page.locator('.line.is-user .line-text').allTextContents();
    t.diagnostic(`understood: ${heard.join(' | ')}`);
    assert.ok(heard.some((line) => line.includes('recognize a payment')), heard.join(' | '));
    const waits = await page.evaluate(() => /** @type {any} */ (globalThis).waits);
    t.diagnostic(`first sound of the answer after the caller stops: ${waits} ms`);
  } finally {
    await visit.close();
  }
  visit.assertClean();
});

test('what is none of the phrases is not made up, and the text box is offered', { skip }, async () => {
  const visit = await open('spoken-unclear', { permissions: ['microphone'] }, EARS_URL, microphone);
  const { page } = visit;
  try {
    await page.click('#talk');
    await text(page, '.line.is-assistant .line-text');
    await state(page, 'assistant-speaking');
    await state(page, 'listening');
    const strange = speech('Unless to be rather cold hearted, and rather selfish, is to be ill disposed.');
    await page.evaluate((wav) => /** @type {any} */ (globalThis).speak(wav), strange);
    await page.waitForSelector('.line.is-assistant:has-text("did not catch that"):has-text("type it")');
    const invented = (await page.locator('.line.is-user .line-text').allTextContents()).filter((line) => !/^\(/.test(line));
    assert.deepEqual(invented, [], 'no words of the caller');
    assert.ok(await page.isEnabled('#say'), 'there is a box to type in');
  } finally {
    await visit.close();
  }
  visit.assertClean();
});
