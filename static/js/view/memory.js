/**
 * @file Choices that the browser remembers. Storage can be forbidden; a choice lasts as long as the
 * page then.
 */

/** @param {string} key */
export function recall(key) {
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
export function remember(key, value) {
  try {
    localStorage.setItem(`voice-s2s.${key}`, value);
  } catch {
    // See above.
  }
}
