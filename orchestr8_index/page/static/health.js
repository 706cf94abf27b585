// Health: the server's state, its speed, and what it has saved.

import { calls } from './api.js';
import { count, empty, fill, h, many, refreshed, share, span } from './dom.js';
import { plot, said } from './plot.js';

export const title = 'Health';
const EVERY = 10_000; // milliseconds

const PLOTS = {
  rate: ['Questions a second', [['questions', (c, every) => c.questions.map((n) => n / every)]]],
  took: ['How long an answer takes', ['p50', 'p95', 'p99'].map((name) => [name, (c) => c[name].map((n, i) => (c.questions[i] ? n : null))]), { unit: ' ms' }],
  hits: ['Answers from the cache', [['hit rate', (c) => c.hits.map((n, i) => (n + c.misses[i] ? n / (n + c.misses[i]) : null))]], { share: true }],
  errors: ['Errors', [['errors', (c) => c.errors]]],
  memory: ['Memory', [['memory', (c) => c.memory_mb]], { unit: ' MB' }],
  disk: ['Database', [['database', (c) => c.database_mb]], { unit: ' MB' }],
  generation: ['Generation of the index', [['generation', (c) => c.generation]]],
};

export const open = (main) => refreshed(new Health(main), EVERY);

class Health {
  constructor(main) {
    this.head = h('div', { role: 'status' });
    this.figures = h('dl', { class: 'figures' });
    this.plots = h('div', { class: 'plots' });
    this.saved = h('div');
    this.span = 'hour';
    const spans = ['hour', 'day'].map((name) => h('label', {}, h('input', {
      type: 'radio', name: 'span', value: name, checked: name === 'hour', onchange: () => this.choose(name),
    }), `Last ${name}`));
    main.append(h('h1', { class: 'hidden' }, title), this.head, this.figures,
      h('section', { 'aria-label': 'Plots' }, h('fieldset', { class: 'spans' }, h('legend', { class: 'hidden' }, 'Span'), spans), this.plots),
      h('section', { class: 'part', 'aria-label': 'Tokens saved' }, h('h2', {}, 'Tokens saved'), this.saved));
    this.choose('hour', false);
  }

  choose(name, read = true) {
    this.span = name;
    this.columns = null;
    this.nodes = Object.fromEntries(Object.keys(PLOTS).map((key) => [key, h('div', { class: 'plot' })]));
    if (read) this.read();
  }

  putPlots() {
    this.now = Object.fromEntries(Object.keys(PLOTS).map((key) => [key, h('span')]));
    fill(this.plots, Object.entries(PLOTS).map(([key, [heading]]) =>
      h('section', { 'aria-label': heading }, h('h2', {}, heading, this.now[key]), this.nodes[key])));
  }

  async read() {
    const after = this.columns?.at.at(-1) ?? 0;
    const asked = [['getHealth'], ['getMetrics'], ['getSeries', { span: this.span, after }]];
    const chosen = this.span;
    const [health, metrics, series] = await calls(asked);
    if (chosen !== this.span) return;
    this.showHead(health);
    this.showFigures(health, metrics);
    this.showSaved(series.saved);
    this.join(series);
    await this.showPlots(series.every);
  }

  join({ columns, every }) {
    const most = { hour: 3600, day: 86400 }[this.span] / every;
    const before = this.columns ?? Object.fromEntries(Object.keys(columns).map((name) => [name, []]));
    this.columns = Object.fromEntries(Object.keys(columns).map((name) => [name, [...before[name], ...columns[name]].slice(-most)]));
  }

  showHead({ status, reasons, version, uptime_ms: up, progress }) {
    const word = { healthy: 'Healthy', degraded: 'Degraded', starting: 'Starting' }[status];
    const reading = progress?.total ? `, ${count(progress.done)} of ${count(progress.total)} files read` : '';
    fill(this.head, h('p', { class: 'state', 'data-state': status }, h('strong', {}, word), h('span', { class: 'dim' }, ` version ${version}, up ${span(up / 1000)}${reading}`)),
      reasons.length > 0 && h('ul', { class: 'reasons' }, reasons.map((reason) => h('li', {}, reason))));
  }

  showFigures(health, metrics) {
    const { performance: took, queries, cache, errors } = metrics;
    const wrong = Object.entries(errors.by_code).map(([code, n]) => `${code}: ${count(n)}`).join(', ');
    const rows = {
      Questions: count(queries.total),
      'p50 · p95 · p99': `${['p50', 'p95', 'p99'].map((name) => took[`${name}_query_time_ms`].toFixed(2)).join(' · ')} ms`,
      'From the cache': share(cache.hit_rate),
      Errors: wrong || 'none',
      Memory: `${health.memory_mb.toFixed(1)} MB`,
      Database: `${health.database.size_mb.toFixed(1)} MB`,
      Index: `generation ${health.generation}, built in ${(health.build_ms / 1000).toFixed(1)} s`,
      Checked: health.checked_age_s === null ? 'not yet' : `${span(health.checked_age_s)} ago`,
    };
    fill(this.figures, Object.entries(rows).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
  }

  async showPlots(every) {
    const { at } = this.columns;
    if (at.length < 2) {
      fill(this.plots, h('p', { class: 'dim' }, `The first points come within ${span(2 * every)}; they begin with the server's start.`));
      return;
    }
    if (!this.nodes.rate.isConnected) this.putPlots();
    for (const [key, [heading, lines, options]] of Object.entries(PLOTS)) {
      const node = this.nodes[key];
      const found = lines.map(([name, of]) => [name, of(this.columns, every)]);
      const { share: isShare, unit } = options ?? {};
      this.now[key].textContent = found.map(([, values]) => said(values.at(-1), isShare, unit)).join(' · ');
      await plot(node, heading, at, found, options);
    }
  }

  showSaved(days) {
    const total = days.reduce((sum, day) => sum + day.tokens, 0);
    if (!total) return fill(this.saved, empty('No report said how many tokens it saved (tokens_saved).'));
    const most = Math.max(...days.map((day) => day.tokens));
    const how = 'Counted from what reports say of themselves (tokens_saved), by the day of their task, in UTC; a report that says nothing counts nothing.';
    return fill(this.saved, h('p', {}, h('strong', {}, count(total)), ` in the last 30 days. ${how}`),
      h('table', { class: 'records' }, h('tbody', {}, days.map(({ day, tokens, reports }) => h('tr', {}, h('th', { scope: 'row' }, day, h('small', {}, many(reports, 'report'))),
        h('td', { class: 'number' }, count(tokens)), h('td', {}, h('div', { class: 'bar', 'aria-hidden': true }, h('i', { style: { width: `${(tokens / most) * 100}%` } }))))))));
  }

  tell(kind) {
    if (kind === 'index' || kind === 'open') this.read().catch(() => {});
  }

  leave() {
    clearInterval(this.timer);
  }
}
