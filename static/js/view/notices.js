/**
 * @file What is said above the conversation: errors in words, and the transfer banner.
 */

import { byId, icon, make } from '../dom.js';

/** @import { Trouble } from '../../client/help.js' */
/** @import { TransferToAgent } from '../../client/messages.js' */

/** More than this would hide the conversation; the oldest goes. */
const AT_MOST = 3;

export class Notices {
  #troubles = byId('troubles', HTMLElement);
  #transfer = byId('transfer', HTMLElement);

  clear() {
    this.#troubles.replaceChildren();
    this.#transfer.replaceChildren();
    this.#transfer.hidden = true;
  }

  /** @param {Trouble} trouble */
  show({ code, title, help, tone }) {
    const close = make('button', 'icon-button', icon('close'));
    close.type = 'button';
    close.setAttribute('aria-label', 'Dismiss');
    const text = make('div', 'notice-text', make('p', 'notice-title', title), make('p', 'notice-help', help));
    // The code is for bug reports; a note needs none.
    if (tone === 'error') text.lastElementChild?.append(' ', make('code', 'notice-code', code));
    const notice = make('div', `notice is-${tone}`, icon(tone === 'error' ? 'alert' : 'info'), text, close);
    notice.dataset.code = code;
    close.addEventListener('click', () => notice.remove());
    // The same trouble again replaces the first: a row of equal notices helps nobody.
    for (const other of this.#troubles.querySelectorAll('.notice')) {
      if (other instanceof HTMLElement && other.dataset.code === code) other.remove();
    }
    this.#troubles.append(notice);
    while (this.#troubles.childElementCount > AT_MOST) this.#troubles.firstElementChild?.remove();
  }

  /** Notes are read once; they go as soon as the caller talks or types. */
  clearNotes() {
    for (const notice of this.#troubles.querySelectorAll('.notice.is-note')) notice.remove();
  }

  /** @param {TransferToAgent} message */
  transfer({ reason, summary, attributes }) {
    const text = make('div', 'notice-text', make('p', 'notice-title', 'You are being transferred to a person'), make('p', 'notice-help', reason));
    const known = Object.entries(attributes ?? {});
    if (summary || known.length > 0) {
      const more = make('details', 'notice-more', make('summary', '', 'What the person is told'));
      if (summary) more.append(make('p', '', summary));
      const list = make('dl', 'tool-facts');
      for (const [key, value] of known) {
        list.append(make('dt', '', key), make('dd', '', typeof value === 'object' ? JSON.stringify(value) : String(value)));
      }
      if (known.length > 0) more.append(list);
      text.append(more);
    }
    this.#transfer.replaceChildren(make('div', 'notice is-transfer', icon('person'), text));
    this.#transfer.hidden = false;
  }
}
