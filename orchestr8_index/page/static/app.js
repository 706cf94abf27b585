// The page's frame: shows a view and passes the server's events on to it.

import { call, choose, chosen } from './api.js';
import { count, failed, fill, h } from './dom.js';
import { follow } from './live.js';
import { forget } from './map.js';

const VIEWS = ['ask', 'catalogue', 'learned', 'now', 'usage', 'servers', 'health'];
const main = document.getElementById('main');
const status = document.getElementById('status');
let shown = null, turn = 0;

function address() {
  const [name, query] = location.hash.replace(/^#\/?/, '').split('?');
  return { name: VIEWS.includes(name) ? name : 'ask', given: new URLSearchParams(query) };
}

async function show() {
  if (location.hash && !location.hash.startsWith('#/')) return main.focus();
  const { name, given } = address();
  const mine = (turn += 1);
  for (const link of document.querySelectorAll('nav a')) {
    const here = link.hash === `#/${name}`;
    here ? link.setAttribute('aria-current', 'page') : link.removeAttribute('aria-current');
  }
  const view = await import(`./${name}.js`);
  if (mine !== turn) return undefined;
  shown?.leave?.();
  main.className = name;
  document.title = `${view.title} · Orchestr8 Index`;
  delete fill(main).dataset.failed;
  shown = view.open(main, given);
  shown.ready?.catch?.((error) => {
    if (error.name !== 'AbortError') fill(main, failed(error)).dataset.failed = 'yes';
  });
  return undefined;
}

async function tellStatus() {
  const told = await call('getHealth');
  const { agents = 0, skills = 0, workflows = 0 } = told.indexes;
  status.dataset.state = told.status;
  status.textContent = told.status === 'starting' ? 'Reading the catalogue…'
    : `${told.status === 'healthy' ? 'Live' : 'Degraded'} · ${count(agents + skills + workflows)} entries`;
}

function tell(kind, data) {
  if (kind === 'away') {
    status.dataset.state = 'away';
    status.textContent = 'Not connected; trying again…';
  } else if (['open', 'index'].includes(kind)) {
    forget(); // whatever the view
    if (main.dataset.failed) show();
    tellStatus().catch(() => {});
    if (kind === 'open') listProjects().catch(() => {});
  }
  shown?.tell?.(kind, data);
}

addEventListener('hashchange', show);
addEventListener('keydown', (event) => {
  const typing = event.target.matches('input, textarea, select') || document.querySelector('dialog');
  const box = main.querySelector('input[type=search]');
  if (event.key === '/' && !typing && box) {
    event.preventDefault();
    box.focus();
  }
});
async function listProjects() {
  const { projects, own } = await call('listProjects');
  const label = document.getElementById('project');
  const select = label.querySelector('select');
  label.hidden = projects.length < 2;
  fill(select, projects.map(({ name }) => h('option', { value: name === own ? '' : name }, name)));
  select.value = chosen();
  select.onchange = () => {
    choose(select.value);
    location.reload();
  };
}

show();
follow(tell);
