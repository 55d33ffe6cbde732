// The parts of the pages that need no browser: state of a call, speech gate, jitter buffer,
// resampler, errors in words, access, the workflow's graph, the timeline, the live board. Run with
// `npm run unit`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

// What the worklet files expect of the audio thread.
Object.assign(globalThis, {
  AudioWorkletProcessor: class {},
  registerProcessor: () => {},
  sampleRate: 24_000,
});

const js = (path) => import(new URL(`../../static/${path}`, import.meta.url).href);
const { CallPhase } = await js('client/phase.js');
const { SpeechGate } = await js('client/speech-gate.js');
const { JitterBuffer } = await js('client/playback-worklet.js');
const { Resampler } = await js('client/capture-worklet.js');
const help = await js('client/help.js');
const { Access } = await js('client/access.js');
const { layOut } = await js('js/view/workflow-layout.js');
const { marksOf, recordingStart } = await js('js/history/log.js');
const { Board } = await js('js/live/board.js');

test('a turn goes from listening over speech and thinking to the answer', () => {
  const phase = new CallPhase();
  assert.equal(phase.state(0), 'idle');
  phase.setLink('connecting');
  assert.equal(phase.state(0), 'connecting');
  phase.setLink('active');
  assert.equal(phase.state(0), 'listening');
  phase.setCallerSpeaks(true, 100);
  assert.equal(phase.state(100), 'user-speaking');
  phase.setCallerSpeaks(false, 900);
  assert.equal(phase.state(900), 'thinking');
  phase.setAssistantSpeaks(true);
  assert.equal(phase.state(1_400), 'assistant-speaking');
  phase.setAssistantSpeaks(false);
  assert.equal(phase.state(3_000), 'listening');
  phase.setLink('ended');
  assert.equal(phase.state(3_100), 'ended');
});

test('a cough without an answer is forgotten', () => {
  const phase = new CallPhase();
  phase.setLink('active');
  phase.setCallerSpeaks(true, 0);
  phase.setCallerSpeaks(false, 200);
  const change = phase.nextChange(200);
  assert.equal(phase.state(change - 1), 'thinking');
  assert.equal(phase.state(change), 'listening');
  assert.equal(phase.nextChange(change), null);
});

test('echo of the assistant is not shown as the caller', () => {
  const phase = new CallPhase();
  phase.setLink('active');
  phase.setAssistantSpeaks(true);
  phase.setCallerSpeaks(true, 10);
  assert.equal(phase.state(10), 'assistant-speaking');
  phase.setAssistantSpeaks(false);
  assert.equal(phase.state(20), 'user-speaking');
});

test('the speech gate opens for speech and ignores the room', () => {
  const gate = new SpeechGate();
  for (let i = 0; i < 300; i += 1) gate.push(0.003);
  assert.equal(gate.speaking, false);
  for (let i = 0; i < 5; i += 1) gate.push(0.08);
  assert.equal(gate.speaking, true);
  for (let i = 0; i < 10; i += 1) gate.push(0.002);
  assert.equal(gate.speaking, true, 'a pause between words is no end');
  for (let i = 0; i < 10; i += 1) gate.push(0.002);
  assert.equal(gate.speaking, false);
});

const ms = (n) => new Int16Array(24 * n).fill(8_000);

/** Pulls `n` milliseconds in quanta of 128 samples; returns the new time in seconds. */
function pull(buffer, n, now, rate = 24_000) {
  const out = new Float32Array(128);
  for (const end = now + n / 1000; now < end; now += 128 / rate) buffer.pull(out, now);
  return { now, out };
}

test('playback waits for its cushion, then plays all of it', () => {
  const buffer = new JitterBuffer();
  buffer.push(ms(32), 0);
  pull(buffer, 20, 0);
  assert.equal(buffer.state, 'filling');
  buffer.push(ms(32), 0.02);
  pull(buffer, 20, 0.02);
  assert.equal(buffer.state, 'playing');
  pull(buffer, 100, 0.04);
  assert.equal(buffer.state, 'empty');
  assert.equal(buffer.played, 64 * 24);
  assert.equal(buffer.underruns, 0);
});

test('what is shorter than the cushion is heard as well', () => {
  const buffer = new JitterBuffer();
  buffer.push(ms(10), 0);
  pull(buffer, 150, 0);
  assert.equal(buffer.played, 240);
});

test('late audio counts as an underrun and widens the cushion; a new sentence does not', () => {
  const buffer = new JitterBuffer();
  buffer.push(ms(100), 0);
  let { now } = pull(buffer, 150, 0);
  const before = buffer.target;
  buffer.push(ms(100), now);
  assert.equal(buffer.underruns, 1);
  assert.ok(buffer.target > before);
  ({ now } = pull(buffer, 1_000, now));
  buffer.push(ms(100), now);
  assert.equal(buffer.underruns, 1);
});

test('a flush silences within one quantum and without a click', () => {
  const buffer = new JitterBuffer();
  buffer.push(ms(5_000), 0);
  const { now } = pull(buffer, 100, 0);
  const dropped = buffer.flush();
  assert.ok(dropped > 4_800 * 24);
  const { out } = pull(buffer, 5, now);
  assert.ok(Math.abs(out[0]) > 0 && Math.abs(out[127]) < 0.001, 'a short tail, then silence');
  assert.equal(buffer.state, 'empty');
  buffer.push(ms(100), now);
  assert.equal(buffer.underruns, 0, 'silence after a flush is wanted');
});

test('more than the ring holds is counted, and does not break it', () => {
  const buffer = new JitterBuffer();
  for (let i = 0; i < 70; i += 1) buffer.push(ms(1_000), 0);
  assert.equal(buffer.length, 60 * 24_000);
  assert.equal(buffer.overflows, 10);
});

test('a device at 48 kHz plays the same time, not the same samples', () => {
  const buffer = new JitterBuffer(48_000);
  buffer.push(ms(500), 0);
  pull(buffer, 700, 0, 48_000);
  assert.ok(Math.abs(buffer.played - 24_000) <= 2, String(buffer.played));
});

for (const rate of [44_100, 48_000, 96_000, 8_000]) {
  test(`the resampler keeps a tone of 1 kHz from ${rate} Hz and the length`, () => {
    const resampler = new Resampler(rate);
    /** @type {number[]} */
    const out = [];
    let at = 0;
    for (; at < rate; at += 128) {
      const block = new Float32Array(128).map((_, i) => Math.sin((2 * Math.PI * 1_000 * (at + i)) / rate));
      resampler.push(block, (sample) => out.push(sample));
    }
    assert.ok(Math.abs(out.length - (at * 16_000) / rate) < 40, String(out.length));
    const middle = out.slice(4_000, 12_000);
    const rms = Math.sqrt(middle.reduce((sum, x) => sum + x * x, 0) / middle.length);
    assert.ok(Math.abs(rms - Math.SQRT1_2) < 0.03, String(rms));
  });
}

test('the resampler lets nothing above 8 kHz fold back', () => {
  const resampler = new Resampler(48_000);
  let energy = 0;
  let count = 0;
  for (let at = 0; at < 48_000; at += 128) {
    const block = new Float32Array(128).map((_, i) => Math.sin((2 * Math.PI * 10_500 * (at + i)) / 48_000));
    resampler.push(block, (sample) => {
      count += 1;
      if (count > 500) energy += sample * sample;
    });
  }
  assert.ok(Math.sqrt(energy / (count - 500)) < 0.01);
});

test('every error has a title and says what to do', () => {
  for (const trouble of [
    help.describeServerError('throttled', 'x'),
    help.describeServerError('never heard of', 'the server’s own words'),
    help.describeMicrophoneError(Object.assign(new Error(), { name: 'NotAllowedError' })),
    help.describeMicrophoneError('odd'),
    help.describeClose(1006, ''),
    help.describeClose(1000, 'Inactivity timeout'),
    help.describeNoCall('not-ready'),
  ]) {
    assert.ok(trouble.title && trouble.help && trouble.code);
  }
  assert.equal(help.describeServerError('new', 'own words').help, 'own words');
  assert.equal(help.describeClose(1000, 'bye'), null);
});

test('a held or transferred call is on hold as soon as the assistant is silent', () => {
  const phase = new CallPhase();
  phase.setLink('active');
  phase.setHeld(true);
  assert.equal(phase.state(0), 'on-hold');
  phase.setHeld(false);
  assert.equal(phase.state(0), 'listening');
  phase.setAssistantSpeaks(true);
  phase.transferred();
  assert.equal(phase.state(0), 'assistant-speaking', 'the sentence is finished first');
  phase.setAssistantSpeaks(false);
  assert.equal(phase.state(0), 'on-hold');
  phase.setLink('connecting');
  phase.setLink('active');
  assert.equal(phase.state(0), 'listening', 'the next call begins anew');
});

/** Answers of a server, by path; notes what was asked. */
function server(answers) {
  const asked = [];
  globalThis.fetch = async (url, options) => {
    asked.push([new URL(url).pathname, options.method ?? 'GET', options.headers.authorization]);
    const [status, value] = answers[new URL(url).pathname] ?? [404, {}];
    return { status, ok: status === 200, json: async () => value };
  };
  return asked;
}

test('the protocols of a connection follow what the server demands', async () => {
  const base = new URL('http://voice.example/');
  const access = (credential, ticket) => new Access(base, () => credential, ticket);
  server({});
  assert.deepEqual(await access(null).protocols(), [], 'a server that knows no authentication');
  server({ '/api/auth': [200, { required: false }] });
  assert.deepEqual(await access(null).protocols(), ['voice.v1']);
  server({ '/api/auth': [200, { required: true }] });
  await assert.rejects(access(null).protocols(), { code: 'credential_needed' });
  const asked = server({ '/api/auth': [200, { required: true }], '/api/ticket': [200, { ticket: 't1' }] });
  const one = access('key');
  assert.deepEqual(await one.protocols(), ['voice.v1', 'ticket.t1']);
  await one.protocols();
  assert.deepEqual(asked.map(([path, method]) => `${method} ${path}`), ['GET /api/auth', 'POST /api/ticket', 'POST /api/ticket']);
  assert.ok(asked.every(([, , authorization]) => authorization === 'Bearer key'));
  server({ '/api/auth': [200, { required: true }], '/api/ticket': [401, {}] });
  await assert.rejects(access('old').protocols(), { code: 'credential_refused' });
  assert.deepEqual(await access(null, async () => 'mine').protocols(), ['voice.v1', 'ticket.mine']);
});

test('a workflow is laid out from top to bottom, and edges that lead back do not count', () => {
  const node = (id, type = 'process') => ({ id, label: id, type });
  const graph = {
    id: 'w',
    nodes: [node('end', 'end'), node('start', 'start'), node('ask'), node('retry'), node('go')],
    edges: [['start', 'ask'], ['ask', 'retry'], ['retry', 'ask'], ['ask', 'go'], ['retry', 'go'], ['go', 'end'], ['go', 'nowhere']]
      .map(([from, to]) => ({ from, to })),
  };
  const { places, rows, back } = layOut(graph);
  const row = (id) => places.get(id).y;
  assert.deepEqual(['start', 'ask', 'retry', 'go', 'end'].map(row), [0, 1, 2, 3, 4]);
  assert.equal(rows, 5);
  assert.deepEqual([...back], ['retry→ask']);
});

test('everything of a call stands on one axis', () => {
  const log = {
    startTime: 1_000, endTime: 21_000, sessionId: 's',
    transcript: [
      { role: 'assistant', text: 'Hello', timestamp: 2_000, until: 3_500 },
      { role: 'user', text: 'my balance', timestamp: 6_000, until: 6_000 },
      { role: 'assistant', text: 'It is', timestamp: 8_000, until: 8_100, interrupted: true },
      { role: 'user', text: 'x', timestamp: 1, transcription: { text: 'x', start: 9, end: 10 } },
    ],
    tools: [{ toolUseId: 't', toolName: 'balance', toolInput: {}, outcome: 'timeout', startedAt: 7_000, durationMs: 500 }],
    steps: [{ stepId: 'ask', workflowId: 'w', timestamp: 4_000 }],
    streams: [{ number: 1, reason: 'first', timestamp: 1_100 }, { number: 2, reason: 'renewed', timestamp: 15_000 }],
    errors: [{ code: 'service', message: 'm', timestamp: 16_000 }],
    recording: { states: [{ state: 'on', timestamp: 1_400 }] },
  };
  const { length, marks } = marksOf(log);
  assert.equal(length, 20);
  assert.equal(recordingStart(log), 0.4);
  const of = (lane) => marks.filter((mark) => mark.lane === lane).map(({ from, to, tone }) => [from, to, tone]);
  assert.deepEqual(of('assistant')[0], [1, 2.5, '']);
  assert.equal(of('assistant')[1][2], 'cut');
  const [from, to] = of('caller')[0];
  assert.ok(from < to && to <= 5, 'the words of a caller come when they have been said');
  assert.deepEqual(of('caller')[1], [9.4, 10.4, ''], 'what was transcribed says exactly when');
  assert.deepEqual(of('tools'), [[6, 6.5, 'bad']]);
  assert.deepEqual(of('events').map(([at, , tone]) => [at, tone]), [[14, ''], [15, 'bad']], 'the first stream is no event');
});

test('the live board follows its messages, and a snapshot takes the place of what was missed', () => {
  const board = new Board();
  board.take({ type: 'sbc_snapshot', calls: [] });
  board.take({ type: 'sbc_call_start', callId: 'a', from: 'phone', voice: 'amy', persona: 'p', workflow: 'w', startedAt: 5 });
  board.take({ type: 'sbc_line', callId: 'a', id: 'u1', role: 'user', text: 'hel', isFinal: false });
  board.take({ type: 'sbc_transcript', callId: 'a', id: 'u1', role: 'user', text: 'hello', isFinal: true });
  board.take({ type: 'sbc_latency', callId: 'a', ttft_ms: 700, latency_ms: 900 });
  board.take({ type: 'sbc_error', callId: 'a', code: 'service', message: 'm' });
  board.take({ type: 'something_new', callId: 'a' });
  const [call] = board.calls;
  assert.deepEqual(call.lines.map(({ text }) => text), ['hello'], 'one line that grew');
  assert.deepEqual([call.from, call.ttft_ms, call.errors, call.waits], ['phone', 700, 1, [700]]);
  board.take({ type: 'sbc_snapshot', calls: [{ callId: 'a', startedAt: 5, state: 'tool', lines: [], ttft_ms: 800 }, { callId: 'b', startedAt: 1 }] });
  assert.deepEqual(board.calls.map(({ callId }) => callId), ['b', 'a'], 'oldest first');
  assert.deepEqual(board.call('a').waits, [700], 'what was watched is kept');
  board.take({ type: 'sbc_call_end', callId: 'b', durationMs: 1 });
  assert.deepEqual(board.calls.map(({ callId }) => callId), ['a']);
});
