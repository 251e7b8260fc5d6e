// A page as somebody would write it: connects to the server in its address, joins, posts, and shows what it receives.
import { Hubbub } from 'hubbub-client';

const server = new URLSearchParams(location.search).get('server');
const root = document.getElementById('root');
const hub = new Hubbub(server, { guest: 'builder' });

await hub.connectRealtime((event) => {
  if (event.type === 'message') root.textContent += `${event.sender}: ${event.message.text}`;
});
await hub.joinRealtime({ group: 'built' });
await hub.postRealtime({ text: 'hello from a bundle' }, 'built');
