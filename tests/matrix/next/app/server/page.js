// A component that runs on the server only: it connects from Node.
import { Hubbub } from 'hubbub-client';

export const dynamic = 'force-dynamic';

export default async function Page({ searchParams }) {
  const { server } = await searchParams;
  const hub = new Hubbub(server, { guest: 'renderer' });
  const { user_id } = await hub.connectRealtime();
  await hub.closeRealtime();
  return <p id="root">rendered for {user_id}</p>;
}
