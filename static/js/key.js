/**
 * @file The credential of whoever sits before the page: asked for when the server wants one, kept
 * for this tab alone, sent with every request.
 */

import { button, icon, make } from './dom.js';

const KEPT = 'voice-s2s.credential';

/** The dialog that is open. @type {Promise<boolean> | null} */
let asking = null;

/** @returns {string | null} an API key or a JWT */
export function credential() {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

/**
 * Headers of a request.
 *
 * @returns {Record<string, string>}
 */
export function headers() {
  const key = credential();
  return { accept: 'application/json', ...(key && { authorization: `Bearer ${key}` }) };
}

/** @param {string | null} key */
function keep(key) {
  try {
    if (key) sessionStorage.setItem(KEPT, key);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // Storage can be forbidden; then there is no way in.
  }
}

/**
 * What the server says about the credential; a server without authentication wants none.
 *
 * @returns {Promise<{ required: boolean, user?: string, roles?: string[] }>}
 */
export async function access() {
  const answer = await fetch(new URL('api/auth', document.baseURI), { headers: headers(), cache: 'no-store' });
  if (answer.status === 404) return { required: false };
  if (answer.status === 401) return { required: true };
  if (!answer.ok) throw new Error(`api/auth: ${answer.status}`);
  return answer.json();
}

/** Asks for a key if the server wants one that is not there. Resolves to whether one may go on. */
export async function letIn() {
  const { required, user } = await access();
  return !required || user !== undefined || ask('');
}

/**
 * Opens the dialog.
 *
 * @param {string} why it is asked again; empty at first
 * @returns {Promise<boolean>} whether there is a key that the server accepts
 */
export function ask(why) {
  asking ??= open(why).finally(() => {
    asking = null;
  });
  return asking;
}

/**
 * @param {string} why
 * @returns {Promise<boolean>}
 */
function open(why) {
  const input = make('input', 'input');
  Object.assign(input, { id: 'key-input', type: 'password', autocomplete: 'off', required: true, spellcheck: false });
  input.setAttribute('aria-describedby', 'key-help key-fault');
  const label = make('label', 'field-name', 'API key');
  label.htmlFor = input.id;
  const help = make('p', 'soft', 'It stays in this tab, and is forgotten when the tab is closed.');
  help.id = 'key-help';
  const fault = make('p', 'fault', why);
  fault.id = 'key-fault';
  fault.role = 'alert';
  const enter = button('button is-main', 'Continue');
  enter.type = 'submit';
  const cancel = button('button', 'Not now');
  const title = make('h2', 'dialog-title', icon('key'), 'Who is there?');
  title.id = 'key-title';
  const form = make(
    'form', 'dialog-body', title, make('p', '', 'This server wants to know who uses it. Your operator gives out keys.'),
    make('div', 'field', label, input), help, fault, make('div', 'dialog-actions', cancel, enter),
  );
  const dialog = make('dialog', 'dialog', form);
  dialog.setAttribute('aria-labelledby', title.id);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    cancel.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'in');
    });
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      enter.disabled = true;
      fault.textContent = '';
      keep(input.value.trim());
      try {
        const { required, user } = await access();
        if (!required || user !== undefined) return dialog.close('in');
        keep(null);
        fault.textContent = 'The server does not accept this key.';
        input.select();
      } catch {
        keep(null);
        fault.textContent = 'The server cannot be reached.';
      } finally {
        enter.disabled = false;
      }
    });
  });
}
