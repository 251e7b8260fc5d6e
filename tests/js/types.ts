// Compiled, never run: what pages may write, and, behind @ts-expect-error, what they may not.

import { Hubbub, HubbubError } from '../../src/hubbub/web/client/hubbub.js';
import type { GroupRow, HubbubEvent, Page, UserRow, Welcome } from '../../src/hubbub/web/client/hubbub.js';

const skapi = new Hubbub({ guest: 'alice' });
new Hubbub('https://example.com', { token: 'a.b.c', timeout: 5000 });
new Hubbub(null, { token: async () => (await fetch('/token')).text(), WebSocket });
new Hubbub(new URL('https://example.com'), { token: () => 'a.b.c' });
new Hubbub({ guest: 'alice', guest_key: 'sixteen characters' });
// @ts-expect-error: a key belongs to a guest
new Hubbub({ token: 'a', guest_key: 'sixteen characters' });
new Hubbub('/realtime');
new Hubbub();
const renewed: Promise<void> = skapi.renew();
void renewed;
// @ts-expect-error: both
new Hubbub('https://example.com', { token: 'a', guest: 'b' });
// @ts-expect-error: a token is text
new Hubbub({ token: 7 });

function hear(event: HubbubEvent): string {
  switch (event.type) {
    case 'message':
      return `${event.sender} in ${event.sender_rid.length}: ${event.message.msg} (${event.seq === null ? 'not kept' : event.seq + 1})`;
    case 'private':
      return event.sender;
    case 'gap':
      return `${event.group ?? 'inbox'} ${event.missed ?? '?'} ${event.position.seq.toFixed()}`;
    case 'notice':
      return event.code === 'USER_JOINED' && event.user_connections === 1 ? event.sender : event.message;
    case 'reconnect':
      return `${event.reason} ${event.delay.toFixed()}`;
    case 'success':
    case 'error':
    case 'close':
      return event.message;
    default:
      return event satisfies never;
  }
}

export async function examples(form: HTMLFormElement, submitted: SubmitEvent): Promise<void> {
  const welcome: Welcome = await skapi.connectRealtime(hear);
  welcome.expires?.toFixed();

  skapi.joinRealtime({ group: 'HelloWorld' }).then(res => {
    console.log(res.message) // Joined realtime message group: "HelloWorld".
  });
  skapi.postRealtime({ msg: "Hello World!" }, 'HelloWorld').then(res => console.log(res));
  skapi.getRealtimeGroups().then(res => {
    console.log(res.list) // [{ group: 'HelloWorld', number_of_users: 1 }, ...]
  });
  skapi.getRealtimeGroups({ searchFor: 'group', value: 'Hello', condition: '>=' });
  skapi.getRealtimeGroups({ searchFor: 'number_of_users', value: 10, condition: '>=' });
  skapi.getRealtimeUsers({ group: 'HelloWorld', user_id: 'user_a' });

  const lobby = await skapi.watchRealtimeGroups(
    { searchFor: 'number_of_users', value: 1, condition: '>=' },
    { limit: 50, ascending: false, every: 250 },
    ({ list, count, set, gone, error }) => console.log(list[0]?.group, count?.toFixed(), set.length, gone[0], error?.code),
  );
  const rows: readonly GroupRow[] = lobby.list;
  void rows;
  await lobby.stop();
  await skapi.watchRealtimeGroups({ groups: ['a', 'b'] }, {});
  (await skapi.watchRealtimeUsers({ group: 'team-1' }, {}, ({ list }) => list[0]?.connection_id)).list[0]?.user_id;
  // @ts-expect-error: a list of names
  skapi.watchRealtimeGroups({ groups: 'a' });

  await skapi.joinRealtime('HelloWorld');
  await skapi.joinRealtime({ group: 'HelloWorld', notices: false, invisible: true });
  await skapi.postRealtime('typing', 'HelloWorld', { keep: false, echo: false });
  await skapi.joinRealtime(null);
  await skapi.postRealtime(submitted, 'HelloWorld');
  await skapi.postRealtime(form, { user_id: 'bob' });
  const { recipients } = await skapi.postRealtime(null, { group: 'HelloWorld' });
  recipients.toFixed();

  const groups: Page<GroupRow> = await skapi.getRealtimeGroups(null, { limit: 7, fetchMore: true, ascending: false });
  const users: Page<UserRow> = await skapi.getRealtimeUsers(undefined, { startKey: groups.startKey });
  users.list.map(({ connection_id }) => connection_id.length);
  groups.startKeyHistory.at(-1)?.length;
  const group: string | null = skapi.group;
  const state: 'closed' | 'connecting' | 'connected' | 'reconnecting' = skapi.state;
  console.log(group, state, skapi.user_id, skapi.connection_id, skapi.inbox?.seq.toFixed());
  new Hubbub({ guest: 'alice', inbox: skapi.inbox });
  // @ts-expect-error: a position has a number as well
  new Hubbub({ guest: 'alice', inbox: { epoch: 'e' } });

  // @ts-expect-error: no recipient
  skapi.postRealtime('hi');
  // @ts-expect-error: a group or a user
  skapi.postRealtime('hi', { room: 'x' });
  // @ts-expect-error: no such order
  skapi.getRealtimeGroups({ searchFor: 'size' });
  // @ts-expect-error: no such option
  skapi.getRealtimeGroups({}, { pageSize: 3 });
  // @ts-expect-error: set by the client alone
  skapi.group = 'other';
  await skapi.closeRealtime();
}

export const hint = (error: unknown) => (error instanceof HubbubError && error.code === 'UNAVAILABLE' ? 'try again' : String(error));
// @ts-expect-error: no such code
export const wrong = (error: HubbubError) => error.code === 'TEAPOT';
