// Now: the agents at work, their locks and their messages.

import { call, calls, Refused, SELF } from './api.js';
import { ask, button, count, empty, fill, h, seconds, since, span, table } from './dom.js';

export const title = 'Now';
const MOST_MESSAGES = 200;

export function open(main) {
  const view = new Now(main);
  view.ready = view.read();
  view.ticking = setInterval(() => document.hidden || view.tick(), 1000);
  return view;
}

class Now {
  constructor(main) {
    this.messages = [];
    this.said = h('p', { class: 'said', role: 'status' });
    for (const name of ['work', 'locks', 'sessions', 'mail', 'agents']) this[name] = h('div');
    const part = (heading, child) => h('section', { class: 'part', 'aria-label': heading }, h('h2', {}, heading), child);
    main.append(h('h1', { class: 'hidden' }, title), this.said, h('div', { class: 'parts' },
      part('Delegated tasks', this.work), part('Locks', this.locks), part('Messages', this.mail),
      part('Sessions', this.sessions), part('Agents', this.agents)));
    this.showMail();
  }

  async read() {
    const asked = [['getDelegations'], ['lockResources', { action: 'list' }], ['session', { action: 'list' }], ['coordination']];
    const [work, locks, sessions, coordination] = await calls(asked, { mild: true });
    this.showWork(work);
    this.show(this.locks, locks, ({ locks: rows }) => this.lockTable(rows));
    this.show(this.sessions, sessions, ({ sessions: rows }) => sessionTable(rows));
    this.show(this.agents, coordination, ({ agents: rows }) => agentTable(rows.filter((row) => !isOwn(row.name))));
  }

  show(node, told, draw) {
    fill(node, told instanceof Refused ? empty(told.message, h('p', {}, told.cure)) : draw(told));
  }

  showWork(told) {
    this.show(this.work, told, ({ running, ended }) => (running.length + ended.length
      ? table(['Agent', 'Task', 'For', 'Result'], [...running, ...ended.slice(0, 20)].map((task) => [task.agent, clipped(task.task),
        task.ended ? span(task.ended - task.started) : ticking(task.started), h('span', { class: `tag ${task.result ?? 'running'}` }, task.result ?? 'running')]))
      : empty('No task was delegated yet. With the Claude Code plugin, what agents are given appears here as it starts and ends.')));
  }

  lockTable(rows) {
    if (!rows.length) return empty('Nobody holds a lock.');
    return table(['Resource', 'Holder', 'Held for', 'Waiting', ''], rows.map((lock) => [
      h('span', {}, h('code', {}, lock.resource), lock.purpose && h('small', {}, lock.purpose)), lock.holder,
      ticking(seconds(lock.since)), lock.waiting.length ? lock.waiting.join(', ') : 'nobody',
      button('Break', () => this.break(lock), { 'aria-label': `Break the lock on ${lock.resource}` })]));
  }

  async break({ resource, holder }) {
    const said = `${holder} is told, and what they write with its token is refused.`;
    const given = await ask(`Break the lock on ${resource}?`, said, [['reason', 'Why', 'text']], 'Break');
    if (!given) return;
    try {
      await call('breakLock', { resource, reason: given.reason });
      await this.read();
    } catch (error) {
      this.said.textContent = `${error.message} ${error.cure ?? ''}`;
    }
  }

  showMail() {
    fill(this.mail, this.messages.length ? h('ol', { class: 'mail' }, this.messages.map(message))
      : empty('No message came while this page was open.'));
  }

  tick() {
    for (const node of document.querySelectorAll('[data-since]')) node.textContent = since(+node.dataset.since);
  }

  tell(kind, event) {
    if (kind === 'away' || kind === 'index' || kind === 'learnt') return;
    if (kind === 'message') {
      this.messages = [event, ...this.messages].slice(0, MOST_MESSAGES);
      this.showMail();
    }
    this.again ??= setTimeout(() => {
      this.again = null;
      this.read().catch(() => {});
    }, 50);
  }

  leave() {
    clearInterval(this.ticking);
    clearTimeout(this.again);
  }
}

const isOwn = (name) => name === SELF || name.endsWith(`/${SELF}`);
const ticking = (moment) => h('span', { 'data-since': moment }, since(moment));
const clipped = (text) => h('span', { class: 'clip', title: text }, text);

function sessionTable(rows) {
  if (!rows.length) return empty('No session is open.');
  return table(['Session', 'Members', 'Last'], rows.map((row) => [h('span', {}, row.id, row.purpose && h('small', {}, row.purpose)),
    row.members.map((member) => member.name).join(', ') || 'nobody', ticking(seconds(row.last))]));
}

function agentTable(rows) {
  if (!rows.length) return empty('No agent has asked for anything yet. `orchestr8-index connect` enters the server in a host.');
  return table(['Agent', 'Holds', 'Unread', 'Seen'], rows.map((row) => [h('span', {}, row.name, row.role && h('small', {}, row.role)),
    row.holds.length ? clipped(row.holds.join(', ')) : 'nothing', count(row.unread), ticking(seconds(row.last))]));
}

function message({ value, by, at }) {
  const { to = [], subject, body, session } = value ?? {};
  return h('li', {}, h('p', { class: 'line' }, h('strong', {}, by), h('span', { class: 'dim' }, `to ${to.join(', ')}`),
    session && h('span', { class: 'tag' }, session), h('span', { class: 'dim' }, ticking(typeof at === 'number' ? at : seconds(at)))),
  subject && h('p', {}, h('strong', {}, subject)), h('p', { class: 'clip' }, body));
}

