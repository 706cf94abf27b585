// Servers: which servers share this memory, their state, and whether they reach its stores.

import { calls, Refused } from './api.js';
import { fill, h, many, refreshed, seconds, since, span, table } from './dom.js';

export const title = 'Servers';
const EVERY = 2_000; // milliseconds

export const open = (main) => refreshed(new Servers(main), EVERY);

class Servers {
  constructor(main) {
    this.said = h('p', { role: 'status', class: 'lead' });
    this.rows = h('div');
    main.append(h('h1', { class: 'hidden' }, title), h('section', { class: 'part', 'aria-label': title }, this.said, this.rows));
  }

  async read() {
    const [told] = await calls([['listServers']], { mild: true });
    if (told instanceof Refused) return fill(this.said, `${told.message} ${told.cure ?? ''}`);
    const { servers, own } = told;
    const here = servers.filter((row) => row.here).length;
    const gone = servers.length - here;
    const alone = servers.length === 1 && 'sqlite' in (servers[0].stores ?? {});
    const said = alone ? 'One server, with a memory of its own. MCP_DATABASE_URL lets several have one.' : `${many(here, 'server')} at work${gone ? `, ${gone} silent` : ''}.`;
    if (this.said.textContent !== said) this.said.textContent = said; // read aloud once
    return fill(this.rows, table(['Server', 'State', 'Version', 'Generation', 'Lag, ms', 'Waiters', 'Stores', 'Up'], servers.map((row) => [
      h('span', {}, h('code', {}, row.server), h('small', {}, [row.server === own && 'this one', row.project].filter(Boolean).join(', '))),
      h('span', { class: `tag ${row.here ? 'healthy' : 'error'}` }, row.here ? 'here' : `silent for ${span(row.silent_ms / 1000)}`),
      row.version, row.generation ?? '–', row.lag_ms ?? '–', row.waiters ?? 0,
      h('span', { class: 'acts' }, Object.entries(row.stores ?? {}).map(([name, state]) =>
        h('span', { class: `tag ${state === 'connected' ? 'healthy' : 'error'}` }, state === 'connected' ? name : `${name}: ${state}`))),
      since(seconds(row.started))])));
  }

  leave() {
    clearInterval(this.timer);
  }
}
