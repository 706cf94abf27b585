// Usage: calls to all servers by method and caller, their failures, and the tokens saved.

import { calls, Refused } from './api.js';
import { count, empty, fill, h, many, refreshed, table } from './dom.js';

export const title = 'Usage';
const EVERY = 10_000; // milliseconds
const MOST = 50; // the most rows of a table

export const open = (main) => refreshed(new Usage(main), EVERY);

class Usage {
  constructor(main) {
    this.days = 30;
    this.said = h('p', { role: 'status', class: 'lead' });
    for (const name of ['byDay', 'tools', 'callers', 'errors']) this[name] = h('div');
    const part = (heading, child) => h('section', { class: 'part', 'aria-label': heading }, h('h2', {}, heading), child);
    const spans = [7, 30, 90].map((days) => h('label', {}, h('input', {
      type: 'radio', name: 'days', value: days, checked: days === this.days, onchange: () => this.choose(days),
    }), `Last ${days} days`));
    main.append(h('h1', { class: 'hidden' }, title), h('fieldset', { class: 'spans' }, h('legend', { class: 'hidden' }, 'Span'), spans), this.said,
      h('div', { class: 'parts usage' }, part('Tools', this.tools), part('Callers', this.callers), part('Days', this.byDay), part('Errors', this.errors)));
  }

  choose(days) {
    this.days = days;
    this.read().catch(() => {});
  }

  async read() {
    const chosen = this.days;
    const [told] = await calls([['getUsage', { days: chosen }]], { mild: true });
    if (chosen !== this.days) return;
    if (told instanceof Refused) return fill(this.said, `${told.message} ${told.cure ?? ''}`);
    this.show(told);
  }

  show({ days, tools, callers, errors }) {
    const sum = (name) => days.reduce((total, day) => total + (day[name] ?? 0), 0);
    fill(this.said, !days.length ? 'Nothing was asked in these days.' : `${many(sum('calls'), 'call')} by ${many(callers.length, 'caller')}, ${count(sum('errors'))} failed; ${count(sum('tokens'))} tokens saved, as reports say. Other servers' calls come within ten seconds; days are in UTC.`);
    fill(this.tools, counted('Tool', tools, 'No tool was called: what agents and programs ask is counted here by its method.'));
    fill(this.callers, counted('Caller', callers, 'Nobody asked. Each caller stands here by the name of its key, else by its address and agent.'));
    fill(this.byDay, counted('Day', [...days].reverse(), 'Each day has its calls here, and the tokens that reports say were saved.', ['Tokens saved', (day) => day.tokens ?? 0]));
    fill(this.errors, errors.length ? limited(['Error', 'Times'], errors.map(({ name, times }) => [name, times])) : empty('No call failed.'));
  }

  tell(kind) {
    if (kind === 'open') this.read().catch(() => {});
  }

  leave() {
    clearInterval(this.timer);
  }
}

function counted(heading, rows, none, ...more) {
  if (!rows.length) return empty(none);
  const most = Math.max(1, ...rows.map((row) => row.calls));
  const bar = ({ calls: n }) => h('div', { class: 'bar', 'aria-hidden': true }, h('i', { style: { width: `${(n / most) * 100}%` } }));
  return limited([heading, 'Calls', 'Failed', ...more.map(([name]) => name), ''],
    rows.map((row) => [h('span', { class: 'name' }, row.name), row.calls, row.errors ?? 0, ...more.map(([, of]) => of(row)), bar(row)]));
}

const limited = (names, rows) => [table(names, rows.slice(0, MOST)), rows.length > MOST && h('p', { class: 'dim' }, `and ${count(rows.length - MOST)} more`)];
