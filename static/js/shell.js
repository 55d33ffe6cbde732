/**
 * @file What every page has around its own: theme, version, who answers, and the key.
 */

import * as api from './api.js';
import { byId, keepIcons } from './dom.js';
import { letIn } from './key.js';
import { setUpTheme } from './view/theme.js';

/** @import { SystemStatus } from './api.js' */
/** @import { Version } from '../client/messages.js' */

/** Who answers: the badge in the head, and the version in the foot. */
export class Shell {
  #badge = byId('backend', HTMLElement);
  #version = byId('version', HTMLElement);

  /** @param {() => void} [onTheme] is told when the theme has changed */
  constructor(onTheme = () => {}) {
    setUpTheme(onTheme);
    // Without them the page works as well.
    void keepIcons().catch(() => {});
  }

  /**
   * Asks who is there if need be, then says who answers.
   *
   * @returns {Promise<SystemStatus | null>} `null`: nobody is there, or nobody is let in
   */
  async open() {
    try {
      if (!(await letIn())) {
        this.show('error', 'Locked');
        return null;
      }
      const [status, version] = await Promise.all([api.readStatus(), api.readVersion()]);
      this.#setVersion(version);
      this.#setStatus(status);
      return status;
    } catch {
      this.show('error', 'Server not reachable');
      return null;
    }
  }

  /** @param {SystemStatus} status */
  #setStatus({ aws, region, error }) {
    if (aws === 'emulator') this.show('emulator', 'Built-in emulator');
    else if (aws === 'connected') this.show('bedrock', region ? `Amazon Nova Sonic · ${region}` : 'Amazon Nova Sonic');
    else this.show('error', error ? `AWS: ${error}` : 'AWS is not configured');
  }

  /** @param {Version} version */
  #setVersion({ name, version, buildTime }) {
    const built = buildTime ? new Date(buildTime) : null;
    const date = built && !Number.isNaN(built.getTime()) ? ` · built ${built.toLocaleDateString()}` : '';
    this.#version.textContent = `${name} ${version}${date}`;
  }

  /**
   * @param {'emulator' | 'bedrock' | 'error'} backend
   * @param {string} text
   */
  show(backend, text) {
    this.#badge.dataset.backend = backend;
    this.#badge.textContent = text;
    this.#badge.title = text;
    this.#badge.hidden = false;
  }
}
