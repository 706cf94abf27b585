// Line charts over time, drawn by uPlot, which is loaded for the first one.

import { h } from './dom.js';

let loading = null;

function load() {
  if (!loading) {
    document.head.append(h('link', { rel: 'stylesheet', href: '/page/vendor/uPlot.css' }));
    loading = import('./vendor/uPlot.js').then((found) => found.default);
  }
  return loading;
}

const drawn = new WeakMap();

// Draws `lines` ([name, values]) over `times` (seconds since 1970); a later call replaces the data.
export async function plot(node, label, times, lines, { share = false, days = false, unit = '' } = {}) {
  const Plot = await load();
  const shown = (value) => said(value, share, unit);
  const data = [times, ...lines.map(([, values]) => values)];
  if (drawn.has(node)) {
    node.firstChild.textContent = summary(label, lines, share, unit);
    return drawn.get(node).setData(data);
  }
  node.append(h('p', { class: 'hidden' }, summary(label, lines, share, unit)));
  const style = getComputedStyle(node);
  const colour = (at) => style.getPropertyValue(`--line-${at}`).trim();
  const axis = { stroke: style.color, grid: { stroke: style.getPropertyValue('--rule').trim(), width: 1 }, ticks: { show: false }, font: '11px system-ui' };
  const few = times.length < 40;
  const brief = times.at(-1) - times[0] < 600 ? { second: '2-digit' } : {};
  const moment = (n) => (days ? new Date(n * 1000).toLocaleDateString([], { month: 'short', day: 'numeric' })
    : new Date(n * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...brief }));
  const options = {
    width: node.clientWidth, height: 150, cursor: { y: false, points: { size: 6 } },
    scales: share ? { y: { range: [0, 1] } } : { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 0) > 0 ? high * 1.1 : 1] } },
    axes: [{ ...axis, size: 30, space: 80, values: (_, at) => at.map(moment) },
      { ...axis, size: 54, values: (_, at) => at.map(shown) }],
    series: [{ label: days ? 'Week of' : 'At', value: (_, n) => (n ? moment(n) : '–') },
      ...lines.map(([name], at) => ({ label: name, stroke: colour(at + 1), width: 1.5, dash: at ? [3 * at, 3] : [], points: { show: few }, value: (_, n) => shown(n) }))],
  };
  const made = new Plot(options, data, node);
  drawn.set(node, made);
  new ResizeObserver(() => node.clientWidth && made.setSize({ width: node.clientWidth, height: 150 })).observe(node);
  return made;
}

// A value as text, in percent if it is a share.
export function said(value, share, unit = '') {
  if (value === null || value === undefined) return '–';
  return share ? `${Math.round(value * 100)} %` : `${+value.toPrecision(3)}${unit}`;
}

function summary(label, lines, share, unit) {
  const last = lines.map(([name, values]) => `${name} ${said(values.at(-1), share, unit)}`);
  return `${label}; the last: ${last.join(', ')}.`;
}
