/**
 * @file The history page: a list of calls, and the chosen one. Loaded by `history.html`.
 *
 * The chosen call stands in the address (`#id`), so that it can be sent to somebody.
 */

import { byId } from './dom.js';
import { CallList } from './history/list.js';
import { Replay } from './history/replay.js';
import { Shell } from './shell.js';

const replay = new Replay();
const list = new CallList((id) => {
  if (decodeURIComponent(location.hash.slice(1)) === id) show();
  else location.hash = encodeURIComponent(id);
});

/** Shows the call that the address names. */
function show() {
  const id = decodeURIComponent(location.hash.slice(1));
  list.mark(id);
  document.documentElement.dataset.chosen = id ? 'yes' : 'no';
  if (id) void replay.show(id);
  else replay.clear();
}

addEventListener('hashchange', () => {
  show();
  byId('replay', HTMLElement).focus({ preventScroll: false });
});

if (await new Shell().open()) {
  await list.load();
  show();
}
