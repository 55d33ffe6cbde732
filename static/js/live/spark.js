/**
 * @file A line of the latest values: small enough to stand in a row of text.
 */

const WIDTH = 120;
const HEIGHT = 28;

/**
 * @param {number[]} values oldest first
 * @param {string} label what it shows, in words
 */
export function spark(values, label) {
  const name = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(name, 'svg');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  if (values.length < 2) return svg;
  const most = Math.max(...values, 1);
  const points = values.map((value, i) => {
    const x = (i / (values.length - 1)) * WIDTH;
    const y = HEIGHT - 2 - (value / most) * (HEIGHT - 4);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const area = document.createElementNS(name, 'path');
  area.setAttribute('class', 'spark-area');
  area.setAttribute('d', `M0 ${HEIGHT}L${points.join('L')}L${WIDTH} ${HEIGHT}Z`);
  const line = document.createElementNS(name, 'path');
  line.setAttribute('class', 'spark-line');
  line.setAttribute('vector-effect', 'non-scaling-stroke');
  line.setAttribute('d', `M${points.join('L')}`);
  svg.append(area, line);
  return svg;
}
