// Learned: what past tasks have taught, whether it helps, and how to take it back.

import { call, calls } from './api.js';
import { ask, button, clock, count, empty, failed, fill, h, LongList, many, seconds, share, svg } from './dom.js';
import { plot } from './plot.js';

export const title = 'Learned';
const PAGE = 500;
const SHOWN = 12;

export function open(main) {
  const view = new Learned(main);
  view.ready = view.read();
  return view;
}

class Learned {
  constructor(main) {
    this.decisions = [];
    this.curve = h('div', {}, h('p', { class: 'dim' }, 'Past tasks are asked again; this may take a few seconds…'));
    this.patterns = h('div');
    this.entries = h('div');
    this.said = h('span', { class: 'dim', role: 'status' });
    this.list = new LongList('Decisions', 58, (decision) => this.row(decision));
    this.list.node.addEventListener('scroll', () => this.more(), { passive: true });
    const part = (heading, ...children) => h('section', { class: 'part', 'aria-label': heading }, h('h2', {}, heading), children);
    main.append(h('h1', { class: 'hidden' }, title),
      part('Was the first answer right?', this.curve),
      part('Entries by what they did', this.entries),
      part('Patterns that worked', this.patterns),
      part('Last decisions', this.said, this.list.node));
  }

  async read() {
    const [learnt, decided] = await calls([['getLearned'], ['listDecisions', { limit: PAGE }]]);
    this.total = learnt.decisions;
    const last = decided.decisions.at(-1)?.id ?? 0;
    this.decisions = [...decided.decisions, ...this.decisions.filter((decision) => decision.id < last)];
    this.showEntries(learnt.entries);
    this.showPatterns(learnt);
    this.showDecisions();
    if (!learnt.decisions) return fill(this.curve, empty('Nothing has been reported yet, so there is nothing to replay.'));
    return this.showCurve();
  }

  async showCurve() {
    try {
      const { weeks, tasks, hit1_with: learnt, hit1_without: plain } = await call('getWeeks');
      if (!weeks.length) return fill(this.curve, empty('No past success names an entry that is here now.'));
      const said = `Of ${many(tasks, 'past task')}, asked again in their order, the first answer was right for ${share(learnt)} with what was learnt before, for ${share(plain)} without.`;
      fill(this.curve, h('p', {}, said), h('div', { class: 'plot' }));
      return await plot(this.curve.lastChild, 'Share of right first answers by week', weeks.map((week) => seconds(week.week)),
        [['with experience', weeks.map((week) => week.with_experience)], ['without', weeks.map((week) => week.without)]],
        { share: true, days: true });
    } catch (error) {
      return fill(this.curve, failed(error));
    }
  }

  showEntries(entries) {
    if (!entries.length) {
      return fill(this.entries, empty('No entry has a record yet. Press "This one did it" beside an answer, or let the plugin report what agents did.'));
    }
    const most = Math.max(...entries.map((entry) => entry.wins + entry.failures));
    const row = ({ entry, kind, wins, failures }) => h('tr', {}, h('th', { scope: 'row' }, entry, h('small', {}, kind)),
      h('td', { class: 'number' }, count(wins)), h('td', { class: 'number' }, count(failures)),
      h('td', {}, h('div', { class: 'bar', 'aria-hidden': true },
        h('i', { style: { width: `${(wins / most) * 100}%` } }), h('i', { class: 'lost', style: { width: `${(failures / most) * 100}%` } }))));
    return fill(this.entries, h('table', { class: 'records' },
      h('thead', {}, h('tr', {}, ['Entry', 'Wins', 'Failures'].map((name) => h('th', { scope: 'col' }, name)), h('td'))),
      h('tbody', {}, entries.slice(0, SHOWN).map(row))),
    entries.length > SHOWN && h('p', { class: 'dim' }, `and ${count(entries.length - SHOWN)} more; \`orchestr8-index learned\` lists all`));
  }

  showPatterns({ patterns, retired }) {
    if (!patterns.length) {
      return fill(this.patterns, empty('No sequence of agents has worked twice yet. Once one has, it is offered for goals like its own.'));
    }
    const gone = retired.length ? h('p', { class: 'dim' }, `${many(retired.length, 'pattern')} retired: less than 30 % of five uses or more went well.`) : null;
    return fill(this.patterns, h('div', { class: 'patterns' }, patterns.slice(0, SHOWN).map(drawn)), gone);
  }

  showDecisions() {
    this.said.textContent = this.total ? many(this.total, 'decision') : '';
    this.list.node.hidden = !this.decisions.length;
    this.list.set(this.decisions, this.total);
    this.more();
  }

  // Loads the next page when the list is scrolled near its end.
  async more() {
    const { scrollTop, clientHeight, scrollHeight } = this.list.node;
    if (this.busy || this.decisions.length >= this.total || !clientHeight || scrollTop + 3 * clientHeight < scrollHeight) return;
    this.busy = true;
    try {
      const before = this.decisions.at(-1).id;
      const page = await call('listDecisions', { before, limit: PAGE });
      this.decisions = [...this.decisions, ...page.decisions];
      if (!page.decisions.length) this.total = this.decisions.length;
      this.list.set(this.decisions, this.total);
    } finally {
      this.busy = false;
    }
  }

  row(decision) {
    const { result, at, task, agents, changes, unknown } = decision;
    const change = ({ entry, points: n }) => `${entry} ${n > 0 ? '+' : ''}${n}`;
    const receipt = changes.length ? changes.map(change).join(', ') : agents.join(', ');
    const strange = unknown.length ? ` · not in the index: ${unknown.join(', ')}` : '';
    return h('div', { class: 'cell' },
      h('div', { class: 'line' }, h('span', { class: `tag ${result}` }, result), h('span', { class: 'cut grow', title: task }, task),
        h('time', { class: 'dim', datetime: at }, clock(seconds(at))),
        button('Forget', () => this.forget(decision), { 'aria-label': `Forget ${task.slice(0, 60)}` })),
      h('p', { class: 'cut dim' }, receipt, strange));
  }

  async forget({ task_id: id, task }) {
    const said = `“${task}” and everything learnt from it is removed. This cannot be undone.`;
    if (!(await ask('Forget this decision?', said, [], 'Forget'))) return;
    try {
      await call('forgetDecisions', { task_id: id });
      this.decisions = [];
      await this.read();
    } catch (error) {
      this.said.textContent = `${error.message} ${error.cure ?? ''}`;
    }
  }

  tell(kind, event) {
    if (kind !== 'learnt' && kind !== 'open') return;
    if (event?.method === 'forgetDecisions') this.decisions = [];
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read().catch(() => {}), kind === 'open' ? 0 : 100);
  }

  leave() {
    clearTimeout(this.timer);
  }
}

const [WIDE, HIGH, GAP, LEFT] = [150, 30, 10, 44];

// A pattern as a graph: parallel steps share a column, an arrow leads to a step that waits.
function drawn({ goal, agent_sequence: steps, parallel_groups: groups, dependencies, success_count: won, failure_count: lost }) {
  const columns = groups?.length ? groups : steps.map((step) => [step]);
  const places = new Map(columns.flatMap((column, x) => column.map((step, y) => [step, [x * (WIDE + LEFT), y * (HIGH + GAP)]])));
  const waits = Object.keys(dependencies ?? {}).length
    ? Object.entries(dependencies).flatMap(([step, needed]) => needed.map((from) => [from, step]))
    : columns.slice(1).flatMap((column, x) => column.flatMap((step) => columns[x].map((from) => [from, step])));
  const [width, height] = [columns.length * (WIDE + LEFT) - LEFT + 2, Math.max(...columns.map((c) => c.length)) * (HIGH + GAP) - GAP + 2];
  const line = ([from, step]) => {
    const [[x1, y1], [x2, y2]] = [places.get(from) ?? [0, 0], places.get(step) ?? [0, 0]];
    return svg('path', { d: `M${x1 + WIDE} ${y1 + HIGH / 2} C${x1 + WIDE + LEFT / 2} ${y1 + HIGH / 2} ${x2 - LEFT / 2} ${y2 + HIGH / 2} ${x2 - 4} ${y2 + HIGH / 2}` });
  };
  const step = ([name, [x, y]]) => svg('g', {}, svg('rect', { x: x + 1, y: y + 1, width: WIDE - 2, height: HIGH - 2, rx: 5 }),
    svg('text', { x: x + WIDE / 2, y: y + HIGH / 2 + 4 }, short(name)), svg('title', {}, name));
  const uses = won + lost;
  return h('article', { class: 'pattern' }, h('h3', {}, goal),
    h('p', { class: 'dim' }, uses ? `${won} of ${uses} went well (${share(won / uses)})` : 'stored; not used yet'),
    h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': `Steps: ${steps.join(', then ')}` },
      svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': steps.join(', then ') }, waits.map(line), [...places].map(step))));
}

function short(name) {
  const bare = name.split(':').at(-1);
  return bare.length > 20 ? `${bare.slice(0, 19)}…` : bare;
}
