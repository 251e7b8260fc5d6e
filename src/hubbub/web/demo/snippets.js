// "Build this": two programs to copy, with the address of this server in them.

import { hashOf, tokenFirst } from './login.js';

/** The address of this server, with a slash at its end; where it is mounted under a path, with that. */
export const BASE = new URL('../', import.meta.url).href;

const guest = { browser: (user) => `{ guest: "${user}" }`, python: (user) => `guest="${user}"` };
const token = { browser: () => '{ token: "YOUR-TOKEN" }', python: () => 'token="YOUR-TOKEN"' };
const credentials = tokenFirst ? token : guest;

const browser = (server, group) => `\
const { Hubbub } = await import("${server}/hubbub.js");
const hub = new Hubbub("${server}", ${credentials.browser('Ada')});
await hub.connectRealtime((event) => console.log(event));
await hub.joinRealtime({ group: ${JSON.stringify(group)} });
await hub.postRealtime({ msg: "Hello" }, { group: ${JSON.stringify(group)} });
console.log((await hub.getRealtimeUsers({ group: ${JSON.stringify(group)} })).list);`;

const python = (server, group) => `\
import asyncio, hubbub

async def main():
    async with hubbub.connect("${server}", ${credentials.python('Grace')}) as hub:
        await hub.join_realtime(${JSON.stringify(group)})
        await hub.post_realtime({"msg": "Hello"}, {"group": ${JSON.stringify(group)}})
        async for event in hub:
            print(event)

asyncio.run(main())`;

/** Insert the snippets into the page, with their copy buttons. */
export function insertSnippets() {
  for (const place of document.querySelectorAll('[data-snippets]')) {
    place.append(document.getElementById('snippets-template').content.cloneNode(true));
    for (const figure of place.querySelectorAll('figure')) {
      const button = figure.querySelector('button');
      button.addEventListener('click', () => copy(figure.querySelector('code').textContent, button));
    }
  }
  updateSnippets('lobby');
}

/** Show the programs with `group` as their group. */
export function updateSnippets(group) {
  for (const [kind, write] of Object.entries({ browser, python })) {
    for (const code of document.querySelectorAll(`[data-snippet="${kind}"]`)) {
      code.textContent = write(BASE.slice(0, -1), group);
    }
  }
}

/** Copy the link to a group. */
export function copyLink(group, button) {
  return copy(BASE + hashOf(group), button.querySelector('span'));
}

/** Copy a text, and show the result on the button for a moment. */
async function copy(text, label) {
  const before = (label.dataset.label ??= label.textContent);
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = 'Copied';
  } catch {
    label.textContent = 'Copying failed';
  }
  setTimeout(() => (label.textContent = before), 1500);
}
