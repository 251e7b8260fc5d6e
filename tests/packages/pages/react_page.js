// The hooks in a page, without JSX so that every tool can build it. The buttons change what the hooks are given.
import { createElement as h, StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { useHubbub, useRealtimeGroup, useRealtimeGroups, useRealtimeUsers } from 'hubbub-client/react';

const server = new URLSearchParams(location.search).get('server');

function Chat() {
  const [group, setGroup] = useState('one');
  const [guest, setGuest] = useState('ada');
  const connection = useHubbub({ url: server, guest });
  const { messages, members, post, joined, error } = useRealtimeGroup(connection, group, { history: 5, limit: 3 });
  const lobby = useRealtimeGroups(connection, { searchFor: 'number_of_users', value: 1, condition: '>=', ascending: false, every: 100 });
  const present = useRealtimeUsers(connection, group, { every: 100 });
  const text = (each) => (each.type === 'message' ? `${each.sender}: ${each.message}` : 'gap');
  return h('main', null,
    h('output', { id: 'state' }, connection.state),
    h('output', { id: 'error' }, String(connection.error?.message ?? error?.message ?? '')),
    h('output', { id: 'joined' }, joined ? `joined ${group}` : 'not joined'),
    h('output', { id: 'members' }, members.join(' ')),
    h('output', { id: 'lobby' }, lobby.loading ? 'loading' : lobby.list.map((row) => `${row.group}:${row.number_of_users}`).join(' ')),
    h('output', { id: 'count' }, String(lobby.error?.message ?? lobby.count)),
    h('output', { id: 'present' }, String(present.error?.message ?? present.list.map((row) => row.user_id).join(' '))),
    h('ol', null, messages.map((each) => h('li', { key: each.seq ?? 'gap' }, text(each)))),
    h('button', { onClick: () => post('hello') }, 'post'),
    h('button', { onClick: () => setGroup('two') }, 'two'),
    h('button', { onClick: () => setGroup(null) }, 'leave'),
    h('button', { onClick: () => setGuest('bea') }, 'rename'));
}

function Page() {
  const [mounted, setMounted] = useState(true);
  return h(StrictMode, null, mounted && h(Chat), h('button', { onClick: () => setMounted(false) }, 'unmount'));
}

createRoot(document.getElementById('root')).render(h(Page));
