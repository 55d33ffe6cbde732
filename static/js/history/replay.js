/**
 * @file One call of the past: figures, timeline, recording and transcript in step, download.
 */

import { read, request } from '../api.js';
import { button, byId, fact, icon, isFailure, length, make, money, valueTable, wait, words } from '../dom.js';
import { causeInWords, marksOf, recordingStart } from './log.js';
import { Player } from './player.js';
import { Timeline } from './timeline.js';

/** @import { Log, Said, ToolCall } from './log.js' */

const when = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'short' });

export class Replay {
  #place = byId('replay', HTMLElement);
  #nothing = byId('nothing', HTMLElement);
  #id = '';
  /** @type {Player | null} */
  #player = null;
  /** Lines and when each began, in seconds into the call. @type {{ at: number, element: HTMLElement }[]} */
  #lines = [];

  clear() {
    this.#id = '';
    this.#player?.close();
    this.#player = null;
    this.#place.replaceChildren(this.#nothing);
  }

  /** @param {string} id of the log */
  async show(id) {
    if (id === this.#id) return;
    this.clear();
    this.#id = id;
    try {
      const log = await read(`api/history/${encodeURIComponent(id)}`);
      if (id === this.#id) this.#render(id, log);
    } catch (error) {
      const why = make('p', '', error instanceof Error ? error.message : String(error));
      this.#place.replaceChildren(make('div', 'empty', make('h2', '', 'This call cannot be shown'), why));
    }
  }

  /**
   * @param {string} id
   * @param {Log} log
   */
  #render(id, log) {
    const { length: seconds, marks } = marksOf(log);
    const wav = `api/history/${encodeURIComponent(id.replace(/\.json$/, ''))}.wav`;
    this.#player = log.recording ? new Player(wav, recordingStart(log), (at) => this.#follow(timeline, at)) : null;
    const timeline = new Timeline(seconds, marks, (at) => this.#seek(timeline, at));
    const back = make('a', 'button is-quiet replay-back', icon('back'), 'All calls');
    back.href = '#';
    this.#place.replaceChildren(
      make('div', 'replay-head', back, this.#title(log), this.#downloads(id, wav, log)),
      this.#figures(log),
      ...this.#sayings(log),
      // Stays in sight while the lines go by.
      make('div', 'desk', ...(this.#player ? [this.#player.element] : []), timeline.element),
      this.#transcript(log, timeline),
    );
    this.#place.scrollTop = 0;
  }

  /** @param {Log} log */
  #title(log) {
    const title = make('h2', 'replay-title', when.format(log.startTime));
    return make('div', '', title, make('p', 'soft', log.sessionId));
  }

  /**
   * @param {string} id
   * @param {string} wav
   * @param {Log} log
   */
  #downloads(id, wav, log) {
    const place = make('div', 'replay-actions');
    const add = (/** @type {string} */ label, /** @type {string} */ path, /** @type {string} */ name) => {
      const download = button('button is-quiet', icon('download'), label);
      // Fetched and not linked: a link sends no key.
      download.addEventListener('click', async () => {
        const url = URL.createObjectURL(await (await request(path)).blob());
        const link = make('a', '');
        Object.assign(link, { href: url, download: name });
        link.click();
        setTimeout(() => URL.revokeObjectURL(url), 60_000);
      });
      place.append(download);
    };
    add('Log', `api/history/${encodeURIComponent(id)}`, id);
    if (log.recording) add('Recording', wav, id.replace(/\.json$/, '.wav'));
    return place;
  }

  /** @param {Log} log */
  #figures(log) {
    const { settings = {}, usage = {}, latency = {} } = log;
    const tokens = new Intl.NumberFormat('en').format((usage.inputTokens ?? 0) + (usage.outputTokens ?? 0));
    return make(
      'dl',
      'figures',
      fact('Length', length((log.endTime - log.startTime) / 1000)),
      fact('Ended', causeInWords(log.end?.cause)),
      fact('Persona', settings.persona ? words(settings.persona.replace(/^persona-/, '')) : '–'),
      fact('Voice', settings.voice ? words(settings.voice) : '–'),
      fact('Answer, median', wait(latency.firstAudioMs?.p50)),
      fact('Answer, slowest 5 %', wait(latency.firstAudioMs?.p95)),
      fact('Tokens', tokens),
      fact('Cost', money(usage.cost, usage.currency)),
      ...(log.feedback?.score === undefined ? [] : [fact('Rated', `${log.feedback.score} of 5`)]),
    );
  }

  /** @param {Log} log */
  #sayings(log) {
    const notes = [];
    if (log.transfer) {
      const text = make('div', 'notice-text', make('p', 'notice-title', 'Handed over to a person'), make('p', '', log.transfer.reason));
      if (log.transfer.summary) text.append(make('p', 'soft', log.transfer.summary));
      notes.push(make('div', 'notice is-transfer is-alone', icon('person'), text));
    }
    if (log.feedback?.comment) {
      notes.push(make('div', 'notice is-note is-alone', icon('star'), make('p', 'notice-text', log.feedback.comment)));
    }
    return notes;
  }

  /**
   * @param {Log} log
   * @param {Timeline} timeline
   */
  #transcript(log, timeline) {
    const list = make('ol', 'lines');
    const tools = new Map((log.tools ?? []).map((tool) => [tool.toolUseId, tool]));
    this.#lines = [];
    /** @type {{ at: number, element: HTMLLIElement }[]} */
    const entries = [];
    for (const said of log.transcript) {
      if (said.role === 'tool_result') continue;
      const at = Math.max(0, (said.timestamp - log.startTime) / 1000);
      entries.push({ at, element: this.#entry(said, at, tools, timeline) });
    }
    for (const { code, message, timestamp } of log.errors ?? []) {
      const text = make('span', '', `${message} `, make('code', '', code));
      entries.push({ at: (timestamp - log.startTime) / 1000, element: make('li', 'remark is-bad', text) });
    }
    entries.sort((a, b) => a.at - b.at);
    list.append(...entries.map(({ element }) => element));
    this.#lines = entries.filter(({ element }) => element.classList.contains('line'));
    return list;
  }

  /**
   * @param {Said} said
   * @param {number} at
   * @param {Map<string, ToolCall>} tools
   * @param {Timeline} timeline
   */
  #entry(said, at, tools, timeline) {
    if (said.role === 'system') return make('li', 'remark', `Step: ${words(said.text)}`);
    if (said.role === 'tool_use') return this.#tool(said, tools.get(said.toolUseId ?? ''));
    const time = button('line-time', length(at));
    time.setAttribute('aria-label', `Go to ${length(at)}`);
    time.addEventListener('click', () => this.#seek(timeline, at));
    const who = make('span', 'line-who', said.role === 'user' ? 'Caller' : 'Assistant');
    const head = make('div', 'line-head', who, time);
    if (said.interrupted) head.append(make('span', 'line-mark', 'interrupted'));
    return make('li', `line is-${said.role}${said.interrupted ? ' is-interrupted' : ''}`, head, make('p', 'line-text', said.text));
  }

  /**
   * @param {Said} said
   * @param {ToolCall | undefined} tool
   */
  #tool(said, tool) {
    const failed = tool ? tool.outcome !== 'ok' || isFailure(tool.result) : false;
    const state = make('span', 'tool-state', tool ? `${tool.outcome} · ${wait(tool.durationMs)}` : '');
    const head = make('summary', 'tool-head', icon('tool'), make('span', 'tool-name', words(said.toolName ?? said.text)), state, icon('chevron'));
    const body = make('div', 'tool-body', valueTable('Asked', said.toolInput ?? {}));
    if (tool?.result !== undefined) body.append(valueTable(failed ? 'Error' : 'Answered', tool.result));
    return make('li', `tool ${failed ? 'is-failed' : 'is-done'}`, make('details', '', head, body));
  }

  /**
   * @param {Timeline} timeline
   * @param {number} at
   */
  #seek(timeline, at) {
    this.#player?.seek(at);
    this.#follow(timeline, at);
  }

  /**
   * @param {Timeline} timeline
   * @param {number} at
   */
  #follow(timeline, at) {
    timeline.moveTo(at);
    // A line is spoken before it is complete in the log: half a second is within reach.
    const present = this.#lines.findLast((line) => line.at <= at + 0.5);
    for (const line of this.#lines) line.element.classList.toggle('is-present', line === present);
    present?.element.scrollIntoView({ block: 'nearest' });
  }
}
