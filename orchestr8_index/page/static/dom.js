// Elements, numbers for people, and long lists. The server's data is only ever inserted as text.

const SVG = 'http://www.w3.org/2000/svg';
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g; // bidirectional controls
const plain = (value) => (typeof value === 'string' ? value.replace(TURNS, '') : value);

function filled(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'style') Object.entries(value).forEach(([k, v]) => node.style.setProperty(k, v));
    else node.setAttribute(name, value === true ? '' : plain(value));
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false).map(plain));
  return node;
}

export const h = (tag, props, ...children) => filled(document.createElement(tag), props, children);
export const svg = (tag, props, ...children) =>
  filled(document.createElementNS(SVG, tag), props, children);

export function fill(node, ...children) {
  node.replaceChildren(...children.flat(3).filter(Boolean).map(plain));
  return node;
}

export const count = (n) => Number(n).toLocaleString('en');
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;
export const points = (n) => n.toFixed(2);
export const share = (n) => `${Math.round(n * 100)} %`;

export function span(seconds) {
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60]]) {
    if (seconds >= 2 * size) return `${Math.round(seconds / size)} ${unit}`;
  }
  return `${Math.max(0, Math.round(seconds))} s`;
}

export const since = (moment) => span(Date.now() / 1000 - moment);
export const seconds = (iso) => Date.parse(iso) / 1000;
export const clock = (moment) =>
  new Date(moment * 1000).toLocaleString([], { dateStyle: 'short', timeStyle: 'short' });

export function odds(sure) {
  if (sure >= 0.97) return 'Right nearly always';
  if (sure >= 0.93) return 'Right about 19 times in 20';
  const times = Math.round(sure * 10);
  if (times < 1) return 'Hardly ever right: a guess';
  return `Right about ${times === 1 ? 'once' : `${times} times`} in 10`;
}

export const empty = (said, ...next) => h('div', { class: 'empty' }, h('p', {}, said), ...next);
export const failed = (error) =>
  h('div', { class: 'empty bad', role: 'alert' }, h('p', {}, error.message), h('p', {}, error.cure ?? ''));

export function button(text, act, props = {}) {
  return h('button', { type: 'button', ...props, onclick: act }, text);
}

// A table. Cells are text or elements; numbers and their headings are aligned to the right.
export function table(names, rows) {
  const cell = (value) => (typeof value === 'number' ? h('td', { class: 'number' }, count(value)) : h('td', {}, value));
  return h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': names[0] },
    h('table', {}, h('thead', {}, h('tr', {}, names.map((name, at) => (name ? h('th', { scope: 'col', class: typeof rows[0]?.[at] === 'number' && 'number' }, name) : h('td'))))),
      h('tbody', {}, rows.map((row) => h('tr', {}, row.map(cell))))));
}

// A dialog with a form; resolves to the form's values, or null if it was cancelled.
export function ask(title, said, fields, act) {
  const form = h('form', { method: 'dialog' }, h('h2', {}, title), h('p', {}, said));
  for (const [name, label, type] of fields) {
    form.append(h('label', {}, label, h('input', { name, type, required: true, autocomplete: 'off' })));
  }
  const leave = button('Cancel', () => box.close());
  form.append(h('div', { class: 'acts' }, leave, h('button', { value: 'yes', class: 'main' }, act)));
  const box = h('dialog', { 'aria-label': title }, form);
  document.body.append(box);
  box.showModal();
  return new Promise((resolve) => {
    box.addEventListener('close', () => {
      resolve(box.returnValue === 'yes' ? Object.fromEntries(new FormData(form)) : null);
      box.remove();
    });
  });
}

// Makes a view read its data now and every `every` milliseconds while the tab is visible.
export function refreshed(view, every) {
  view.ready = view.read();
  view.timer = setInterval(() => document.hidden || view.read().catch(() => {}), every);
  return view;
}

// A list of rows of equal height; only the visible ones are in the document.
export class LongList {
  constructor(label, height, draw) {
    Object.assign(this, { height, draw, items: [], rows: new Map() });
    this.space = h('div', { class: 'space', role: 'list', 'aria-label': label });
    this.node = h('div', { class: 'long', tabindex: 0, role: 'group', 'aria-label': label }, this.space);
    this.node.addEventListener('scroll', () => this.show(), { passive: true });
    new ResizeObserver(() => this.show()).observe(this.node);
  }

  // `total` includes items not yet loaded. A row with the same content keeps its element, so that a
  // click or focus on it is not lost.
  set(items, total = items.length) {
    const kept = new Map([...this.rows.values()].map((row) => [row.drawnFrom, row]));
    Object.assign(this, { items, total, rows: new Map() });
    this.node.dataset.known = items.length;
    this.space.style.setProperty('height', `${items.length * this.height}px`);
    this.show(kept);
    kept.forEach((row) => row.remove());
  }

  show(kept = new Map()) {
    const { scrollTop, clientHeight } = this.node;
    const first = Math.max(0, Math.floor(scrollTop / this.height) - 10);
    const last = Math.min(this.items.length, Math.ceil((scrollTop + clientHeight) / this.height) + 10);
    for (const [at, row] of this.rows) {
      if ((at < first || at >= last) && !row.contains(document.activeElement)) {
        row.remove();
        this.rows.delete(at);
      }
    }
    for (let at = last - 1; at >= first; at -= 1) if (!this.rows.has(at)) this.put(at, kept);
  }

  put(at, kept) {
    const drawn = h('div', { class: 'row' }, this.draw(this.items[at]));
    const drawnFrom = JSON.stringify(this.items[at]) + drawn.textContent;
    const row = kept.get(drawnFrom) ?? Object.assign(drawn, { drawnFrom });
    const style = { transform: `translateY(${at * this.height}px)`, height: `${this.height}px` };
    filled(row, { role: 'listitem', 'data-at': at, 'aria-posinset': at + 1, 'aria-setsize': this.total, style }, []);
    if (!kept.delete(drawnFrom)) this.space.insertBefore(row, this.rows.get(at + 1) ?? null);
    this.rows.set(at, row);
  }
}
