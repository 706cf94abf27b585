// Lines over time, drawn by uPlot, which is loaded when the first one is wanted.

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

// `lines` are [name, values] over `times` (seconds since 1970); a second call renews the first.
export async function plot(node, label, times, lines, { share = false, days = false, unit = '' } = {}) {
  const Plot = await load();
  const data = [times, ...lines.map(([, values]) => values)];
  if (drawn.has(node)) return drawn.get(node).setData(data);
  node.append(h('p', { class: 'hidden' }, summary(label, lines, share, unit)));
  const style = getComputedStyle(node);
  const colour = (at) => style.getPropertyValue(`--line-${at}`).trim();
  const shown = (value) => (value === null || value === undefined ? '–' : share ? `${Math.round(value * 100)} %` : `${+value.toPrecision(3)}${unit}`);
  const axis = { stroke: style.color, grid: { stroke: style.getPropertyValue('--rule').trim(), width: 1 }, ticks: { show: false }, font: '11px system-ui' };
  const few = times.length < 40;
  const options = {
    width: node.clientWidth, height: 150, cursor: { y: false, points: { size: 6 } },
    scales: share ? { y: { range: [0, 1] } } : { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 0) > 0 ? high * 1.1 : 1] } },
    axes: [{ ...axis, ...(days ? { values: (_, at) => at.map((n) => new Date(n * 1000).toLocaleDateString([], { month: 'short', day: 'numeric' })) } : {}) },
      { ...axis, size: 54, values: (_, at) => at.map(shown) }],
    series: [{ value: (_, n) => (n ? new Date(n * 1000).toLocaleString([], days ? { dateStyle: 'medium' } : { timeStyle: 'short' }) : '') },
      ...lines.map(([name], at) => ({ label: name, stroke: colour(at + 1), width: 1.5, dash: at ? [3 * at, 3] : [], points: { show: few }, value: (_, n) => shown(n) }))],
  };
  const made = new Plot(options, data, node);
  drawn.set(node, made);
  new ResizeObserver(() => node.clientWidth && made.setSize({ width: node.clientWidth, height: 150 })).observe(node);
  return made;
}

function summary(label, lines, share, unit) {
  const last = lines.map(([name, values]) => {
    const value = values.at(-1);
    return `${name} ${share ? `${Math.round(value * 100)} %` : `${value}${unit}`}`;
  });
  return `${label}; the last: ${last.join(', ')}.`;
}
