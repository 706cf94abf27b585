// What do the TypeScript clients get? node clients.mjs FOLDER VERSION URL CALLS, CALLS as JSON.
import { createRequire } from "node:module";

const [folder, version, url, calls] = process.argv.slice(2);
const load = createRequire(`${folder}/package.json`);

function make() {
  const who = { name: "orchestr8-conformance", version: "1" };
  if (version === "v1") {
    const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = load("@modelcontextprotocol/sdk/client/streamableHttp.js");
    return [new Client(who), new StreamableHTTPClientTransport(new URL(url))];
  }
  const { Client, StreamableHTTPClientTransport } = load("@modelcontextprotocol/client");
  const client = new Client(who, { versionNegotiation: { mode: "auto" } });
  return [client, new StreamableHTTPClientTransport(new URL(url))];
}

function must(holds, said) {
  if (!holds) throw new Error(said);
}

const [client, transport] = make();
await client.connect(transport);
const { tools } = await client.listTools();
for (const { name } of tools) {
  const told = await client.callTool({ name, arguments: JSON.parse(calls)[name] });
  must(!told.isError && told.structuredContent, `${name}: ${JSON.stringify(told)}`);
}
const { resources } = await client.listResources();
const { contents } = await client.readResource({ uri: resources.at(-1).uri });
must(contents[0].text, "a resource has no text");
let prompts = [];
if (client.getServerCapabilities().prompts) {
  prompts = (await client.listPrompts()).prompts;
  const { messages } = await client.getPrompt({ name: prompts[0].name, arguments: { arguments: "x" } });
  must(messages.length === 1, "a prompt has no message");
  const ref = { type: "ref/resource", uri: "orchestr8://agents/{plugin}/{name}" };
  const { completion } = await client.complete({ ref, argument: { name: "plugin", value: "s" } });
  must(completion.values.length > 0, "nothing completes");
}
console.log(`${tools.length} tools, ${resources.length} resources, ${prompts.length} prompts`);
await client.close();
