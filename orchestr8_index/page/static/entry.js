// The pane beside a list: the map of the catalogue, or the text of the entry that was opened.

import { call } from './api.js';
import { button, count, failed, fill, h } from './dom.js';
import { EntryMap } from './map.js';

const NOUNS = { agent: 'Agent', skill: 'Skill', workflow: 'Command' };
const MOST_TOKENS = 20_000;

export class EntryPanel {
  constructor(entries) {
    this.map = new EntryMap((entry) => this.open(entry), entries);
    this.text = h('div', { class: 'entry', hidden: true });
    this.node = h('aside', { class: 'panel', 'aria-label': 'Entry and map' }, this.text, this.map.node);
    this.node.addEventListener('keydown', (event) => event.key === 'Escape' && this.close());
  }

  light(keys) {
    this.map.light(keys);
  }

  reread() {
    this.map.reread();
    if (this.shown) this.open(this.shown, this.more, false);
  }

  // Shows an entry's text below the elements `more`. Takes the focus, which `close` gives back.
  async open(entry, more = [], focus = true) {
    if (focus) this.from = document.activeElement;
    Object.assign(this, { shown: entry, more });
    const { kind, plugin, name } = entry;
    const head = h('h2', { tabindex: -1 }, name);
    const facts = h('p', { class: 'dim' }, `${NOUNS[kind]} of ${plugin}`);
    this.text.hidden = false;
    this.map.node.hidden = true;
    fill(this.text, button('Close', () => this.close(), { class: 'close' }), head, facts, more);
    if (focus) head.focus();
    this.node.scrollIntoView?.({ block: 'nearest' });
    try {
      const told = await call('getEntry', { kind, plugin, name, max_tokens: MOST_TOKENS });
      if (this.shown !== entry) return;
      facts.textContent += ` · about ${count(told.tokens)} tokens${told.truncated ? ', cut' : ''}`;
      this.text.append(h('pre', { tabindex: 0, 'aria-label': `Text of ${name}` }, told.text));
    } catch (error) {
      this.text.append(failed(error));
    }
  }

  close() {
    this.shown = null;
    this.text.hidden = true;
    this.map.node.hidden = false;
    this.from?.isConnected && this.from.focus();
  }
}
