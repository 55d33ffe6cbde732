/**
 * @file Persona and voice: filled from the server, remembered, sent again when they change.
 */

import { byId } from './dom.js';

/** @import { Choice } from '../api.js' */
/** @import { SessionConfig } from '../call/messages.js' */

export class Settings {
  #persona = byId('persona', HTMLSelectElement);
  #voice = byId('voice', HTMLSelectElement);

  /** @param {(what: string) => void} onChange is told what changed, in words */
  constructor(onChange) {
    for (const [select, what] of /** @type {const} */ ([
      [this.#persona, 'Persona'],
      [this.#voice, 'Voice'],
    ])) {
      select.addEventListener('change', () => {
        remember(select.id, select.value);
        onChange(`${what}: ${select.selectedOptions[0]?.textContent}`);
      });
    }
  }

  /**
   * @param {Choice[]} personas
   * @param {Choice[]} voices
   */
  fill(personas, voices) {
    fill(this.#persona, personas);
    fill(this.#voice, voices);
  }

  /** @returns {SessionConfig} */
  get config() {
    return {
      brainMode: 'raw_nova',
      ...(this.#persona.value && { personaId: this.#persona.value }),
      ...(this.#voice.value && { voiceId: this.#voice.value }),
      userTimezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    };
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

/** @param {string} key */
function recall(key) {
  try {
    return localStorage.getItem(`voice-s2s.${key}`) ?? '';
  } catch {
    return '';
  }
}

/**
 * @param {string} key
 * @param {string} value
 */
function remember(key, value) {
  try {
    localStorage.setItem(`voice-s2s.${key}`, value);
  } catch {
    // Storage can be forbidden; the choice lasts as long as the page then.
  }
}
