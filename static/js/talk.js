/**
 * @file The talk page: the one place where the call and its views meet. Loaded by `index.html`.
 *
 * For tests and for the curious: `document.documentElement.dataset` holds `state` (see
 * `client/phase.js`), `mic`, `call` and `mode`; `window.voiceConsole.stats()` returns the figures
 * of the present or last call, see `VoiceS2S.stats` in `voice-s2s.js`.
 */

import { VoiceS2S } from '../voice-s2s.js';
import { describeStatus } from '../client/help.js';
import * as api from './api.js';
import { byId, make } from './dom.js';
import { ask, credential } from './key.js';
import { Shell } from './shell.js';
import { Composer } from './view/composer.js';
import { Facts } from './view/facts.js';
import { Feedback } from './view/feedback.js';
import { Notices } from './view/notices.js';
import { Pace } from './view/pace.js';
import { Settings } from './view/settings.js';
import { Stage } from './view/stage.js';
import { ToolCards } from './view/tools.js';
import { TranscriptView } from './view/transcript.js';
import { WorkflowView } from './view/workflow.js';

const transcript = new TranscriptView();
const tools = new ToolCards((card) => transcript.insert(card));
const notices = new Notices();
const workflow = new WorkflowView();
const pace = new Pace();

const call = new VoiceS2S({
  server: document.baseURI,
  config: () => settings.config,
  credential,
});
const settings = new Settings(call, (what) => {
  if (!call.isRunning) return;
  call.configure();
  transcript.insert(make('li', 'remark', what));
});
const stage = new Stage(call, () => settings.mode !== 'chat');
const facts = new Facts(call);
const composer = new Composer(call);
const feedback = new Feedback();
const shell = new Shell(() => stage.repaint());

/** @param {string | undefined} backend who answers, as `connected` or the status say it */
function answering(backend) {
  const isEmulator = backend === 'emulator';
  byId('emulator', HTMLElement).hidden = !isEmulator;
  // The real model answers anything; only the script has lines one must know.
  byId('suggestions', HTMLElement).hidden = !isEmulator;
}

/** What the note says of an emulator that has a recogniser. */
const UNDERSTANDS =
  'It also recognises the phrases of its script when they are said clearly in English, and nothing else. What it does not catch it asks for again; typing always works.';

call.on('state', (state) => {
  if (state === 'connecting') {
    transcript.clear({ keepTyped: false });
    tools.clear();
    notices.clear();
    facts.clear();
    pace.clear();
    workflow.clear();
    feedback.hide();
  }
  if (state === 'ended') {
    transcript.settle();
    tools.settle();
    if (call.seconds > 0) feedback.offer(call.sessionId);
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
  if (trouble.code === 'credential_needed' || trouble.code === 'credential_refused') {
    void ask(trouble.code === 'credential_refused' ? trouble.title : '').then((isIn) => {
      call.forgetAccess();
      if (isIn) notices.clear();
    });
  }
});
call.on('microphone', (microphone) => {
  if (microphone === 'on') notices.clearNotes();
});
call.on('message', (message) => {
  switch (message.type) {
    case 'connected':
      answering(message.backend);
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
    case 'workflowStatus':
      void workflow.show(message.data);
      break;
    case 'latency_update':
      facts.answered(message.ttft_ms);
      pace.answered(message.ttft_ms, message.latency_ms);
      transcript.answeredIn(message.ttft_ms);
      break;
    case 'token_usage':
      facts.costs(message.cost, message.currency);
      pace.used(message.inputTokens, message.outputTokens);
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
  else if (event.code === 'KeyH' && call.isRunning) stage.toggleHold();
  else if (event.code === 'KeyI') composer.focus();
  else return;
  event.preventDefault();
});

// Without this a tab that is closed leaves the server to find out.
addEventListener('pagehide', () => call.hangUp());

byId('shortcuts', HTMLElement).hidden = matchMedia('(pointer: coarse)').matches;

Object.assign(window, { voiceConsole: Object.freeze({ stats: () => call.stats() }) });

const status = await shell.open();
if (status) {
  answering(status.aws);
  if (status.hears === 'words') byId('emulator-hears', HTMLElement).textContent = UNDERSTANDS;
  if (status.aws === 'error') notices.show(describeStatus(status.error));
  call.forgetAccess();
  await settings.load();
}
