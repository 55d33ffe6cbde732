/**
 * @file Light, dark, or as the system has it. `theme-boot.js` applies the choice at the start.
 */

import { byId } from '../dom.js';

const ORDER = /** @type {const} */ (['system', 'light', 'dark']);

/** @param {() => void} onChange */
export function setUpTheme(onChange) {
  const button = byId('theme', HTMLButtonElement);
  const root = document.documentElement;
  const render = () => {
    const label = `Theme: ${root.dataset.theme ?? 'system'}`;
    button.setAttribute('aria-label', label);
    button.title = label;
  };
  button.addEventListener('click', () => {
    const now = ORDER.findIndex((theme) => theme === (root.dataset.theme ?? 'system'));
    const next = ORDER[(now + 1) % ORDER.length] ?? 'system';
    if (next === 'system') delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem('voice-s2s.theme', next);
    } catch {
      // Storage can be forbidden; the theme lasts as long as the page then.
    }
    render();
    onChange();
  });
  render();
}
