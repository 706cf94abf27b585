// Catalogue: every entry by plugin, and the findings of the linter.

import { call } from './api.js';
import { button, count, empty, fill, h, LongList, many } from './dom.js';
import { EntryPanel } from './entry.js';
import { everyEntry, keyOf } from './map.js';

export const title = 'Catalogue';
const KINDS = { agent: 'agent', skill: 'skill', workflow: 'command' };
const SHOWN = {
  entries: 'All entries', findings: 'What doctor found', clones: 'Clones in several plugins',
  person: 'Only a person may start',
};
const WAIT = 150;

export function open(main) {
  const view = new Catalogue(main);
  view.ready = view.read();
  return view;
}

class Catalogue {
  constructor(main) {
    this.findings = [];
    const again = () => this.show();
    this.box = h('input', { type: 'search', id: 'filter', placeholder: 'Filter by words or meaning', oninput: () => this.typed() });
    this.kind = choice('kind', { '': 'Every kind', agent: 'Agents', skill: 'Skills', workflow: 'Commands' }, again);
    this.plugin = choice('plugin', { '': 'Every plugin' }, again);
    this.shown = choice('shown', SHOWN, again);
    this.said = h('p', { class: 'said', role: 'status' });
    this.list = new LongList('Entries', 58, (item) => this.row(item));
    this.none = h('div');
    this.panel = new EntryPanel();
    const field = (label, control) => h('label', {}, h('span', {}, label), control);
    const filters = h('form', { class: 'filters', role: 'search', onsubmit: (event) => event.preventDefault() },
      field('Filter', this.box), field('Kind', this.kind), field('Plugin', this.plugin), field('Show', this.shown));
    main.append(h('h1', { class: 'hidden' }, title), h('div', { class: 'with-panel' },
      h('div', { class: 'column' }, filters, this.said, this.none, this.list.node), this.panel.node));
  }

  async read() {
    const findings = [];
    for (let after = 0; after !== null;) {
      const page = await call('listFindings', { after });
      findings.push(...page.findings);
      Object.assign(this, { files: page.files });
      after = page.after;
    }
    this.entries = await everyEntry();
    this.findings = findings;
    this.wrong = new Map(findings.map((finding) => [fileOf(finding.entry, finding.path), finding]));
    const plugins = [...new Set(this.entries.map((entry) => entry.plugin))].sort();
    const kept = this.plugin.value;
    fill(this.plugin, h('option', { value: '' }, 'Every plugin'), plugins.map((name) => h('option', { value: name }, name)));
    this.plugin.value = plugins.includes(kept) ? kept : '';
    this.shown.options[1].textContent = `${SHOWN.findings} (${count(findings.length)})`;
    this.show();
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.find(), WAIT);
    this.show();
  }

  // Hits of the words as a question light up on the map; the words as text filter the list.
  async find() {
    const task = this.box.value.trim();
    this.found = [];
    if (task) {
      const answer = await call('tryQuestion', { task, limit: 10 }).catch(() => null);
      const kinds = [['agents', 'agent'], ['skills', 'skill'], ['workflows', 'workflow']];
      this.found = answer ? kinds.flatMap(([name, kind]) => answer[name][name].map((row) => keyOf({ kind, ...row }))) : [];
    }
    this.panel.light(this.found);
    this.show();
  }

  show() {
    if (!this.entries) return;
    const words = this.box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = new Set(words.length ? this.found : []);
    const says = (...texts) => {
      const text = texts.join(' ').toLowerCase();
      return words.every((word) => text.includes(word));
    };
    const [kind, plugin, shown] = [this.kind.value, this.plugin.value, this.shown.value];
    if (shown === 'findings') {
      const fit = this.findings.filter((f) => says(f.entry, f.path, f.rule, f.message) && (!plugin || f.entry.startsWith(`${plugin}:`)));
      return this.put(fit, many(fit.length, 'finding'), 'Nothing to mend: doctor found no fault in these files.');
    }
    const fit = this.entries.filter((entry) => (!kind || entry.kind === kind) && (!plugin || entry.plugin === plugin)
      && (shown !== 'clones' || entry.also) && (shown !== 'person' || entry.user_only)
      && (found.has(keyOf(entry)) || says(entry.name, entry.plugin, entry.description ?? '')));
    const byPlugin = Map.groupBy(fit, (entry) => entry.plugin);
    const rows = [...byPlugin].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([name, entries]) => [{ heading: name, size: entries.length }, ...entries]);
    const { indexed = 0, repaired = 0, skipped = 0 } = this.files ?? {};
    const files = `${count(indexed)} files indexed, ${count(repaired)} repaired, ${count(skipped)} skipped`;
    const none = this.entries.length ? 'No entry fits these filters.'
      : 'There are no entries yet. Start the server over a tree that has some: `orchestr8-index up --root DIR`.';
    return this.put(rows, `${many(fit.length, 'entry', 'entries')} of ${many(byPlugin.size, 'plugin')} · ${files}`, none);
  }

  put(rows, said, none) {
    this.said.textContent = said;
    this.list.node.hidden = !rows.length;
    fill(this.none, rows.length ? null : empty(none));
    this.list.set(rows);
  }

  row(item) {
    if (item.heading) return h('h2', { class: 'group' }, item.heading, h('span', { class: 'dim' }, ` ${count(item.size)}`));
    if (item.rule) return findingRow(item);
    const wrong = this.wrong.get(fileOf(`${item.plugin}:${item.name}`, item.path));
    return h('div', { class: 'cell' },
      h('div', { class: 'line' }, button(item.name, () => this.panel.open(item, this.facts(item)), { class: 'name' }),
        h('span', { class: 'tag' }, KINDS[item.kind]), item.model && h('span', { class: 'tag' }, item.model),
        item.also && h('span', { class: 'tag' }, many(item.also.length + 1, 'copy', 'copies')),
        item.user_only && h('span', { class: 'tag' }, 'person only'),
        wrong && h('span', { class: `tag ${wrong.severity}` }, wrong.rule)),
      h('p', { class: 'cut' }, item.description || 'No description'));
  }

  facts(entry) {
    const file = fileOf(`${entry.plugin}:${entry.name}`, entry.path);
    const wrong = this.findings.filter((finding) => fileOf(finding.entry, finding.path) === file);
    return h('div', {}, h('p', {}, h('code', {}, entry.path)),
      entry.also && h('p', {}, `Nearly the same as ${entry.also.join(', ')}.`), wrong.map(findingRow));
  }

  tell(kind) {
    if (kind !== 'index' && kind !== 'open') return;
    this.panel.reread();
    this.read().catch(() => {});
  }

  leave() {
    clearTimeout(this.timer);
  }
}

// The key of a finding's file: plugins may have equal paths below their folders.
const fileOf = (entry, path) => `${entry}\n${path}`;

function findingRow(finding) {
  const place = finding.line ? `${finding.path}:${finding.line}` : finding.path;
  return h('div', { class: 'cell' },
    h('div', { class: 'line' }, h('span', { class: `tag ${finding.severity}` }, finding.rule), h('code', { class: 'cut' }, place)),
    h('p', { class: 'cut', title: `${finding.message}. ${finding.cure}` }, finding.message, finding.cure && h('span', { class: 'dim' }, ` · ${finding.cure}`)));
}

function choice(name, options, changed) {
  return h('select', { name, onchange: changed }, Object.entries(options).map(([value, text]) => h('option', { value }, text)));
}
