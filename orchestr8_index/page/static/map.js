// The map of the catalogue: entries of similar meaning are close together, a plugin has one colour.

import { call } from './api.js';
import { h, many } from './dom.js';

const EDGE = 14;
let known = null; // a promise of all entries, shared by all views

export const everyEntry = () => (known ??= readAll().catch((error) => {
  known = null;
  throw error;
}));

export function forget() {
  known = null;
}

async function readAll() {
  const every = [];
  for (const kind of ['agent', 'skill', 'workflow']) {
    for (let after = '', more = true; more;) {
      const page = await call('listEntries', { kind, after });
      every.push(...page.entries);
      more = page.more && page.entries.length > 0;
      if (more) after = `${page.entries.at(-1).plugin}:${page.entries.at(-1).name}`;
    }
  }
  return every;
}

export class EntryMap {
  constructor(open) {
    this.open = open;
    this.lit = new Set();
    this.canvas = h('canvas', { role: 'img', 'aria-label': 'Map of the catalogue' });
    this.name = h('p', { class: 'dim', 'aria-hidden': true }, '');
    this.node = h('figure', { class: 'map' }, h('figcaption', {}, 'Map of the catalogue'), this.canvas, this.name);
    this.canvas.addEventListener('mousemove', (event) => this.point(event));
    this.canvas.addEventListener('click', () => this.near && this.open(this.near));
    new ResizeObserver(() => this.draw()).observe(this.node);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    this.reread();
  }

  async reread() {
    this.entries = (await everyEntry().catch(() => [])).filter((entry) => entry.at);
    const plugins = [...new Set(this.entries.map((entry) => entry.plugin))].sort();
    this.hues = new Map(plugins.map((plugin, at) => [plugin, (at * 137.5) % 360]));
    this.draw();
  }

  light(keys) {
    this.lit = new Set(keys);
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !this.entries) return;
    const scale = devicePixelRatio;
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    const pen = this.canvas.getContext('2d');
    pen.scale(scale, scale);
    const style = getComputedStyle(this.canvas);
    const dim = this.lit.size ? 0.3 : 0.8;
    const size = this.entries.length > 1000 ? 2 : 3.5;
    const lit = this.entries.filter((entry) => this.lit.has(keyOf(entry)));
    for (const entry of this.entries) this.dot(pen, entry, size, dim, style);
    for (const entry of lit) this.dot(pen, entry, size + 3, 1, style);
    this.canvas.setAttribute('aria-label', `Map of ${many(this.entries.length, 'entry', 'entries')}`
      + (lit.length ? `; found: ${lit.map((entry) => entry.name).join(', ')}` : ''));
    this.name.textContent = `${many(this.entries.length, 'entry', 'entries')}; what means alike things is near`;
  }

  dot(pen, entry, size, alpha, style) {
    const [x, y] = this.place(entry);
    pen.globalAlpha = alpha;
    pen.fillStyle = `hsl(${this.hues.get(entry.plugin)} 60% ${style.getPropertyValue('--map-light')})`;
    pen.beginPath();
    pen.arc(x, y, size, 0, 7);
    pen.fill();
    if (alpha < 1) return;
    pen.lineWidth = 1.5;
    pen.strokeStyle = style.color;
    pen.stroke();
  }

  place({ at }) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return [EDGE + ((at[0] + 1) / 2) * (width - 2 * EDGE), EDGE + ((1 - at[1]) / 2) * (height - 2 * EDGE)];
  }

  point({ offsetX, offsetY }) {
    const far = (entry) => Math.hypot(...this.place(entry).map((n, i) => n - [offsetX, offsetY][i]));
    const best = (this.entries ?? []).reduce((a, b) => (a && far(a) < far(b) ? a : b), null);
    this.near = best && far(best) < 12 ? best : null;
    this.canvas.style.cursor = this.near ? 'pointer' : '';
    if (this.near) this.name.textContent = `${this.near.name} · ${this.near.plugin}`;
  }
}

export const keyOf = ({ kind, plugin, name }) => `${kind} ${plugin}:${name}`;
