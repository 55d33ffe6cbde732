/**
 * @file Who answers: the badge in the head, the note about the built-in emulator, the version.
 */

import { byId } from './dom.js';

/** @import { SystemStatus } from '../api.js' */
/** @import { Version } from '../call/messages.js' */

/** What the note says when the emulator has a recogniser. */
const UNDERSTANDS =
  'It also recognises the phrases of its script when they are said clearly in English, and nothing else. What it does not catch it asks for again; typing always works.';

export class Backend {
  #badge = byId('backend', HTMLElement);
  #note = byId('emulator', HTMLElement);
  #hears = byId('emulator-hears', HTMLElement);
  #suggestions = byId('suggestions', HTMLElement);
  #version = byId('version', HTMLElement);

  /** @param {SystemStatus} status */
  setStatus({ aws, region, hears, error }) {
    if (hears === 'words') this.#hears.textContent = UNDERSTANDS;
    if (aws === 'emulator') this.set('emulator');
    else if (aws === 'connected') this.#show('bedrock', region ? `Amazon Nova Sonic · ${region}` : 'Amazon Nova Sonic');
    else this.#show('error', error ? `AWS: ${error}` : 'AWS is not configured');
  }

  /** @param {string | undefined} backend as `connected` says it */
  set(backend) {
    if (backend === 'emulator') this.#show('emulator', 'Built-in emulator');
    else if (backend === 'bedrock' && this.#badge.dataset.backend !== 'bedrock') this.#show('bedrock', 'Amazon Nova Sonic');
  }

  /** @param {Version} version */
  setVersion({ name, version, buildTime }) {
    const built = buildTime ? new Date(buildTime) : null;
    const date = built && !Number.isNaN(built.getTime()) ? ` · built ${built.toLocaleDateString()}` : '';
    this.#version.textContent = `${name} ${version}${date}`;
  }

  unreachable() {
    this.#show('error', 'Server not reachable');
  }

  /**
   * @param {'emulator' | 'bedrock' | 'error'} backend
   * @param {string} text
   */
  #show(backend, text) {
    this.#badge.dataset.backend = backend;
    this.#badge.textContent = text;
    this.#badge.title = text;
    this.#badge.hidden = false;
    this.#note.hidden = backend !== 'emulator';
    // The real model answers anything; only the script has lines one must know.
    this.#suggestions.hidden = backend !== 'emulator';
  }
}
