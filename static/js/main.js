/**
 * @file The one place where call and views meet. Loaded by `index.html`.
 *
 * For tests and for the curious: `document.documentElement.dataset` holds `state` (see
 * `call/phase.js`), `mic` and `call`; `window.voiceConsole.stats()` returns the figures of the
 * present or last call: `{ state, microphone, seconds, capture, playback, socket }`
 * (`playback` is a `PlaybackStats` of `audio/playback.js`).
 */

import * as api from './api.js';
import { VoiceCall } from './call/call.js';
import { describeStatus } from './call/help.js';
import { Backend } from './view/backend.js';
import { Composer } from './view/composer.js';
import { byId, make } from './view/dom.js';
import { Facts } from './view/facts.js';
import { Notices } from './view/notices.js';
import { Settings } from './view/settings.js';
import { Stage } from './view/stage.js';
import { setUpTheme } from './view/theme.js';
import { ToolCards } from './view/tools.js';
import { TranscriptView } from './view/transcript.js';

const transcript = new TranscriptView();
const tools = new ToolCards((card) => transcript.insert(card));
const notices = new Notices();
const backend = new Backend();

const settings = new Settings((what) => {
  if (!call.isRunning) return;
  call.configure();
  transcript.insert(make('li', 'remark', what));
});

const call = new VoiceCall({ url: api.sonicUrl(), config: () => settings.config, isReady: api.isReady });
const stage = new Stage(call);
const facts = new Facts(call);
const composer = new Composer(call);
setUpTheme(() => stage.repaint());

call.on('state', (state) => {
  if (state === 'connecting') {
    transcript.clear({ keepTyped: false });
    tools.clear();
    notices.clear();
    facts.clear();
  }
  if (state === 'ended') {
    transcript.settle();
    tools.settle();
  }
});
call.on('typed', (text) => {
  transcript.typed(text);
  notices.clearNotes();
});
call.on('trouble', (trouble) => {
  // Without the server nothing else works either; one notice says enough.
  if (trouble.code === 'unreachable') notices.clear();
  notices.show(trouble);
});
call.on('microphone', (microphone) => {
  if (microphone === 'on') notices.clearNotes();
});
call.on('message', (message) => {
  switch (message.type) {
    case 'connected':
      backend.set(message.backend);
      if (message.version) backend.setVersion(message.version);
      break;
    case 'session_start':
      transcript.clear({ keepTyped: true });
      break;
    case 'transcript':
      transcript.show(message);
      break;
    case 'transcriptCancelled':
      transcript.cancelled();
      break;
    case 'tool_use':
      tools.started(message);
      break;
    case 'tool_result':
      tools.ended(message);
      break;
    case 'transferToAgent':
      notices.transfer(message);
      break;
    case 'latency_update':
      facts.answered(message.ttft_ms);
      break;
    case 'token_usage':
      facts.costs(message.cost, message.currency ?? 'USD');
      break;
  }
});

for (const chip of document.querySelectorAll('[data-say]')) {
  chip.addEventListener('click', () => composer.say(chip.textContent ?? ''));
}

addEventListener('keydown', (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.code === 'KeyT') stage.toggle();
  else if (event.code === 'KeyM' && call.isRunning) stage.toggleMute();
  else if (event.code === 'KeyI') composer.focus();
  else return;
  event.preventDefault();
});

// Without this a tab that is closed leaves the server to find out.
addEventListener('pagehide', () => call.hangUp());

byId('shortcuts', HTMLElement).hidden = matchMedia('(pointer: coarse)').matches;

Object.assign(window, { voiceConsole: Object.freeze({ stats: () => call.stats() }) });

/**
 * @template T
 * @param {Promise<T>} answer
 * @param {T} otherwise the page works without it
 */
const or = (answer, otherwise) => answer.catch(() => otherwise);

const [personas, voices] = await Promise.all([
  or(api.readPersonas(), []),
  or(api.readVoices(), []),
  api.readStatus().then(
    (status) => {
      backend.setStatus(status);
      if (status.aws === 'error') notices.show(describeStatus(status.error));
    },
    () => backend.unreachable(),
  ),
  api.readVersion().then((version) => backend.setVersion(version), () => {}),
]);
settings.fill(personas, voices);
