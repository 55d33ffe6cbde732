/**
 * @file The live page: calls in progress, by `/monitor`, and how the server is doing, by asking it
 * every two seconds. Loaded by `live.html`.
 */

import { read, Refused, request } from './api.js';
import { byId } from './dom.js';
import { credential } from './key.js';
import { Board } from './live/board.js';
import { Gauges } from './live/gauges.js';
import { Listen } from './live/listen.js';
import { MonitorLink } from './live/monitor.js';
import { CallTable } from './live/table.js';
import { Tiles } from './live/tiles.js';
import { Shell } from './shell.js';

/** Milliseconds between two questions. */
const EVERY = 2_000;

const said = byId('live-state', HTMLElement);
const board = new Board();
const tiles = new Tiles();
const gauges = new Gauges();
const listen = new Listen(board);
const table = new CallTable({
  listen: (id) => listen.open(id),
  hangUp: async (id) => {
    try {
      await request(`api/calls/${encodeURIComponent(id)}`, { method: 'DELETE' });
    } catch (error) {
      // It may have ended meanwhile, which is what was wanted.
      if (!(error instanceof Refused && error.status === 404)) state('trouble', `It could not be hung up. (${error})`);
    }
  },
});

/**
 * @param {'waiting' | 'live' | 'draining' | 'trouble'} name
 * @param {string} words
 */
function state(name, words) {
  if (said.dataset.state === name && said.textContent === words) return;
  said.dataset.state = name;
  said.textContent = words;
}

const monitor = new MonitorLink({
  credential,
  message: (message) => {
    board.take(message);
    table.render(board.calls);
    listen.take(message);
    if (said.dataset.state === 'waiting' || said.dataset.state === 'trouble') state('live', 'Connected');
  },
  lost: () => state('trouble', 'The connection was lost; it is tried again'),
});

async function ask() {
  try {
    const answer = await read('api/calls');
    tiles.show(answer);
    gauges.show(answer.queues);
    if (answer.draining) state('draining', 'Draining: the server stops when its calls have ended');
    else if (said.dataset.state === 'draining') state('live', 'Connected');
  } catch (error) {
    const isForbidden = error instanceof Refused && error.status === 403;
    state('trouble', isForbidden ? 'Your key may not see calls' : 'The server cannot be reached');
  }
}

/** One question after the other, as long as somebody looks. */
async function keepAsking() {
  if (document.visibilityState === 'visible') await ask();
  setTimeout(keepAsking, EVERY);
}

if (await new Shell().open()) {
  monitor.open();
  void keepAsking();
  // Ages go on without news.
  setInterval(() => table.age(), 1_000);
}
