/**
 * @file The settings of calls: filled from the server, remembered, sent again when one changes in
 * the middle of a call. Persona and voice stand on the stage, the others in a sheet.
 */

import * as api from '../api.js';
import { byId, make, words } from '../dom.js';
import { Devices } from './devices.js';
import { recall, remember } from './memory.js';

/** @import { Choice, Tool } from '../api.js' */
/** @import { VoiceS2S } from '../../voice-s2s.js' */
/** @import { SessionConfig } from '../../client/messages.js' */

/** @typedef {'both' | 'voice' | 'chat'} Mode */

/** @typedef {NonNullable<SessionConfig['endpointingSensitivity']>} Sensitivity */


export class Settings {
  #call;
  #onChange;
  #persona = byId('persona', HTMLSelectElement);
  #voice = byId('voice', HTMLSelectElement);
  #workflow = byId('linked-workflow', HTMLSelectElement);
  #sensitivity = byId('sensitivity', HTMLSelectElement);
  #tools = byId('tool-list', HTMLElement);
  #allTools = byId('all-tools', HTMLInputElement);
  #pushToTalk = byId('push-to-talk', HTMLInputElement);
  #sheet = byId('sheet', HTMLDialogElement);
  #root = document.documentElement;

  /**
   * @param {VoiceS2S} call
   * @param {(what: string) => void} onChange is told in words what of the session changed
   */
  constructor(call, onChange) {
    this.#call = call;
    this.#onChange = onChange;
    for (const [select, what] of /** @type {const} */ ([
      [this.#persona, 'Persona'],
      [this.#voice, 'Voice'],
      [this.#workflow, 'Workflow'],
      [this.#sensitivity, 'Turn-taking'],
    ])) {
      select.addEventListener('change', () => {
        remember(select.id, select.value);
        onChange(`${what}: ${select.selectedOptions[0]?.textContent}`);
      });
    }
    this.#sensitivity.value = recall('sensitivity');
    this.#allTools.checked = recall('tools') === '';
    this.#allTools.addEventListener('change', () => this.#toolsChanged());
    this.#tools.addEventListener('change', () => this.#toolsChanged());
    this.#pushToTalk.checked = recall('push-to-talk') === 'on';
    this.#pushToTalk.addEventListener('change', () => {
      remember('push-to-talk', this.#pushToTalk.checked ? 'on' : '');
      this.#call.setPushToTalk(this.#pushToTalk.checked);
    });
    call.setPushToTalk(this.#pushToTalk.checked);
    for (const radio of document.querySelectorAll('input[name="mode"]')) {
      radio.addEventListener('change', () => this.#setMode(/** @type {HTMLInputElement} */ (radio).value));
    }
    this.#setMode(recall('mode'));
    new Devices(call, this.#sheet);
    byId('open-sheet', HTMLButtonElement).addEventListener('click', () => {
      this.#sheet.showModal();
      void this.#loadTools();
    });
    byId('close-sheet', HTMLButtonElement).addEventListener('click', () => this.#sheet.close());
    this.#sheet.addEventListener('click', (event) => {
      // Beside the sheet, on its backdrop.
      if (event.target === this.#sheet) this.#sheet.close();
    });
  }

  /** @returns {Mode} */
  get mode() {
    return /** @type {Mode} */ (this.#root.dataset.mode ?? 'both');
  }

  /** Asks the server what there is to choose from. */
  async load() {
    const or = (/** @type {Promise<any[]>} */ answer) => answer.catch(() => []);
    const [personas, voices, workflows] = await Promise.all([
      or(api.readPersonas()),
      or(api.readVoices()),
      or(api.readWorkflows()),
    ]);
    fill(this.#persona, personas);
    fill(this.#voice, voices);
    fill(this.#workflow, [...workflows, { id: 'none', name: 'No workflow' }]);
  }

  /** @returns {SessionConfig} */
  get config() {
    const workflow = this.#workflow.value;
    const selectedTools = this.#selectedTools;
    return {
      brainMode: 'raw_nova',
      ...(this.#persona.value && { personaId: this.#persona.value }),
      ...(this.#voice.value && { voiceId: this.#voice.value }),
      ...(workflow && { linkedWorkflows: workflow === 'none' ? [] : [workflow] }),
      ...(selectedTools && { selectedTools }),
      ...(this.#sensitivity.value && {
        endpointingSensitivity: /** @type {Sensitivity} */ (this.#sensitivity.value),
      }),
      userTimezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    };
  }

  /** Tool files are large, and few visitors choose among them: asked for with the sheet. */
  async #loadTools() {
    if (!this.#hasTools) this.#fillTools(await api.readTools().catch(() => []));
  }

  get #hasTools() {
    return this.#tools.childElementCount > 0;
  }

  /** The tools that were chosen; `null`: those of the persona. */
  get #selectedTools() {
    const chosen = recall('tools');
    if (this.#allTools.checked || (!this.#hasTools && chosen === '')) return null;
    if (!this.#hasTools) return chosen.split(',').filter(Boolean);
    const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (this.#tools.querySelectorAll('input:checked'));
    return [...boxes].map(({ value }) => value);
  }

  /** @param {Tool[]} tools */
  #fillTools(tools) {
    const chosen = recall('tools');
    const chosenNames = new Set(chosen.split(','));
    this.#tools.replaceChildren(
      ...tools.map(({ name, description }) => {
        const box = make('input', '');
        Object.assign(box, { type: 'checkbox', value: name, checked: chosen === '' || chosenNames.has(name) });
        const text = make('span', 'choice-text', make('span', 'choice-name', words(name)));
        if (description) text.append(make('span', 'choice-help', description.split('\n')[0] ?? ''));
        return make('li', '', make('label', 'choice', box, text));
      }),
    );
    this.#tools.hidden = this.#allTools.checked;
  }

  #toolsChanged() {
    const all = this.#allTools.checked;
    this.#tools.hidden = all;
    if (!all && !this.#hasTools) return;
    // A comma keeps an empty choice apart from no choice.
    const chosen = this.#selectedTools ?? [];
    remember('tools', all ? '' : `${chosen.join(',')},`);
    this.#onChange(all ? 'Tools: as the persona says' : `Tools: ${chosen.length} chosen`);
  }

  /** @param {string} mode */
  #setMode(mode) {
    const known = mode === 'voice' || mode === 'chat' ? mode : 'both';
    this.#root.dataset.mode = known;
    remember('mode', known);
    const radio = document.querySelector(`input[name="mode"][value="${known}"]`);
    if (radio instanceof HTMLInputElement) radio.checked = true;
    this.#call.setVolume(known === 'chat' ? 0 : Number(byId('volume', HTMLInputElement).value) / 100);
  }
}

/**
 * @param {HTMLSelectElement} select its first option means: the server's choice
 * @param {Choice[]} choices
 */
function fill(select, choices) {
  select.length = 1;
  for (const { id, name } of choices) select.add(new Option(name, id));
  select.disabled = choices.length === 0;
  const chosen = recall(select.id);
  if (choices.some(({ id }) => id === chosen)) select.value = chosen;
}
