/**
 * @file The workflow of a call as a small graph, with the step it is at and what is known.
 */

import { readWorkflow } from '../api.js';
import { byId, icon, make, words } from '../dom.js';
import { layOut } from './workflow-layout.js';

/** @import { Graph } from '../api.js' */

const WIDTH = 260;
const ROW = 30;
const MARGIN = 16;

/** @typedef {{ activeStepId: string, workflowId: string, checks: Record<string, boolean> }} Status */

export class WorkflowView {
  #card = byId('workflow', HTMLElement);
  #name = byId('workflow-name', HTMLElement);
  #graph = byId('workflow-graph', HTMLElement);
  #step = byId('workflow-step', HTMLElement);
  #checks = byId('workflow-checks', HTMLElement);
  /** @type {Map<string, Promise<Graph>>} */
  #known = new Map();
  /** @type {Graph | null} */
  #shown = null;
  /** @type {Set<string>} */
  #passed = new Set();
  #status = '';

  clear() {
    this.#card.hidden = true;
    this.#shown = null;
    this.#passed.clear();
  }

  /** @param {Status} status */
  async show({ activeStepId, workflowId, checks }) {
    this.#status = activeStepId;
    const reading = this.#known.get(workflowId) ?? readWorkflow(workflowId);
    this.#known.set(workflowId, reading);
    const graph = await reading.catch(() => null);
    // A later step may have come meanwhile.
    if (!graph || this.#status !== activeStepId) return;
    if (this.#shown?.id !== workflowId) {
      this.#shown = graph;
      this.#passed.clear();
      this.#draw(graph);
    }
    this.#passed.add(activeStepId);
    this.#mark(activeStepId);
    this.#name.textContent = graph.name ?? words(graph.id);
    const step = graph.nodes.find(({ id }) => id === activeStepId);
    this.#step.textContent = step?.label ?? words(activeStepId);
    this.#checks.replaceChildren(
      ...Object.entries(checks).map(([name, known]) => {
        const item = make('li', known ? 'check is-known' : 'check', icon(known ? 'check' : 'info'), words(name));
        item.append(make('span', 'visually-hidden', known ? ' is known' : ' is not known yet'));
        return item;
      }),
    );
    this.#card.hidden = false;
  }

  /** @param {Graph} graph */
  #draw(graph) {
    const { places, rows, back } = layOut(graph);
    const height = rows * ROW + MARGIN;
    const at = (/** @type {string} */ id) => {
      const place = places.get(id);
      return place && { x: place.x * WIDTH, y: place.y * ROW + MARGIN };
    };
    const svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${height}`, role: 'img', class: 'graph' });
    svg.setAttribute('aria-label', `Steps of the workflow ${graph.name ?? graph.id}`);
    for (const { from, to } of graph.edges) {
      const [a, b] = [at(from), at(to)];
      if (!a || !b) continue;
      const isBack = back.has(`${from}→${to}`);
      // What leads back goes round the outside.
      const side = Math.max(a.x, b.x) + 34;
      const d = isBack
        ? `M${a.x} ${a.y}C${side} ${a.y} ${side} ${b.y} ${b.x} ${b.y}`
        : `M${a.x} ${a.y}C${a.x} ${(a.y + b.y) / 2} ${b.x} ${(a.y + b.y) / 2} ${b.x} ${b.y}`;
      const edge = shape('path', { d, class: isBack ? 'edge is-back' : 'edge' });
      edge.dataset.from = from;
      edge.dataset.to = to;
      svg.append(edge);
    }
    for (const { id, label, type } of graph.nodes) {
      const place = at(id);
      if (!place) continue;
      const node = shape('g', { class: `node is-${type}`, transform: `translate(${place.x} ${place.y})` });
      node.dataset.step = id;
      const title = shape('title', {});
      title.textContent = label;
      const dot = type === 'decision'
        ? shape('rect', { x: '-5', y: '-5', width: '10', height: '10', rx: '2', transform: 'rotate(45)' })
        : shape('circle', { r: type === 'start' || type === 'end' ? '4.5' : '6' });
      node.append(title, shape('circle', { r: '11', class: 'halo' }), dot);
      svg.append(node);
    }
    this.#graph.replaceChildren(svg);
  }

  /** @param {string} step */
  #mark(step) {
    for (const node of this.#graph.querySelectorAll('.node')) {
      const id = /** @type {SVGElement} */ (node).dataset.step ?? '';
      node.classList.toggle('is-here', id === step);
      node.classList.toggle('is-passed', this.#passed.has(id));
    }
    for (const edge of this.#graph.querySelectorAll('.edge')) {
      const { from = '', to = '' } = /** @type {SVGElement} */ (edge).dataset;
      edge.classList.toggle('is-passed', this.#passed.has(from) && this.#passed.has(to));
    }
  }
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 */
function shape(tag, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
