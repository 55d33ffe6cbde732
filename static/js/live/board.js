/**
 * @file The calls in progress as the messages of `/monitor` tell of them. Pure.
 *
 * The server's side is `crates/archive/src/monitor/board.rs`; what is not known is ignored.
 */

/** @import { MonitorMessage } from './monitor.js' */

/** @typedef {{ id: string, role: 'user' | 'assistant', text: string, isFinal: boolean, interrupted: boolean }} Line */

/**
 * @typedef {object} Call
 * @property {string} callId
 * @property {string} from
 * @property {number} startedAt milliseconds since 1970
 * @property {string} state
 * @property {string} voice
 * @property {string | null} persona
 * @property {string | null} workflow
 * @property {string | null} stepId
 * @property {number | null} ttft_ms
 * @property {number} errors
 * @property {string | null} lastError
 * @property {number[]} waits of the turns since one watches
 * @property {Line[]} lines
 */

/** Lines and waits of a call that are kept. */
const LINES = 200;
const WAITS = 20;

export class Board {
  /** @type {Map<string, Call>} */
  #calls = new Map();

  /** Oldest first. */
  get calls() {
    return [...this.#calls.values()].sort((a, b) => a.startedAt - b.startedAt);
  }

  /** @param {string} id */
  call(id) {
    return this.#calls.get(id);
  }

  /** @param {MonitorMessage} message */
  take(message) {
    if (message.type === 'sbc_snapshot') {
      const before = this.#calls;
      this.#calls = new Map(
        message.calls.map((/** @type {any} */ call) => [
          call.callId,
          { ...blank(call.callId), ...call, waits: before.get(call.callId)?.waits ?? wait(call.ttft_ms) },
        ]),
      );
      return;
    }
    const id = message.callId;
    if (!id) return;
    if (message.type === 'sbc_call_end') {
      this.#calls.delete(id);
      return;
    }
    const call = this.#calls.get(id) ?? blank(id);
    this.#calls.set(id, call);
    switch (message.type) {
      case 'sbc_call_start': {
        const { from, voice, persona, workflow, startedAt } = message;
        Object.assign(call, { from, voice, persona, workflow: call.stepId ? call.workflow : workflow, startedAt: startedAt ?? call.startedAt });
        break;
      }
      case 'sbc_state':
        call.state = message.state;
        break;
      case 'sbc_line':
      case 'sbc_transcript':
        said(call, message);
        break;
      case 'sbc_latency':
        call.ttft_ms = message.ttft_ms;
        call.waits = [...call.waits, message.ttft_ms].slice(-WAITS);
        break;
      case 'sbc_workflow_step':
        call.stepId = message.stepId;
        call.workflow = message.workflowId ?? call.workflow;
        break;
      case 'sbc_error':
        call.errors += 1;
        call.lastError = message.code;
        break;
    }
  }
}

/** @param {number | null | undefined} ms */
const wait = (ms) => (ms === null || ms === undefined ? [] : [ms]);

/**
 * @param {string} callId
 * @returns {Call}
 */
function blank(callId) {
  return {
    callId, from: 'web', startedAt: Date.now(), state: 'starting', voice: '', persona: null, workflow: null,
    stepId: null, ttft_ms: null, errors: 0, lastError: null, waits: [], lines: [],
  };
}

/**
 * @param {Call} call
 * @param {MonitorMessage} message
 */
function said(call, message) {
  const line = {
    id: message.id ?? `line-${call.lines.length}`,
    role: message.role,
    text: message.text,
    isFinal: message.isFinal ?? true,
    interrupted: message.interrupted ?? false,
  };
  const at = call.lines.findLastIndex(({ id }) => id === line.id);
  if (at >= 0) call.lines[at] = line;
  else call.lines.push(line);
  if (call.lines.length > LINES) call.lines.shift();
}
