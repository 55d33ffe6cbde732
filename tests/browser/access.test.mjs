// How the pages and the client are let in by a server that asks for a key: the dialog, a ticket for
// each connection, a full house. And the client on a page of another origin.
//
//   GUARDED_URL   a server that asks, and holds one call
//   GUARDED_KEY   a key with all roles
//   EMBED_ORIGIN  the origin that SERVER_URL allows besides its own

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { breakable, closeBrowser, launch, open, SERVER_URL, state, text } from './support.mjs';

const { GUARDED_URL = '', GUARDED_KEY = '', EMBED_ORIGIN = '' } = process.env;

before(launch);
after(closeBrowser);

/** @param {import('playwright-core').Page} page */
async function enter(page) {
  await page.waitForSelector('dialog[open] #key-input');
  await page.fill('#key-input', GUARDED_KEY);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#backend[data-backend="emulator"]');
}

test('a server that wants a key asks for it on every page, and a call goes in with a ticket', async () => {
  const network = await breakable(GUARDED_URL);
  const visit = await open('access', {}, network.url);
  const { page } = visit;
  /** @type {string[]} */
  const addresses = [];
  page.on('websocket', (socket) => addresses.push(socket.url()));
  try {
    await page.waitForSelector('dialog[open] #key-input');
    await page.fill('#key-input', 'wrong');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#key-fault:has-text("does not accept")');
    await page.screenshot({ path: new URL('../artifacts/key.png', import.meta.url).pathname });
    await enter(page);
    assert.ok((await page.locator('#persona option').count()) > 1, 'what the API knows is there');

    await page.click('#talk');
    await text(page, '.line.is-assistant .line-text');

    // Each connection of a call has a ticket of its own: one is good once.
    network.cut();
    await state(page, 'reconnecting');
    network.mend();
    await page.waitForFunction(() => window.voiceConsole.stats().socket.returns === 1);
    assert.ok(addresses.length > 1);
    const secret = (/** @type {string} */ address) => /ticket|resumeToken/.test(address) || address.includes(GUARDED_KEY);
    assert.ok(!addresses.some(secret), 'nothing secret is in an address');

    // The house holds one call.
    const other = await open('busy', {}, GUARDED_URL);
    await enter(other.page);
    await other.page.click('#talk');
    await state(other.page, 'ended');
    assert.match((await other.page.textContent('.notice.is-error')) ?? '', /full.*in 5 s|calls as it can.*in 5 s/);
    assert.equal(await other.page.locator('.notice.is-error').count(), 1, 'it is said once');
    await other.close();
    other.assertClean(/401/);

    await page.click('#talk');
    await state(page, 'ended');

    // The tab remembers it for the other pages; another tab does not.
    await page.click('.nav a:has-text("Live")');
    await page.waitForSelector('#live-state[data-state="live"]');
    assert.equal(await page.locator('dialog[open]').count(), 0);
    assert.equal(await page.evaluate((key) => JSON.stringify(localStorage).includes(key), GUARDED_KEY), false);
  } finally {
    await visit.close();
    await network.close();
  }
  visit.assertClean(/WebSocket connection to .* failed|401|ERR_/);
});

test('one tag holds a call on a page of another origin', async () => {
  const script = new URL('voice-s2s-call.js', SERVER_URL).href;
  const host = createServer((_, answer) => {
    const policy = `default-src 'none'; script-src ${new URL(SERVER_URL).origin}; connect-src ${new URL(SERVER_URL).origin} ${SERVER_URL.replace('http', 'ws')}`;
    answer.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy });
    answer.end(`<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">
      <script type="module" src="${script}"></script>
      <voice-s2s-call label="Ask us" transcript></voice-s2s-call></html>`);
  });
  const { hostname, port } = new URL(EMBED_ORIGIN);
  await new Promise((resolve) => host.listen(Number(port), hostname, () => resolve(undefined)));
  const url = `${EMBED_ORIGIN}/`;
  const visit = await open('embedded', {}, url);
  const { page, mishaps } = visit;
  try {
    await page.getByRole('button', { name: 'Ask us' }).click();
    const tag = page.locator('voice-s2s-call');
    await tag.getByText(/Hello, this is/).waitFor();
    assert.notEqual(await tag.getAttribute('data-state'), 'idle');
    await page.getByRole('button', { name: 'Hang up' }).click();
    await page.waitForSelector('voice-s2s-call[data-state="ended"]');
  } finally {
    await visit.close();
    host.closeAllConnections();
    host.close();
  }
  // The other host is our own, and there is no icon.
  assert.deepEqual(mishaps.filter((mishap) => !mishap.includes(new URL(SERVER_URL).host) && !mishap.includes('data:')), []);
});
