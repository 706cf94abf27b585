// The server's event stream, reopened whenever it breaks.

import { send } from './api.js';

const LONGEST = 5_000; // the most milliseconds between two tries

// Calls `tell(kind, event)` for each event, with `open` or `away` when the stream opens or ends.
export async function follow(tell) {
  let last = '';
  for (let pause = 250; ; pause = Math.min(LONGEST, pause * 2)) {
    try {
      const more = last ? { 'Last-Event-ID': last } : {};
      const reply = await send('/events', { headers: { Accept: 'text/event-stream', ...more } });
      if (reply.status === 410) last = ''; // the log no longer has the next event: start anew
      if (!reply.ok) throw new Error(reply.status);
      pause = 125;
      tell('open');
      for await (const { id, data } of blocks(reply.body)) {
        last = id ?? last;
        const event = data && JSON.parse(data);
        if (event) tell(event.kind, event);
      }
    } catch {
      // the loop tries again
    }
    tell('away');
    await new Promise((resume) => setTimeout(resume, pause));
  }
}

async function* blocks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const whole = (rest + part.value).split('\n\n');
    rest = whole.pop();
    for (const block of whole) {
      const lines = block.split('\n').map((line) => line.match(/^(\w+): ?(.*)$/)).filter(Boolean);
      yield Object.fromEntries(lines.map(([, name, value]) => [name, value]));
    }
  }
}
