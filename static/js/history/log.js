/**
 * @file What a session log holds: types, and what is worked out of it. Pure.
 *
 * The server's side of this is `crates/archive/src/document.rs`. Logs of the system before lack
 * most fields, so all of those are optional.
 */

/**
 * @typedef {object} Said
 * @property {'user' | 'assistant' | 'tool_use' | 'tool_result' | 'system'} role
 * @property {string} text
 * @property {number} timestamp milliseconds since 1970
 * @property {number} [until]
 * @property {string} [type]
 * @property {boolean} [interrupted]
 * @property {string} [toolName]
 * @property {unknown} [toolInput]
 * @property {string} [toolUseId]
 * @property {{ text: string, start: number, end: number }} [transcription]
 */

/** @typedef {{ toolUseId: string, toolName: string, toolInput: unknown, result?: unknown, outcome: string, startedAt: number, durationMs?: number }} ToolCall */

/**
 * @typedef {object} Log
 * @property {string} sessionId
 * @property {number} startTime
 * @property {number} endTime
 * @property {Said[]} transcript
 * @property {ToolCall[]} [tools]
 * @property {{ inputTokens?: number, outputTokens?: number, cost?: number, currency?: string }} [usage]
 * @property {{ score?: number, comment?: string } | null} [feedback]
 * @property {{ cause?: string, detail?: string }} [end]
 * @property {boolean} [complete]
 * @property {string} [backend]
 * @property {string} [modelId]
 * @property {{ persona?: string, voice?: string, channel?: string }} [settings]
 * @property {{ stepId: string, workflowId: string, timestamp: number }[]} [steps]
 * @property {{ timestamp: number, firstAudioMs?: number, cost?: number }[]} [turns]
 * @property {Record<string, { p50?: number, p95?: number }>} [latency]
 * @property {{ number: number, reason: string, timestamp: number }[]} [streams]
 * @property {{ state: string, timestamp: number }[]} [connections]
 * @property {{ code: string, message: string, timestamp: number }[]} [errors]
 * @property {{ reason: string, summary: string, timestamp: number, attributes?: Record<string, unknown> }} [transfer]
 * @property {{ states: { state: string, timestamp: number }[] }} [recording]
 */

/** @typedef {'caller' | 'assistant' | 'tools' | 'steps' | 'events'} Lane */

/**
 * @typedef {object} Mark
 * @property {Lane} lane
 * @property {number} from seconds into the call
 * @property {number} to the same as `from` for what has no length
 * @property {string} label
 * @property {'' | 'bad' | 'cut'} tone
 */

/** How long a word takes when the log does not say. Seconds. */
const PER_CHARACTER = 0.065;

/**
 * Everything on one axis.
 *
 * @param {Log} log
 * @returns {{ length: number, marks: Mark[] }} `length` in seconds
 */
export function marksOf(log) {
  const at = (/** @type {number} */ ms) => Math.max(0, (ms - log.startTime) / 1000);
  const began = recordingStart(log);
  /** @type {Mark[]} */
  const marks = [];
  for (const said of log.transcript) {
    if (said.role !== 'user' && said.role !== 'assistant') continue;
    const lane = said.role === 'user' ? 'caller' : 'assistant';
    const spoken = Math.max(0.4, said.text.length * PER_CHARACTER);
    const { transcription } = said;
    let from = at(said.timestamp);
    let to = at(said.until ?? said.timestamp);
    if (transcription && transcription.end > transcription.start) {
      from = began + transcription.start;
      to = began + transcription.end;
    } else if (said.role === 'user') {
      // The words of a caller come when they have been said.
      from = Math.max(0, from - spoken);
      to = Math.max(to - 0.2, from + 0.3);
    } else {
      to = Math.max(to, from + (said.interrupted ? 0.3 : spoken));
    }
    marks.push({ lane, from, to, label: said.text, tone: said.interrupted ? 'cut' : '' });
  }
  for (const { startedAt, durationMs = 0, toolName, outcome } of log.tools ?? []) {
    const from = at(startedAt);
    const tone = outcome === 'ok' ? '' : 'bad';
    marks.push({ lane: 'tools', from, to: from + durationMs / 1000, label: `${toolName}: ${outcome}`, tone });
  }
  for (const { stepId, timestamp } of log.steps ?? []) {
    marks.push({ lane: 'steps', from: at(timestamp), to: at(timestamp), label: stepId, tone: '' });
  }
  const event = (/** @type {number} */ when, /** @type {string} */ label, /** @type {Mark['tone']} */ tone) =>
    marks.push({ lane: 'events', from: at(when), to: at(when), label, tone });
  for (const { reason, number, timestamp } of log.streams ?? []) {
    if (reason !== 'first') event(timestamp, `Stream ${number}: ${reason}`, '');
  }
  for (const { state, timestamp } of log.connections ?? []) event(timestamp, `Connection ${state}`, state === 'lost' ? 'bad' : '');
  for (const { code, timestamp } of log.errors ?? []) event(timestamp, code, 'bad');
  if (log.transfer) event(log.transfer.timestamp, 'Handed over to a person', '');
  const last = marks.reduce((end, mark) => Math.max(end, mark.to), 0);
  return { length: Math.max(1, at(log.endTime), Math.min(last, at(log.endTime) + 1)), marks };
}

/**
 * When the recording began, in seconds into the call.
 *
 * @param {Log} log
 */
export function recordingStart(log) {
  const on = log.recording?.states.find(({ state }) => state === 'on');
  return on ? Math.max(0, (on.timestamp - log.startTime) / 1000) : 0;
}

/** @type {Record<string, string>} */
const CAUSES = {
  hung_up: 'The caller hung up',
  inactivity: 'Nobody spoke',
  time_limit: 'It reached its longest duration',
  transferred: 'A person took over',
  completed: 'The assistant said goodbye',
  operator: 'An operator ended it',
  draining: 'The server was stopped',
  client_protocol: 'The client broke the rules',
  client_stalled: 'The client stopped reading',
  sonic_lost: 'The voice service was lost',
  child_failed: 'A part of the server failed',
  supervisor_failed: 'The server failed',
  task_died: 'The server died',
};

/** @param {string | undefined} cause */
export const causeInWords = (cause) => (cause ? (CAUSES[cause] ?? cause) : 'Unknown');

/** A step of a nice size for an axis of that length. @param {number} seconds */
export function tick(seconds) {
  for (const step of [1, 2, 5, 10, 15, 30, 60, 120, 300, 600]) if (seconds / step <= 9) return step;
  return 900;
}
