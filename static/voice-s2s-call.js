/**
 * @file `<voice-s2s-call>`: a call as one tag, for other people's pages.
 *
 *     <script type="module" src="https://voice.example/voice-s2s-call.js"></script>
 *     <voice-s2s-call persona="persona-banking" label="Talk to us"></voice-s2s-call>
 *
 * Attributes, all optional: `server` (where this file comes from otherwise), `persona`, `voice`,
 * `label` (of the button), `transcript` (shows the latest lines). Properties: `config` (more
 * settings, see `SessionConfig` in `client/messages.js`), `ticket` (a function that fetches the
 * ticket of a connection), `call` (the `VoiceS2S` behind it). Events: `state`, `message` and
 * `trouble`, with the detail of the same event of `VoiceS2S`.
 *
 * Its colours are the custom properties `--voice-s2s-accent`, `--voice-s2s-on-accent`,
 * `--voice-s2s-surface` and `--voice-s2s-ink`; its parts are `button`, `state` and `lines`.
 */

import { VoiceS2S } from './voice-s2s.js';

/** @import { CallState } from './client/phase.js' */
/** @import { ServerMessage, SessionConfig } from './client/messages.js' */

/** @type {Record<CallState, string>} */
const WORDS = {
  idle: '',
  connecting: 'Connecting…',
  listening: 'Listening',
  'user-speaking': 'You are speaking',
  thinking: 'Thinking…',
  'assistant-speaking': 'Speaking',
  'on-hold': 'On hold',
  reconnecting: 'Reconnecting…',
  ended: 'Call ended',
};

/** Lines that are shown. */
const LINES = 3;

const STYLE = `
  :host {
    --accent: var(--voice-s2s-accent, light-dark(#0b7150, #57d3a5));
    --on-accent: var(--voice-s2s-on-accent, light-dark(#fff, #12120f));
    --surface: var(--voice-s2s-surface, Canvas);
    --ink: var(--voice-s2s-ink, CanvasText);
    display: inline-block;
    max-width: 22rem;
    color: var(--ink);
    font: 400 0.9375rem/1.4 system-ui, sans-serif;
  }
  :host([hidden]) { display: none; }
  .row { display: flex; align-items: center; gap: 0.75rem; }
  button {
    min-height: 2.75rem;
    padding: 0 1.25rem;
    border: 0;
    border-radius: 999px;
    background: var(--accent);
    color: var(--on-accent);
    cursor: pointer;
    font: inherit;
    font-weight: 600;
    white-space: nowrap;
  }
  button[data-on] { background: var(--ink); color: var(--surface); }
  button:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; }
  ul { margin: 0.6rem 0 0; padding: 0; list-style: none; }
  li { padding-block: 0.15rem; }
  b { color: var(--accent); font-weight: 600; }
  ul:empty, .trouble:empty { display: none; }
  .trouble { margin: 0.6rem 0 0; }
`;

export class VoiceS2SCall extends HTMLElement {
  /** Further settings of the call. @type {SessionConfig} */
  config = {};
  /** @type {(() => Promise<string>) | undefined} */
  ticket;
  /** @type {VoiceS2S | null} */
  #call = null;
  #root = this.attachShadow({ mode: 'open' });
  #button = document.createElement('button');
  #state = document.createElement('span');
  #lines = document.createElement('ul');
  #trouble = document.createElement('p');
  /** @type {Map<string, HTMLLIElement>} */
  #shown = new Map();

  /** The call behind the tag; made when it is first asked for. */
  get call() {
    return (this.#call ??= this.#make());
  }

  connectedCallback() {
    if (this.#root.childElementCount > 0) return;
    // Made by script, so that no policy about inline styles is in its way.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.#root.adoptedStyleSheets = [sheet];
    const row = document.createElement('div');
    row.className = 'row';
    this.#button.type = 'button';
    this.#button.part.add('button');
    this.#state.part.add('state');
    this.#state.role = 'status';
    this.#lines.part.add('lines');
    this.#lines.setAttribute('aria-live', 'polite');
    this.#trouble.className = 'trouble';
    this.#trouble.role = 'alert';
    row.append(this.#button, this.#state);
    this.#root.append(row, this.#lines, this.#trouble);
    this.#button.addEventListener('click', () => {
      if (this.call.isRunning) this.call.hangUp();
      else void this.call.start();
    });
    this.#render('idle');
  }

  disconnectedCallback() {
    this.#call?.hangUp();
  }

  #make() {
    const [server, ticket] = [this.getAttribute('server'), this.ticket];
    const call = new VoiceS2S({
      ...(server && { server }),
      ...(ticket && { ticket }),
      config: () => {
        const [personaId, voiceId] = [this.getAttribute('persona'), this.getAttribute('voice')];
        return { ...(personaId && { personaId }), ...(voiceId && { voiceId }), ...this.config };
      },
    });
    call.on('state', (state) => {
      this.#render(state);
      this.#tell('state', state);
    });
    call.on('message', (message) => {
      this.#show(message);
      this.#tell('message', message);
    });
    call.on('trouble', (trouble) => {
      this.#trouble.textContent = `${trouble.title}. ${trouble.help}`;
      this.#tell('trouble', trouble);
    });
    return call;
  }

  /** @param {CallState} state */
  #render(state) {
    const isRunning = state !== 'idle' && state !== 'ended';
    if (state === 'connecting') {
      this.#lines.replaceChildren();
      this.#shown.clear();
      this.#trouble.textContent = '';
    }
    this.#button.textContent = isRunning ? 'Hang up' : (this.getAttribute('label') ?? 'Talk');
    this.#button.toggleAttribute('data-on', isRunning);
    this.#state.textContent = WORDS[state];
    this.dataset.state = state;
  }

  /** @param {ServerMessage} message */
  #show(message) {
    if (message.type !== 'transcript' || !this.hasAttribute('transcript')) return;
    const key = message.id ?? `${message.role}-${this.#shown.size}`;
    let line = this.#shown.get(key);
    if (!line) {
      line = document.createElement('li');
      this.#shown.set(key, line);
      this.#lines.append(line);
      while (this.#lines.childElementCount > LINES) this.#lines.firstElementChild?.remove();
    }
    const who = document.createElement('b');
    who.textContent = message.role === 'user' ? 'You ' : 'Assistant ';
    line.replaceChildren(who, message.text);
  }

  /**
   * @param {string} name
   * @param {unknown} detail
   */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

customElements.define('voice-s2s-call', VoiceS2SCall);
