/**
 * @file The setup page: what is configured and what is missing, what is wrong with the files, and
 * whether one is heard and hears. Loaded by `setup.html`.
 */

import { read } from './api.js';
import { byId, make } from './dom.js';
import { showCatalog } from './setup/catalog.js';
import { showParts } from './setup/parts.js';
import { setUpSound } from './setup/sound.js';
import { Shell } from './shell.js';

setUpSound();

if (await new Shell().open()) {
  const [parts, catalog] = [byId('parts', HTMLUListElement), byId('catalog', HTMLElement)];
  try {
    const report = await read('api/setup');
    showParts(parts, report);
    showCatalog(catalog, report.catalog);
  } catch (error) {
    const words = `The server does not say how it is set up. (${error instanceof Error ? error.message : error})`;
    parts.replaceChildren(make('li', 'card fault', words));
  }
  parts.setAttribute('aria-busy', 'false');
  catalog.setAttribute('aria-busy', 'false');
}
