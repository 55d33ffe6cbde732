// How the page and the client are let in: a door before the real server asks for a key, exchanges
// it for tickets, checks and forgets them at the upgrade, and says when the house is full. And the
// client on a page of another origin.

import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';

import { closeBrowser, launch, open, SERVER_URL, state, text } from './support.mjs';

const KEY = 'key-of-the-tests';

before(launch);
after(closeBrowser);

/** @param {import('node:http').Server} server */
async function listen(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return `http://127.0.0.1:${port}/`;
}

/** A door before `SERVER_URL`. */
async function door() {
  const { hostname, port } = new URL(SERVER_URL);
  /** @type {Set<string>} */
  const tickets = new Set();
  /** @type {Set<import('node:stream').Duplex>} */
  const sockets = new Set();
  const seen = { used: 0, refused: 0, queries: /** @type {string[]} */ ([]), isFull: false };
  const json = (answer, status, value) =>
    answer.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(value));

  const server = createServer((asked, answer) => {
    const isIn = asked.headers.authorization === `Bearer ${KEY}`;
    if (asked.url === '/api/auth') return json(answer, 200, isIn ? { required: true, user: 'tester', roles: ['talk'] } : { required: true });
    if (asked.url === '/api/ticket') {
      if (!isIn || asked.method !== 'POST') return json(answer, 401, { error: { code: 'unauthenticated', message: 'no' } });
      const ticket = randomUUID();
      tickets.add(ticket);
      return json(answer, 200, { ticket, expiresAt: new Date(Date.now() + 60_000).toISOString() });
    }
    if (asked.url?.startsWith('/api/') && !isIn) return json(answer, 401, { error: { code: 'unauthenticated', message: 'no' } });
    const { url: path, method, headers } = asked;
    const passed = request({ hostname, port, path, method, headers }, (got) => {
      answer.writeHead(got.statusCode ?? 502, got.headers);
      got.pipe(answer);
    });
    return asked.pipe(passed);
  });
  server.on('upgrade', (asked, near) => {
    sockets.add(near);
    near.on('error', () => {});
    const offered = (asked.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    const ticket = offered.find((name) => name.startsWith('ticket.'))?.slice('ticket.'.length) ?? '';
    seen.queries.push(asked.url ?? '');
    if (!tickets.delete(ticket)) {
      seen.refused += 1;
      near.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n');
      return;
    }
    seen.used += 1;
    if (seen.isFull) {
      sayBusy(asked, near);
      return;
    }
    const far = connect(Number(port), hostname);
    sockets.add(far);
    far.on('error', () => near.destroy());
    const lines = Object.entries(asked.headers).map(([name, value]) => `${name}: ${value}`);
    far.write(`GET ${asked.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  const url = await listen(server);
  return {
    url,
    seen,
    cut: () => sockets.forEach((socket) => socket.destroy()),
    close: () => {
      sockets.forEach((socket) => socket.destroy());
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What a full server does to a client of `voice.v1`: a message, then 1013. */
function sayBusy(asked, socket) {
  const accept = createHash('sha1').update(`${asked.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n` +
      'sec-websocket-protocol: voice.v1\r\n\r\n',
  );
  const message = Buffer.from(JSON.stringify({ type: 'error', code: 'busy', fatal: true, retryAfterSeconds: 7, message: 'full' }));
  assert.ok(message.length < 126);
  socket.write(Buffer.concat([Buffer.from([0x81, message.length]), message]));
  socket.write(Buffer.from([0x88, 2, 1013 >> 8, 1013 & 0xff]));
}

test('a server that wants a key asks for it on every page, and a call goes in with a ticket', async () => {
  const gate = await door();
  const visit = await open('access', {}, gate.url);
  const { page } = visit;
  try {
    await page.waitForSelector('dialog[open] #key-input');
    await page.fill('#key-input', 'wrong');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#key-fault:has-text("does not accept")');
    await page.screenshot({ path: new URL('../artifacts/key.png', import.meta.url).pathname });
    await page.fill('#key-input', KEY);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#backend[data-backend="emulator"]');
    assert.ok((await page.locator('#persona option').count()) > 1, 'what the API knows is there');

    await page.click('#talk');
    await text(page, '.line.is-assistant .line-text');
    assert.equal(gate.seen.used, 1);
    assert.ok(gate.seen.queries.every((query) => !query.includes('ticket') && !query.includes(KEY)), 'nothing secret is in an address');

    // Each connection of a call has a ticket of its own.
    gate.cut();
    await state(page, 'reconnecting');
    await page.waitForFunction(() => window.voiceConsole.stats().socket.returns === 1);
    assert.equal(gate.seen.used, 2);
    assert.equal(gate.seen.refused, 0);
    await page.click('#talk');
    await state(page, 'ended');

    // The tab remembers it for the other pages; another tab does not.
    await page.click('.nav a:has-text("Live")');
    await page.waitForSelector('#live-state[data-state="live"]');
    assert.equal(await page.locator('dialog[open]').count(), 0);
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('key-of')), false);
  } finally {
    await visit.close();
    gate.close();
  }
  visit.assertClean(/WebSocket connection to .* failed/);
});

test('a full server says when to call again', async () => {
  const gate = await door();
  gate.seen.isFull = true;
  const visit = await open('busy', {}, gate.url);
  const { page } = visit;
  try {
    await page.fill('#key-input', KEY);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#backend[data-backend="emulator"]');
    await page.click('#talk');
    await state(page, 'ended');
    assert.match((await page.textContent('.notice.is-error')) ?? '', /full.*in 7 s/);
    assert.equal(await page.locator('.notice.is-error').count(), 1, 'it is said once');
  } finally {
    await visit.close();
    gate.close();
  }
  visit.assertClean();
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
  const url = await listen(host);
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
