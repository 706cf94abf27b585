// Calls the server's methods. A key that the server requires is asked for once and kept in the tab.

import { ask } from './dom.js';

const KEY = 'orchestr8-key';
export const SELF = 'page'; // the page's agent name
let asking = null;
let project = sessionStorage.getItem('orchestr8-project') ?? '';

export class Refused extends Error {
  constructor({ code, message, data }) {
    super(message);
    this.code = code;
    this.cure = data?.cure ?? '';
  }
}

export const away = () => new Refused({
  code: 0,
  message: 'The server does not answer.',
  data: { cure: 'Start it again with `orchestr8-index up`; this page goes on by itself.' },
});

export function headers(more = {}) {
  const key = sessionStorage.getItem(KEY);
  const named = project ? { 'X-Project': project } : {};
  return { ...more, ...named, 'X-Agent': SELF, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

export const chosen = () => project;

export function choose(name) {
  project = name;
  sessionStorage.setItem('orchestr8-project', name);
}

// Asks for a key, once for all requests that are refused meanwhile; resolves to false if cancelled.
export function askKey() {
  const wrong = sessionStorage.getItem(KEY) ? 'That key is not known. ' : '';
  sessionStorage.removeItem(KEY);
  asking ??= ask('A key is needed', `${wrong}The page keeps it in this tab alone.`,
    [['key', 'Key', 'password']], 'Open').then((given) => {
    asking = null;
    if (given) sessionStorage.setItem(KEY, given.key.trim());
    return Boolean(given);
  });
  return asking;
}

export async function send(address, options) {
  const used = sessionStorage.getItem(KEY);
  let reply;
  try {
    reply = await fetch(address, { ...options, headers: headers(options.headers) });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw away();
  }
  if (reply.status !== 401) return reply;
  const known = used === sessionStorage.getItem(KEY);
  if (!known || (await askKey())) return send(address, options);
  throw new Refused((await reply.json()).error);
}

// Sends a batch of [method, params]; gives the results. Throws the first error, unless `mild`.
export async function calls(list, { signal, mild = false } = {}) {
  const body = list.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params: params ?? {} }));
  const options = { method: 'POST', headers: { 'Content-Type': 'application/json' }, signal };
  const reply = await send('/', { ...options, body: JSON.stringify(body) });
  const told = await reply.json();
  if (!Array.isArray(told)) throw new Refused(told.error);
  return told.map(({ result, error }) => {
    if (error && !mild) throw new Refused(error);
    return error ? new Refused(error) : result;
  });
}

export const call = async (method, params, more) => (await calls([[method, params]], more))[0];
