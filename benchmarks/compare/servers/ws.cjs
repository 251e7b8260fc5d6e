// Groups by hand on the library ws, as most Node programs have them: node ws.cjs MODULES PORT
const { WebSocketServer } = require(`${process.argv[2]}/ws`);
const server = new WebSocketServer({ port: Number(process.argv[3]), host: '127.0.0.1', perMessageDeflate: false });
const groups = new Map();
server.on('connection', (socket) => {
  let group;
  socket.on('message', (data) => {
    const message = JSON.parse(data);
    if (message.action === 'broadcast') {
      const text = JSON.stringify(message);
      for (const member of groups.get(message.rid)) member.send(text);
    } else {
      group = groups.get(message.rid) ?? new Set();
      groups.set(message.rid, group.add(socket));
    }
  });
  socket.on('close', () => group?.delete(socket));
});
