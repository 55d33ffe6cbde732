// Applies the theme that was chosen earlier before anything is painted. A classic script on
// purpose: modules run after the first paint, and the page would flash in the other theme.
try {
  const theme = localStorage.getItem('voice-s2s.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage can be forbidden; the system's theme applies then.
}
