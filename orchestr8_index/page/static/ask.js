// Ask: who can do this? It answers while one types; a question is counted when sent with Enter,
// opened as a link, or reported on.

import { call, calls, Refused } from './api.js';
import { button, empty, failed, fill, h, many, odds, points } from './dom.js';
import { EntryPanel } from './entry.js';

export const title = 'Ask';
const WAIT = 150; // milliseconds after the last key
const KINDS = [
  ['agents', 'agent', 'Agents', 'queryAgents', 'context'],
  ['skills', 'skill', 'Skills', 'querySkills', 'context'],
  ['workflows', 'workflow', 'Commands', 'queryWorkflows', 'goal'],
];
const USED = { agent: 'agents_used', skill: 'skills_used', workflow: 'workflows_used' };
const EXAMPLES = ['our database queries are slow', 'write release notes', 'review code for security'];

export function open(main, given) {
  const view = new Ask(main);
  view.box.value = given.get('q') ?? '';
  view.ready = view.box.value ? view.settle() : view.clear();
  view.box.focus();
  return view;
}

class Ask {
  constructor(main) {
    this.box = h('input', {
      type: 'search', id: 'question', maxlength: 500, autocomplete: 'off', spellcheck: false,
      placeholder: 'What is to be done?', oninput: () => this.typed(),
    });
    this.said = h('p', { class: 'said', role: 'status' });
    this.hits = h('div', { class: 'hits' });
    this.plan = h('div');
    this.panel = new EntryPanel();
    const form = h('form', { role: 'search', class: 'ask-form', onsubmit: (e) => this.sent(e) },
      h('label', { for: 'question' }, 'Ask for a task'), this.box, h('kbd', { 'aria-hidden': true }, '/'));
    main.append(h('h1', { class: 'hidden' }, title), h('div', { class: 'with-panel' },
      h('div', {}, form, this.said, this.plan, this.hits), this.panel.node));
    this.hits.addEventListener('keydown', (event) => this.step(event));
    this.box.addEventListener('keydown', (event) => this.step(event));
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.preview().catch((error) => this.fail(error)), WAIT);
  }

  sent(event) {
    event.preventDefault();
    clearTimeout(this.timer);
    this.settle().catch((error) => this.fail(error));
  }

  async clear() {
    this.task = '';
    fill(this.plan);
    this.panel.light([]);
    this.said.textContent = '';
    const tries = EXAMPLES.map((text) => h('li', {}, h('a', { href: `#/ask?q=${encodeURIComponent(text)}` }, text)));
    fill(this.hits, empty('Write what is to be done; agents, skills and commands that can do it appear below.',
      h('ul', {}, tries)));
  }

  async preview() {
    const task = this.box.value.trim();
    if (!task) return this.clear();
    const answer = await call('tryQuestion', { task, limit: 5 }, { signal: this.renewed() });
    if (task !== this.task) fill(this.plan);
    return this.show(task, answer);
  }

  // Asks with the methods that are counted, and puts the question into the URL.
  async settle() {
    const task = this.box.value.trim();
    if (!task) return this.clear();
    history.replaceState(null, '', `#/ask?q=${encodeURIComponent(task)}`);
    const asked = KINDS.map(([, , , method, field]) => [method, { [field]: task, limit: 5 }]);
    const signal = this.renewed();
    const [agents, skills, workflows, pattern] =
      await calls([...asked, ['getOrchestrationPattern', { goal: task }]], { signal, mild: true });
    const answers = { agents, skills, workflows };
    const refused = Object.values(answers).find((answer) => answer instanceof Refused);
    if (refused) throw refused;
    this.showPlan(pattern instanceof Refused ? null : pattern);
    return this.show(task, answers);
  }

  renewed() {
    this.going?.abort();
    this.going = new AbortController();
    return this.going.signal;
  }

  fail(error) {
    if (error.name !== 'AbortError') fill(this.hits, failed(error));
  }

  show(task, answers) {
    this.task = task;
    const found = KINDS.map(([name]) => answers[name][name].length);
    this.said.textContent = `${many(found[0], 'agent')}, ${many(found[1], 'skill')}, ${many(found[2], 'command')} found.`;
    this.panel.light(KINDS.flatMap(([name, kind]) => answers[name][name].map((row) => `${kind} ${row.plugin}:${row.name}`)));
    fill(this.hits, KINDS.map(([name, kind, heading]) => this.section(kind, heading, answers[name], answers[name][name])));
  }

  showPlan(found) {
    if (!found) return fill(this.plan);
    const { pattern, success_rate: rate } = found;
    const uses = pattern.success_count + pattern.failure_count;
    const worked = uses ? `worked ${pattern.success_count} of ${uses} times (${Math.round(rate * 100)} %)` : 'stored, not yet used';
    return fill(this.plan, h('p', { class: 'plan' }, h('strong', {}, 'What worked before: '),
      pattern.agent_sequence.join(' → '), h('span', { class: 'dim' }, ` ${worked}`)));
  }

  section(kind, heading, answer, rows) {
    const sure = rows.length ? odds(answer.confidence) : 'Nobody fits well enough';
    const near = answer.near_misses?.length ? `Nearest: ${answer.near_misses.join(', ')}` : '';
    return h('section', { class: 'kind', 'aria-label': heading },
      h('h2', {}, heading, h('span', { class: 'odds', title: `Confidence ${points(answer.confidence)} that the first one is right` }, sure)),
      rows.length ? h('ol', {}, rows.map((row) => this.row(kind, row))) : h('p', { class: 'dim' }, near || 'Try other words.'));
  }

  row(kind, row) {
    const entry = { kind, plugin: row.plugin, name: row.name };
    const more = h('div', { class: 'more' });
    const told = h('p', { class: 'told', role: 'status' });
    const why = button('Why', () => this.explain(entry, why, more), { 'aria-expanded': 'false', 'aria-label': `Why: ${row.name}` });
    return h('li', { class: 'hit' },
      h('div', { class: 'line' },
        button(row.name, () => this.panel.open(entry), { class: 'name', 'aria-label': `${row.name} of ${row.plugin}: open its text` }),
        h('span', { class: 'score', title: 'Score, from 0 to 1' }, points(row.score))),
      h('div', { class: 'meter', 'aria-hidden': true }, h('i', { style: { width: `${row.score * 100}%` } })),
      h('p', { class: 'dim', title: row.also?.join(', ') }, [row.plugin, row.model, row.user_only && 'only a person starts it',
        row.also && `also in ${row.also.map((name) => name.split(':')[0]).join(', ')}`].filter(Boolean).join(' · ')),
      row.description && h('p', {}, row.description),
      h('div', { class: 'acts' }, why,
        button('This one did it', () => this.report(entry, 'success', told), { 'aria-label': `This one did it: ${row.name}` }),
        button('Not this one', () => this.report(entry, 'failure', told), { 'aria-label': `Not this one: ${row.name}` })),
      told, more);
  }

  async explain(entry, why, more) {
    const opened = why.getAttribute('aria-expanded') === 'true';
    why.setAttribute('aria-expanded', String(!opened));
    if (opened) return fill(more);
    try {
      const answers = await call('tryQuestion', { task: this.task, limit: 5, explain: true });
      const [name] = KINDS.find(([, kind]) => kind === entry.kind);
      const row = answers[name][name].find((each) => each.name === entry.name && each.plugin === entry.plugin);
      return fill(more, row ? bars(row) : empty('The answer has changed: ask again.'));
    } catch (error) {
      return fill(more, failed(error));
    }
  }

  async report(entry, result, told) {
    const name = `${entry.plugin}:${entry.name}`;
    const used = { agents_used: [], [USED[entry.kind]]: [name] };
    const sent = { task_id: await taskId(this.task, entry), task_description: this.task, result, ...used };
    try {
      const { receipt } = await call('cacheDecision', { ...sent, caller: 'page', receipt: 'full' });
      const said = learnt(entry.name, receipt);
      if (this.box.value.trim() !== this.task) this.box.value = this.task;
      await this.settle();
      this.said.textContent = said;
    } catch (error) {
      told.textContent = `${error.message} ${error.cure ?? ''}`;
    }
  }

  // Arrow keys move the focus between the box and the names of the hits.
  step(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    const stops = [this.box, ...this.hits.querySelectorAll('button.name')];
    const next = stops[stops.indexOf(document.activeElement) + by];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  }

  tell(kind) {
    const changed = kind === 'index' || kind === 'learnt' || kind === 'open';
    if (changed && this.task && !this.hits.contains(document.activeElement)) this.typed();
    if (kind === 'index') this.panel.reread();
  }

  leave() {
    clearTimeout(this.timer);
    this.going?.abort();
  }
}

function learnt(name, receipt) {
  const change = receipt.entries?.[0];
  if (receipt.duplicate) return 'Known already: nothing changed.';
  const [before, after] = [change?.rank_before, change?.rank_after];
  const place = (rank) => (rank ? `place ${rank}` : 'not among the first');
  const moved = before === after ? `still ${place(after)}` : `${place(before)} before, ${place(after)} now`;
  return `Kept. ${name}: ${change ? moved : 'counted'}.`;
}

// The task id of a report: equal for the same question and entry, so that a second one amends it.
async function taskId(task, { kind, plugin, name }) {
  const text = [task.toLowerCase(), kind, plugin, name].join('\n');
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return `page-${hash.toString(16)}`;
}

function bars(row) {
  const lines = row.explanation ?? [];
  const most = Math.max(...lines.map((line) => Math.abs(line.points)), 0.001);
  const parts = (line) => Object.entries(line.fields ?? {});
  const bar = (line) => h('div', { class: line.points < 0 ? 'bar minus' : 'bar' },
    (parts(line).length ? parts(line) : [['whole', line.points]]).map(([field, n]) =>
      h('i', { class: field, title: `${field} ${n.toFixed(3)}`, style: { width: `${(Math.abs(n) / most) * 100}%` } })));
  return h('table', { class: 'why' },
    h('caption', {}, `${points(row.score)} is the sum of`),
    h('tbody', {}, lines.map((line) => h('tr', {}, h('th', { scope: 'row' }, line.term,
      parts(line).length > 0 && h('small', {}, parts(line).map(([field, n]) => `${field} ${n.toFixed(3)}`).join(' · '))),
    h('td', {}, bar(line)), h('td', { class: 'number' }, line.points.toFixed(3))))),
    h('tfoot', {}, h('tr', {}, h('th', { scope: 'row' }, 'Score'), h('td'), h('td', { class: 'number' }, row.score.toFixed(3)))));
}
