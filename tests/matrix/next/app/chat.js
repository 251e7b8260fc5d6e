'use client';

import { useEffect, useState } from 'react';
import { useHubbub, useRealtimeGroup } from 'hubbub-client/react';

export default function Chat() {
  const [url, setUrl] = useState(null);
  useEffect(() => setUrl(new URLSearchParams(location.search).get('server')), []);
  return url ? <Joined url={url} /> : <p id="root">made on the server</p>;
}

function Joined({ url }) {
  const { messages, post, joined } = useRealtimeGroup(useHubbub({ url, guest: 'builder' }), 'built');
  useEffect(() => {
    if (joined) post({ text: 'hello from a bundle' });
  }, [joined, post]);
  return <p id="root">{messages.map((each) => `${each.sender}: ${each.message.text}`)}</p>;
}
