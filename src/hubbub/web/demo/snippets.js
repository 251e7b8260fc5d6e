// How to build this: two programs to copy, with the address of this very server in them.

import { hashOf } from './login.js';

const browser = (_server, group) => `\
const { Hubbub } = await import("/hubbub.js");
const hub = new Hubbub({ guest: "Ada" });
await hub.connectRealtime((event) => console.log(event));
await hub.joinRealtime({ group: ${JSON.stringify(group)} });
await hub.postRealtime({ msg: "Hello" }, { group: ${JSON.stringify(group)} });
console.log((await hub.getRealtimeUsers({ group: ${JSON.stringify(group)} })).list);`;

const python = (server, group) => `\
import asyncio, hubbub

async def main():
    async with hubbub.connect("${server}", guest="Grace") as hub:
        await hub.join_realtime(${JSON.stringify(group)})
        await hub.post_realtime({"msg": "Hello"}, {"group": ${JSON.stringify(group)}})
        async for event in hub:
            print(event)

asyncio.run(main())`;

/** Fill the places for it, and let the buttons copy. */
export function showBuilding() {
  for (const place of document.querySelectorAll('[data-build]')) {
    place.append(document.getElementById('build-template').content.cloneNode(true));
    for (const figure of place.querySelectorAll('figure')) {
      const button = figure.querySelector('button');
      button.addEventListener('click', () => copy(figure.querySelector('code').textContent, button));
    }
  }
  buildFor('lobby');
}

/** Let the programs join `group`. */
export function buildFor(group) {
  for (const [kind, write] of Object.entries({ browser, python })) {
    for (const code of document.querySelectorAll(`[data-snippet="${kind}"]`)) {
      code.textContent = write(location.origin, group);
    }
  }
}

/** Put the link to a group on the clipboard. */
export function copyLink(group, button) {
  return copy(`${location.origin}/${hashOf(group)}`, button.querySelector('span'));
}

/** Copy, and say so on the button for a moment. */
async function copy(text, label) {
  const before = (label.dataset.label ??= label.textContent);
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = 'Copied';
  } catch {
    label.textContent = 'Cannot copy here';
  }
  setTimeout(() => (label.textContent = before), 1500);
}
